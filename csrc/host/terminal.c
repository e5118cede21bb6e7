/* Ctrl-Z: a terminal stops the host with its process group, in which the nursery and
 * the children are not. So while calls are open the host, where it would just stop,
 * first tells its nurseries, and tells them again when it goes on. */
#include "internal.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

static unsigned int open_count; /* under the forks' lock */

static void stop(int number);

static struct sigaction
handler(void (*what)(int))
{
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = what;
    action.sa_flags = SA_RESTART;
    return action;
}

static bool
is_ours(void)
{
    struct sigaction now;
    return sigaction(SIGTSTP, NULL, &now) == 0 &&
           (now.sa_flags & SA_SIGINFO) == 0 && now.sa_handler == stop;
}

static void
stop(int number)
{
    int err = errno;
    struct sigaction by_default = handler(SIG_DFL), ours = handler(stop);
    sigset_t only, before;
    bool told = forks_tell_nurseries(BYTE_PAUSE);
    (void)sigaction(number, &by_default, NULL);
    (void)sigemptyset(&only);
    (void)sigaddset(&only, number);
    (void)raise(number);
    (void)pthread_sigmask(SIG_UNBLOCK, &only, &before); /* here it stops */
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)sigaction(number, &ours, NULL);
    if (told) {
        (void)forks_tell_nurseries(BYTE_RESUME);
    }
    errno = err;
}

void
terminal_enter(void)
{
    struct sigaction now, ours = handler(stop);
    if (open_count++ == 0 && sigaction(SIGTSTP, NULL, &now) == 0 &&
        (now.sa_flags & SA_SIGINFO) == 0 && now.sa_handler == SIG_DFL) {
        (void)sigaction(SIGTSTP, &ours, NULL);
    }
}

void
terminal_forget(void)
{
    open_count = 0;
}

void
terminal_leave(void)
{
    struct sigaction by_default = handler(SIG_DFL);
    if (--open_count == 0 && is_ours()) {
        (void)sigaction(SIGTSTP, &by_default, NULL);
    }
}
