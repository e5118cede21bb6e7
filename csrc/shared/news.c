/* How a host that wants to know hears of items that have ended. Who ends one sets a
 * word in the page, which the host clears before it looks. If the host listens, it also
 * rings: it writes to a pipe. The host says that it listens, and looks at the word once
 * more before it sleeps. A child may be killed between the two steps, so the nursery
 * rings whenever one has ended. What the host looks at is in host/news.c. */
#include "shared/news.h"

#include <unistd.h>

/* False: the worker has closed the bell. */
static bool
ring(const struct sphttp_call *call)
{
    if (!held_still(&call->bell)) {
        return false;
    }
    (void)write(call->bell.fd, "", 1); /* full: it has been rung */
    return true;
}

/* Wake the host, unless somebody else has. False: as above. */
static bool
wake_host(struct sphttp_call *call)
{
    call->child.untold = 0;
    return atomic_exchange(&call->page->listens, HOST_AWAKE) == HOST_AWAKE ||
           ring(call);
}

bool
news_tell(struct sphttp_call *call, bool large)
{
    if (!call->plan.tell) {
        return true;
    }
    /* Read first: children that write to one place wait for each other. */
    if (call->page->rung == 0) {
        call->page->rung = 1;
    }
    call->child.untold++;
    uint32_t listens = call->page->listens;
    bool many = call->child.untold >= call->plan.count / call->plan.alive / 2;
    bool leave = (listens == HOST_NAPS && !many) || listens == HOST_WAITS_IDLE;
    return listens == HOST_AWAKE || (leave && !large) || wake_host(call);
}

bool
news_tell_idle(struct sphttp_call *call)
{
    uint32_t listens = call->plan.tell ? (uint32_t)call->page->listens
                                       : HOST_AWAKE;
    bool wake = listens == HOST_WAITS_IDLE ? page_all_idle(call)
                : listens != HOST_AWAKE && call->page->rung != 0;
    return !wake || wake_host(call);
}

void
news_tell_again(const struct sphttp_call *call)
{
    if (call->plan.tell) {
        page_set_rung(call, true);
        (void)ring(call);
    }
}
