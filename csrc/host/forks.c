/* The socket between host and nursery, and who may hold its ends: no process
 * that is forked meanwhile, or the nursery would not see its host die, nor the
 * host its nursery. What after_fork_child closes is closed here only under the
 * lock: a number that is free, and not yet forgotten, may be another call's. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

/* Every open call; the lock is held across each fork of this process. */
static pthread_mutex_t open_calls_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sphttp_call *open_calls;

/* The call whose nursery the forking thread is about to make. */
static _Thread_local struct sphttp_call *being_born;

void
close_end(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

static void
before_fork(void)
{
    (void)pthread_mutex_lock(&open_calls_lock);
}

static void
after_fork_parent(void)
{
    (void)pthread_mutex_unlock(&open_calls_lock);
}

static void
after_fork_child(void)
{
    for (struct sphttp_call *call = open_calls; call != NULL;
         call = call->next_open) {
        close_end(&call->host_end);
        if (call != being_born) {
            close_end(&call->nursery_end);
        }
        close_end(&call->nursery_fd);
        call->nursery = 0; /* nobody here may wait for it, or kill it */
    }
    (void)pthread_mutex_unlock(&open_calls_lock);
}

void
socket_watch_forks(void)
{
    (void)pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

pid_t
socket_fork(struct sphttp_call *call)
{
    being_born = call;
    pid_t pid = fork();
    being_born = NULL;
    return pid;
}

int
above_streams(int fd)
{
    if (fd > STDERR_FILENO) {
        return fd;
    }
    if (fd < 0) {
        return -errno;
    }
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int err = -errno;
    (void)close(fd);
    return copy >= 0 ? copy : err;
}

/* The pair, and the call's place among the open ones: one step, as far as any
 * other fork of the host can see. */
int
socket_open(struct sphttp_call *call)
{
    int err = 0;
    (void)pthread_mutex_lock(&open_calls_lock);
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        err = -errno;
        goto done;
    }
    call->host_end = above_streams(ends[0]);
    call->nursery_end = above_streams(ends[1]);
    if (call->host_end < 0 || call->nursery_end < 0) {
        err = call->host_end < 0 ? call->host_end : call->nursery_end;
        close_end(&call->host_end);
        close_end(&call->nursery_end);
        goto done;
    }
    if (call->open_link == NULL) {
        call->next_open = open_calls;
        call->open_link = &open_calls;
        if (open_calls != NULL) {
            open_calls->open_link = &call->next_open;
        }
        open_calls = call;
    }

done:
    (void)pthread_mutex_unlock(&open_calls_lock);
    return err;
}

void
socket_close(struct sphttp_call *call)
{
    close_end(&call->both); /* it is of this socket */
    (void)pthread_mutex_lock(&open_calls_lock);
    close_end(&call->host_end);
    close_end(&call->nursery_end);
    close_end(&call->nursery_fd);
    if (call->open_link != NULL) {
        *call->open_link = call->next_open;
        if (call->next_open != NULL) {
            call->next_open->open_link = call->open_link;
        }
        call->open_link = NULL;
    }
    (void)pthread_mutex_unlock(&open_calls_lock);
}

void
socket_handed_over(struct sphttp_call *call)
{
    (void)pthread_mutex_lock(&open_calls_lock);
    close_end(&call->nursery_end);
    (void)pthread_mutex_unlock(&open_calls_lock);
}
