/* How a host sees its nursery off, and what a nursery that was killed has left. */
#include "internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define BY_PIDFD ((idtype_t)3) /* P_PIDFD, which glibc has since 2.36 only */
#define ANSWER (3 * SECOND) /* the time to end for whom is told to */

int
open_process(pid_t pid)
{
    int fd = above_streams((int)syscall(SYS_pidfd_open, pid, 0));
    return fd >= 0 ? fd : -1;
}

/* Poll one descriptor until `end`, of now_ns, whatever signals arrive. True: it
 * is ready. */
static bool
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

void
dismiss_nursery(struct sphttp_call *call, bool goodbye)
{
    if (call->nursery == 0) {
        return;
    }
    if (goodbye) {
        (void)send(call->host_end, &(char){BYTE_GOODBYE}, 1, MSG_NOSIGNAL);
    }
    (void)shutdown(call->host_end, SHUT_WR);
}

bool
call_lingers(const struct sphttp_call *call)
{
    return call->nursery != 0 &&
           !(call->ended && call->nursery_fd >= 0 &&
             poll_until(call->nursery_fd, POLLIN, 0));
}

void
end_nursery(struct sphttp_call *call)
{
    if (call->nursery == 0) {
        socket_close(call);
        return;
    }
    /* Its end of the socket closes early in its exit: to wait for that would be
     * to wake up once more. Where there is no pidfd, it must do. */
    int64_t end = now_ns() + ANSWER;
    bool gone = call->nursery_fd >= 0
                    ? poll_until(call->nursery_fd, POLLIN, end)
                    : poll_until(call->host_end, POLLRDHUP, end);
    if (!gone) {
        (void)kill(-call->nursery, SIGKILL); /* with one it had to fork */
        (void)kill(call->nursery, SIGKILL);
    }
    /* ECHILD: the host ignores SIGCHLD or reaps whatever ends. */
    siginfo_t info;
    int n;
    do {
        n = call->nursery_fd >= 0
                ? waitid(BY_PIDFD, (id_t)call->nursery_fd, &info, WEXITED)
                : waitpid(call->nursery, NULL, 0);
    } while (n < 0 && errno == EINTR);
    call->nursery = 0;
    socket_close(call);
}

/* A child whose nursery was killed: it has a SIGKILL under way. Wait until it is
 * gone; it is ours to reap where this process adopts orphans. */
static void
await_orphan(pid_t pid, int64_t end)
{
    if (pid <= 1) {
        return;
    }
    /* Not kill(pid, 0), which finds zombies too: whoever adopts them may let
     * them lie for seconds. */
    int fd = open_process(pid);
    if (fd >= 0) {
        (void)poll_until(fd, POLLIN, end);
        close_end(&fd);
    }
    (void)waitpid(pid, NULL, WNOHANG);
}

void
await_orphans(struct sphttp_call *call)
{
    int64_t end = now_ns() + ANSWER;
    for (uint32_t i = 0; i < call->alive * call->lanes; i++) {
        struct hand *hand = &call->hands[i];
        await_orphan(hand->pid, end);
        if (call->pool) {
            (void)hand_give_up(call, i, hand_item(call, i), ITEM_LOST);
        }
        *hand = (struct hand){0};
    }
}
