/* How a host sees its nursery off, and what a nursery that was killed has left. */
#include "host/farewell.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host/forks.h"
#include "host/host.h"
#include "host/nest.h"
#include "nursery/hands.h"
#include "nursery/kill.h"
#include "nursery/nursery.h"
#include "shared/runs.h"

#define BY_PIDFD ((idtype_t)3) /* P_PIDFD, which glibc has since 2.36 only */
#define ANSWER (3 * SECOND) /* the time to end for whom is told to */

/* Reap a child that its pidfd, where there is one, names. A kernel before 5.4, or a
 * filter of system calls, refuses what waits for a pidfd. ECHILD: it is no child of
 * this process, or the host ignores SIGCHLD or reaps whatever ends. */
static void
reap(int fd, pid_t pid, int options)
{
    siginfo_t info;
    for (;;) {
        int n = fd >= 0 ? waitid(BY_PIDFD, (id_t)fd, &info, WEXITED | options)
                        : waitpid(pid, NULL, options);
        if (n >= 0 || errno == ECHILD || (fd < 0 && errno != EINTR)) {
            return;
        }
        fd = errno == EINTR ? fd : -1;
    }
}

bool
poll_until(int fd, short events, int64_t end)
{
    struct pollfd polled = {.fd = fd, .events = events};
    int n;
    do {
        int64_t left = (end - now_ns()) / 1000000;
        n = poll(&polled, 1, left > 0 ? (int)left : 0);
    } while (n < 0 && errno == EINTR);
    return n > 0;
}

/* Is there one for this process to see off, or is it yet to come? A raw fork of the host
 * has its calls, and no say. */
static bool
has_nursery(const struct sphttp_call *call)
{
    return (call->host->nursery_pid != 0 || call->host->asked) &&
           call->plan.owner == getpid();
}

void
dismiss_nursery(struct sphttp_call *call, bool goodbye)
{
    if (!has_nursery(call)) {
        return;
    }
    forks_lock();
    (void)forks_find_closed(call);
    forks_unlock();
    if (goodbye) {
        (void)send(call->host->host_end.fd, &(char){BYTE_GOODBYE}, 1,
                   MSG_NOSIGNAL);
    }
    (void)shutdown(call->host->host_end.fd, SHUT_WR);
    if (call->host->dismissed_ns == 0) {
        call->host->dismissed_ns = now_ns();
    }
}

int
sphttp_call_dismiss(sphttp_call *call)
{
    if (!call->host->ended && call->plan.owner == getpid()) {
        dismiss_nursery(call, false);
    }
    return 0;
}

int
sphttp_call_ending(sphttp_call *call)
{
    const struct host *host = call->host;
    if (has_nursery(call) && host->asked) {
        (void)sphttp_nest_ready(call);
    }
    if (!has_nursery(call)) {
        return -1;
    }
    if (host->asked) {
        return host->host_end.fd;
    }
    if (host->nursery_fd >= 0) {
        return poll_until(host->nursery_fd, POLLIN, 0) ? -1 : host->nursery_fd;
    }
    return poll_until(host->host_end.fd, POLLRDHUP, 0) ? -1 : -EAGAIN;
}

bool
call_lingers(const struct sphttp_call *call)
{
    return has_nursery(call) &&
           !(call->host->ended && call->host->nursery_fd >= 0 &&
             poll_until(call->host->nursery_fd, POLLIN, 0));
}

/* Kill it. A nest's is no child of this process: where it is named by a number only,
 * that may be another's. */
static void
kill_nursery(bool nest, pid_t pid, int fd)
{
    if (!nest) {
        kill_with_group(pid); /* with one it had to fork */
    }
    else if (fd >= 0) {
        (void)syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
    }
}

/* A nest's nursery that has not been heard of so far: is it there by now? */
static bool
arrives(struct sphttp_call *call, int64_t end)
{
    while (call->host->asked && poll_until(call->host->host_end.fd, POLLIN, end)) {
        (void)sphttp_nest_ready(call);
    }
    call->host->asked = false; /* what comes later finds the socket closed */
    call->host->refused = 0;
    return call->host->nursery_pid != 0;
}

void
end_nursery(struct sphttp_call *call)
{
    int64_t end = call->host->dismissed_ns + ANSWER;
    if (!has_nursery(call) || !arrives(call, end)) {
        call->host->nursery_pid = 0;
        socket_close(call);
        return;
    }
    /* Its end of the socket closes early in its exit: to wait for that would be
     * to wake up once more. Where there is no pidfd, it must do. */
    bool gone = call->host->nursery_fd >= 0
                    ? poll_until(call->host->nursery_fd, POLLIN, end)
                    : poll_until(call->host->host_end.fd, POLLRDHUP, end);
    if (!gone) {
        kill_nursery(call->host->nest, call->host->nursery_pid,
                     call->host->nursery_fd);
    }
    /* A nest's is the server's to reap, and ours where that was killed. */
    if (!call->host->nest || call->host->nursery_fd >= 0) {
        reap(call->host->nursery_fd, call->host->nursery_pid, 0);
    }
    if (!gone && !call->plan.server) {
        await_orphans(call); /* its children end with it, a moment later */
    }
    call->host->nursery_pid = 0;
    socket_close(call);
}

/* --- From another thread ------------------------------------------------------------ */

/* What a thread that does not drive the call knows of its nursery. */
struct glimpse {
    pid_t pid; /* 0: there is none, or none yet */
    bool nest; /* it is no child of this process */
    int fd;    /* a pidfd of our own; or -1 */
    bool gone; /* it is no more, or never was */
};

