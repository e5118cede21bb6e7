/* How a kept child ends, whose call goes on without it. */
#include "base/cdef.h"

#include <sys/resource.h>
#include <unistd.h>

#include "child/hand.h"
#include "shared/news.h"

enum { LOWEST = 19 }; /* of priorities */

/* Are those few that are just being taken apart by the kernel? */
static bool
few_are_gone(const struct sphttp_call *call)
{
    uint32_t gone = 0;
    for (uint32_t hand = 0; hand < call->plan.hands; hand++) {
        gone += page_hand_gone(call, hand);
    }
    return gone <= 2 * (uint64_t)call->plan.ahead;
}

void
sphttp_child_exit(sphttp_call *call, int status)
{
    if (hand_leave(call)) {
        (void)news_tell_idle(call);
        /* Half a millisecond of work and more, for which nobody waits: it shall not
         * take a processor from those who are waited for. But where processors are
         * busy it takes long then, and many would pile up. */
        if (few_are_gone(call)) {
            (void)setpriority(PRIO_PROCESS, 0, LOWEST);
        }
    }
    _exit(status);
}
