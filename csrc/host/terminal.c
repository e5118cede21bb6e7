/* Ctrl-Z: a terminal stops the host with its process group, in which the nursery and
 * the children are not. So while calls are open the host, where it would just stop,
 * first tells its nurseries, and tells them again when it goes on. */
#include "host/terminal.h"

#include <errno.h>
#include <unistd.h>

#include "host/forks.h"
#include "host/host.h"
#include "nursery/nursery.h"

static unsigned int open_count; /* under the forks' lock */

static void stop(int number);

static void
stop_by(void (*what)(int))
{
    struct sigaction action = {.sa_handler = what,
                               .sa_flags = SA_RESTART | SA_ONSTACK};
    (void)sigaction(SIGTSTP, &action, NULL);
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
    sigset_t only, before;
    /* Held until it goes on: so no nursery is born that has not been told. */
    bool locked = forks_lock_in_handler();
    if (locked) {
        forks_tell_nurseries(BYTE_PAUSE);
    }
    stop_by(SIG_DFL);
    (void)sigemptyset(&only);
    (void)sigaddset(&only, number);
    (void)raise(number);
    (void)pthread_sigmask(SIG_UNBLOCK, &only, &before); /* here it stops */
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (open_count > 0) { /* without the lock it may have become 0 */
        stop_by(stop);
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
    call->host->stops = true;
    if (open_count++ == 0 && stops_by(SIG_DFL)) {
        stop_by(stop);
    }
}

static void
restore(void)
{
    if (stops_by(stop)) { /* else the host has chosen another meanwhile */
        stop_by(SIG_DFL);
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
