/* How signals wake a host that waits in C: Python's wake-up descriptor, for the
 * time of the call. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int
sphttp_call_watch(sphttp_call *call)
{
    if (!in_main_thread()) {
        return 0;
    }
    int ends[2];
    forks_lock();
    int err = pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0 ? 0 : -errno;
    if (err == 0) {
        call->wake[0] = above_streams(ends[0]);
        call->wake[1] = above_streams(ends[1]);
    }
    forks_unlock();
    if (err != 0) {
        call->doing = "opening a pipe";
        return err;
    }
    if (call->wake[0] < 0 || call->wake[1] < 0) {
        call->doing = "opening a pipe";
        return call->wake[0] < 0 ? call->wake[0] : call->wake[1];
    }
    return call->wake[1];
}

void
sphttp_call_forward(sphttp_call *call, int next)
{
    call->forward = next;
}

void
forward_signals(struct sphttp_call *call)
{
    char bytes[64];
    ssize_t n;
    while (call->wake[0] >= 0 &&
           (n = read(call->wake[0], bytes, sizeof(bytes))) > 0) {
        /* Where it is full, the host has enough to wake up for. */
        if (call->forward >= 0 &&
            write(call->forward, bytes, (size_t)n) < 0) {
            continue;
        }
    }
}

void
sphttp_call_unwatch(sphttp_call *call)
{
    forward_signals(call);
    forks_lock();
    close_end(&call->wake[0]);
    close_end(&call->wake[1]);
    forks_unlock();
}
