/* How signals wake a host that waits in C, and stop for a moment one that works
 * there: Python's wake-up descriptor, for the time of the call. */
#include "host/wake.h"

#include <fcntl.h>
#include <unistd.h>

#include "host/forks.h"
#include "host/host.h"

enum { LOOK_EVERY = 1 << 20 };      /* bytes of work, some 0.1 ms at least */
#define TURN_NS (SECOND / 20)       /* that Python may wait... */
#define LOOP_TURN_NS (SECOND / 200) /* ...and that a loop may */

int
wake_open(struct sphttp_call *call)
{
    call->host->doing = "opening a pipe";
    forks_lock();
    int err = open_pipe(call->host->wake, O_NONBLOCK);
    forks_unlock();
    return err;
}

bool
forward_signals(struct sphttp_call *call)
{
    char bytes[64];
    ssize_t n;
    bool any = false;
    while (call->host->wake[0] >= 0 &&
           (n = read(call->host->wake[0], bytes, sizeof(bytes))) > 0) {
        any = true;
        /* Where it is full, the host has enough to wake up for. Where the host has
         * closed it, the number may be another file of its own. */
        if (held_still(&call->host->forward)) {
            (void)write(call->host->forward.fd, bytes, (size_t)n);
        }
    }
    return any;
}

void
wake_close(struct sphttp_call *call)
{
    (void)forward_signals(call);
    forks_lock();
    close_end(&call->host->wake[0]);
    close_end(&call->host->wake[1]);
    forks_unlock();
}

void
sphttp_call_elsewhere(sphttp_call *call, int elsewhere)
{
    call->host->in_loop = elsewhere != 0;
}

void
sphttp_call_beside(sphttp_call *call, int fd)
{
    call->host->beside = fd;
}

void
turn_begin(struct sphttp_call *call)
{
    call->host->turn_work = 0;
    call->host->turn_end =
        now_ns() + (call->host->in_loop ? LOOP_TURN_NS : TURN_NS);
}

/* Has so much been done that a look costs little beside it? */
static bool
look(struct sphttp_call *call, uint64_t work)
{
    call->host->turn_work += work;
    bool due = call->host->turn_work >= LOOK_EVERY;
    if (due) {
        call->host->turn_work = 0;
    }
    return due;
}

bool
turn_over(struct sphttp_call *call, uint64_t work)
{
    return look(call, work) && now_ns() >= call->host->turn_end;
}

bool
signals_due(struct sphttp_call *call, uint64_t work)
{
    /* In a loop's thread nobody writes to the pipe: it comes back now and then. */
    return look(call, work) &&
           (call->host->in_loop ? now_ns() >= call->host->turn_end
                          : forward_signals(call));
}
