/* Processes that workers have left behind outlive a round that ends well. A later one,
 * which may not, would kill all that is below the nursery: so their nest serves no
 * other, and is left well. */
#include "host/strangers.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cdef.h"
#include "host/call.h"
#include "host/farewell.h"
#include "host/forks.h"
#include "host/host.h"
#include "nursery/nursery.h"

#define COUNTED_NS (SECOND / 10) /* so long the nursery may take to count */

bool
strangers_left(struct sphttp_call *nest)
{
    struct round *round = &nest->host->round;
    round->strangers = round->strangers || page_strangers(nest);
    return round->strangers;
}

bool
strangers_ask(struct sphttp_call *nest)
{
    bool asked = page_reaped(nest);
    if (asked) {
        nest->host->round.counts = true;
        socket_say(nest, BYTE_COUNT);
    }
    return asked;
}

bool
strangers_found(struct sphttp_call *nest)
{
    struct host *host = nest->host;
    if (host->round.counts) {
        int64_t end = now_ns() + COUNTED_NS;
        char word = WORD_OVER;
        bool there = poll_until(host->host_end.fd, POLLIN, end) &&
                     recv(host->host_end.fd, &word, 1,
                          MSG_PEEK | MSG_DONTWAIT) > 0 &&
                     word == WORD_COUNTED; /* else it stays there */
        if (there) {
            (void)recv(host->host_end.fd, &word, 1, MSG_DONTWAIT);
        }
        host->round.strangers = !there || nest->ledger->strangers != 0;
        host->round.counts = false;
    }
    return host->round.strangers;
}

void
strangers_spare(struct sphttp_call *nest)
{
    struct host *host = nest->host;
    if (!host->round.strangers || host->ended || host->nursery_pid == 0 ||
        nest->plan.owner != getpid() || nest->ledger->aborted != 0) {
        return;
    }
    sphttp_nest_leave(nest);
    /* The nursery sees to it that no child takes longer. */
    int64_t end = now_ns() + nest->plan.leave_ns + SECOND;
    int kind;
    do {
        host->give_up_ns = end;
        kind = call_finish(nest).kind;
    } while ((kind == SPHTTP_NEWS || kind == SPHTTP_SIGNALS) &&
             now_ns() < end);
    host->give_up_ns = 0;
}
