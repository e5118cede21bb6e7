/* Ctrl-Z: a terminal stops the host with its process group, in which the nursery and
 * the children are not. So while calls are open the host, where it would just stop,
 * first tells its nurseries, and tells them again when it goes on. */
#include "host/terminal.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "host/forks.h"
#include "host/host.h"
#include "nursery/nursery.h"

static unsigned int open_count; /* under the forks' lock */

static void stop(int number);

static struct sigaction
handler(void (*what)(int))
{
    return (struct sigaction){.sa_handler = what,
                              .sa_flags = SA_RESTART | SA_ONSTACK};
}

static bool
stops_by(void (*what)(int))
{
    struct sigaction now;
    return sigaction(SIGTSTP, NULL, &now) == 0 &&
           (now.sa_flags & SA_SIGINFO) == 0 && now.sa_handler == what;
}

static void
stop(int number)
{
    int err = errno;
    struct sigaction by_default = handler(SIG_DFL), ours = handler(stop);
    sigset_t only, before;
    /* Held until it goes on: so no nursery is born that has not been told. */
    bool locked = forks_lock_in_handler();
    if (locked) {
        forks_tell_nurseries(BYTE_PAUSE);
    }
    (void)sigaction(number, &by_default, NULL);
    (void)sigemptyset(&only);
    (void)sigaddset(&only, number);
    (void)raise(number);
    (void)pthread_sigmask(SIG_UNBLOCK, &only, &before); /* here it stops */
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (open_count > 0) { /* without the lock it may have become 0 */
        (void)sigaction(number, &ours, NULL);
    }
    if (locked) {
        forks_tell_nurseries(BYTE_RESUME);
        forks_unlock();
    }
    errno = err;
}

void
terminal_enter(struct sphttp_call *call)
{
    struct sigaction ours = handler(stop);
    call->host->stops = true;
    if (open_count++ == 0 && stops_by(SIG_DFL)) {
        (void)sigaction(SIGTSTP, &ours, NULL);
    }
}

static void
restore(void)
{
    struct sigaction by_default = handler(SIG_DFL);
    if (stops_by(stop)) { /* else the host has chosen another meanwhile */
        (void)sigaction(SIGTSTP, &by_default, NULL);
    }
}

void
terminal_forget(void)
{
    open_count = 0;
    restore();
}

void
terminal_leave(struct sphttp_call *call)
{
    if (call->host->stops && call->plan.owner == getpid() &&
        --open_count == 0) {
        restore();
    }
    call->host->stops = false;
}