/* Shut the socket, and look. */
static struct glimpse
shut_and_look(struct sphttp_call *call)
{
    forks_lock();
    const struct host *host = call->host;
    nest_hear(call);
    /* Where there is a socket only, the nursery is just being forked. */
    struct glimpse seen = {.nest = host->nest, .fd = -1};
    seen.gone = forks_find_closed(call) || host->host_end.fd < 0 ||
                host->refused != 0;
    seen.pid = host->nursery_pid;
    if (!seen.gone) {
        (void)shutdown(host->host_end.fd, SHUT_WR);
        seen.fd = host->nursery_fd < 0
                      ? -1
                      : fcntl(host->nursery_fd, F_DUPFD_CLOEXEC, 3);
    }
    forks_unlock();
    return seen;
}

/* Has it ended? Whoever drives the call reaps it. Without a pidfd this comes back
 * after a millisecond, at most. */
static bool
has_gone(const struct glimpse *seen, int64_t end)
{
    if (seen->fd >= 0) {
        return poll_until(seen->fd, POLLIN, end);
    }
    siginfo_t info = {0};
    if (seen->pid != 0 && !seen->nest) {
        int n = waitid(P_PID, (id_t)seen->pid, &info,
                       WEXITED | WNOHANG | WNOWAIT);
        if ((n == 0 && info.si_pid != 0) || (n < 0 && errno == ECHILD)) {
            return true;
        }
    }
    (void)nanosleep(&(struct timespec){0, 1000000}, NULL);
    return false;
}

/* Let nothing of the call start any more. False: there is nothing for this process to
 * end. */
static bool
begin_abort(struct sphttp_call *call)
{
    if (call->plan.owner != getpid() || call->child.in_child ||
        call->plan.server) {
        return false;
    }
    call->ledger->aborted = 1; /* first: who forks a nursery looks at it after */
    call->ledger->stop = STOP_ALL;
    page_stop(call->page, STOP_ALL);
    return true;
}

void
sphttp_call_cancel(sphttp_call *call)
{
    if (begin_abort(call)) {
        struct glimpse seen = shut_and_look(call);
        close_end(&seen.fd);
    }
}

int
sphttp_call_abort(sphttp_call *call)
{
    if (!begin_abort(call)) {
        return 0;
    }
    int64_t end = now_ns() + ANSWER;
    for (bool killed = false;;) {
        struct glimpse seen = shut_and_look(call);
        bool gone = seen.gone || has_gone(&seen, end);
        if (!gone && now_ns() >= end && seen.pid != 0 && !killed) {
            kill_nursery(seen.nest, seen.pid, seen.fd);
            end += ANSWER;
            killed = true;
        }
        close_end(&seen.fd);
        if (gone || now_ns() >= end) {
            return 0;
        }
    }
}

/* When a process began, by now_ns, to a tick or two; 0: not known. */
static int64_t
began_ns(pid_t pid)
{
    char path[40], text[1024];
    (void)put_text(put_decimal(put_text(path, "/proc/"), (uint64_t)pid),
                   "/stat");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    close_end(&fd);
    text[n > 0 ? n : 0] = '\0';
    const char *at = strrchr(text, ')'); /* its name may have any other */
    for (int field = 2; at != NULL && field < 22; field++) {
        at = strchr(at + 1, ' ');
    }
    if (at == NULL) {
        return 0;
    }
    struct timespec boot;
    (void)clock_gettime(CLOCK_BOOTTIME, &boot);
    int64_t asleep = (int64_t)boot.tv_sec * SECOND + boot.tv_nsec - now_ns();
    int64_t ticks = (int64_t)strtoull(at + 1, NULL, 10);
    return ticks * (SECOND / sysconf(_SC_CLK_TCK)) - asleep;
}

/* A child whose nursery was killed: most often it has a SIGKILL under way; where it
 * has rid itself of that it gets ours. Wait until it is gone. It is ours to reap
 * where this process adopts orphans. */
static void
await_orphan(const struct alive *child, int64_t end)
{
    pid_t pid = child->pid;
    if (pid == 0) {
        return;
    }
    /* Not kill(pid, 0), which finds zombies too: whoever adopts them may let
     * them lie for seconds. And no number is killed, or waited for, that may be
     * somebody else's by now: the ledger knows when the child was forked. */
    int fd = open_process(pid);
    int64_t began = fd >= 0 ? began_ns(pid) : 0;
    if (began > child->forked_ns - SECOND / 10 &&
        began < child->born_ns + SECOND / 10) {
        (void)syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
        (void)poll_until(fd, POLLIN, end);
        reap(fd, pid, WNOHANG);
    }
    close_end(&fd);
}

void
await_orphans(struct sphttp_call *call)
{
    int64_t end = now_ns() + ANSWER;
    for (uint32_t slot = 0; slot < call->plan.alive; slot++) {
        await_orphan(&call->living[slot], end);
    }
    for (uint32_t i = 0; i < call->plan.hands; i++) {
        if (call->plan.pool) {
            uint64_t kind =
                call->ledger->aborted != 0 ? ITEM_CUT : ITEM_LOST;
            (void)hand_give_up(call, i, page_in_hand(call, i), kind);
        }
        runs_orphan(call, i);
        page_clear_hand(call, i);
        page_set_none_aside(call, i);
    }
    for (uint32_t slot = 0; slot < call->plan.alive; slot++) {
        call->living[slot].pid = 0;
    }
}
