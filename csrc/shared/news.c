/* How a host that wants to know hears of items that have ended. Who ends one sets a
 * word in the page. If that was not set, it also rings: it writes to a pipe. The host
 * clears the word before it looks, so whoever ends an item behind its back rings
 * again. A child may be killed between the two steps, so the nursery rings
 * whenever one has ended. What the host looks at is in host/news.c. */
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

bool
news_tell(const struct sphttp_call *call)
{
    /* Read first: children that write to one place wait for each other. */
    return !call->plan.tell || call->page->rung != 0 ||
           atomic_exchange(&call->page->rung, 1) != 0 || ring(call);
}

void
news_tell_again(const struct sphttp_call *call)
{
    if (call->plan.tell) {
        page_set_rung(call, true);
        (void)ring(call);
    }
}
