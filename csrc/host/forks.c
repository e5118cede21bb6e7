/* What a fork of the host has to drop of the calls that are open there, and all that
 * knows it. No process that is forked meanwhile may hold an end of a call's socket,
 * or the nursery would not see its host die, nor the host its nursery; and a child
 * of one call shall have nothing of another's. What after_fork_child closes is
 * opened and closed here only under the lock: a number that is free, and not yet
 * forgotten, may be another call's. */
#include "host/forks.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/sha256_choice.h"
#include "host/host.h"
#include "host/pool.h"
#include "host/small.h"
#include "host/terminal.h"
#include "nursery/nursery.h"
#include "shared/layout.h"
#include "shared/pool.h"

/* Every open call; the lock is held across each fork of this process. */
static pthread_mutex_t open_calls_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sphttp_call *open_calls;
static sigset_t unlocked_mask; /* of the thread that holds it */

/* The call of which this thread forks the nursery. It is still set in that nursery
 * and in its children. A child that forks counts as a host like any other: its fork
 * drops this call, too. */
static _Thread_local struct sphttp_call *being_born;

void
forks_lock(void)
{
    /* The handler of a terminal's stop takes it too: not in the thread that has it. */
    sigset_t stops, before;
    (void)sigemptyset(&stops);
    (void)sigaddset(&stops, SIGTSTP);
    (void)pthread_sigmask(SIG_BLOCK, &stops, &before);
    (void)pthread_mutex_lock(&open_calls_lock);
    unlocked_mask = before;
}

void
forks_unlock(void)
{
    sigset_t before = unlocked_mask;
    (void)pthread_mutex_unlock(&open_calls_lock);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

bool
forks_find_closed(struct sphttp_call *call)
{
    struct host *host = call->host;
    if (host->host_end.fd < 0 ||
        (held_still(&host->host_end) &&
         (host->heard.fd < 0 || held_still(&host->heard)))) {
        return false;
    }
    held_close(&host->host_end);
    held_close(&host->heard);
    host->wake[0] = host->wake[1] = host->files[0] = host->files[1] = -1;
    host->both = host->pool_reader = call->nursery->given = -1;
    if (host->nest) { /* it is no child of ours */
        host->nursery_pid = 0;
        host->asked = false;
    }
    host->nursery_fd =
        host->nursery_pid == 0 ? -1 : open_process(host->nursery_pid);
    return true;
}

/* What only the host has any use for. */
static void
drop_hosts(struct sphttp_call *call)
{
    (void)forks_find_closed(call);
    held_close(&call->host->host_end);
    close_end(&call->host->nursery_fd);
    close_end(&call->host->both);
    held_close(&call->host->heard);
    close_end(&call->host->wake[0]);
    close_end(&call->host->wake[1]);
    close_end(&call->host->files[0]);
    close_end(&call->host->files[1]);
    feed_unshare(&call->host->feed);
    call->host->nursery_pid = 0; /* nobody here may wait for it, or kill it */
    call->host->asked = false;
}

/* What another call's nursery and children share. */
static void
drop_shared(struct sphttp_call *call)
{
    close_end(&call->nursery->given);
    held_close(&call->child.pulse);
    held_close(&call->bell);
    held_close(&call->directory);
    close_end(&call->host->pool_reader);
    held_close(&call->memory);
    held_close(&call->items);
}

static void
after_fork_child(void)
{
    struct sphttp_call *call = open_calls, *next, *ours = being_born;
    if (ours != NULL && ours->child.self != 0) {
        ours = NULL;
    }
    for (; call != NULL; call = next) {
        next = call->host->next_open;
        drop_hosts(call);
        if (call == ours) {
            continue;
        }
        drop_shared(call);
        if (ours != NULL) {
            /* Elsewhere code of the host's may still look at its results. */
            pool_unshare(call);
            pool_close(call);
            layout_close(call);
            forks_leave(call);
        }
    }
    small_after_fork();
    sha256_choice_after_fork();
    terminal_forget();
    forks_unlock();
}

static void
watch(void)
{
    (void)pthread_atfork(forks_lock, forks_unlock, after_fork_child);
}

void
forks_watch(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, watch);
}

void
forks_enter(struct sphttp_call *call)
{
    call->host->next_open = open_calls;
    open_calls = call;
}

void
forks_leave(struct sphttp_call *call)
{
    struct sphttp_call **link = &open_calls;
    while (*link != NULL && *link != call) {
        link = &(*link)->host->next_open;
    }
    if (*link == call) {
        *link = call->host->next_open;
    }
}

void
forks_forget_mould(const struct sphttp_call *mould)
{
    for (struct sphttp_call *call = open_calls; call != NULL;
         call = call->host->next_open) {
        if (call->host->mould == mould) {
            call->host->mould = NULL;
        }
    }
}

bool
forks_lock_in_handler(void)
{
    /* Whoever has it may want what the interrupted thread holds, malloc's lock. */
    for (int tries = 0; tries < 500; tries++) {
        if (pthread_mutex_trylock(&open_calls_lock) == 0) {
            (void)pthread_sigmask(SIG_SETMASK, NULL, &unlocked_mask);
            return true;
        }
        (void)nanosleep(&(struct timespec){0, 2000000}, NULL);
    }
    return false;
}

void
forks_tell_nurseries(char byte)
{
    pid_t self = getpid(); /* a raw fork of the host has its calls, and no say */
    for (struct sphttp_call *call = open_calls; call != NULL;
         call = call->host->next_open) {
        /* Also to one that is just being forked: it reads that later. */
        if (call->plan.owner == self && held_still(&call->host->host_end)) {
            (void)send(call->host->host_end.fd, &byte, 1,
                       MSG_DONTWAIT | MSG_NOSIGNAL);
        }
    }
}

void
socket_look(struct sphttp_call *call)
{
    if (call->ledger->wants != 0 &&
        atomic_exchange(&call->ledger->wants, 0) != 0) {
        socket_say(call, BYTE_LOOK);
    }
}

void
socket_let_fork(struct sphttp_call *call)
{
    if (call->ledger->forks != 0 &&
        atomic_exchange(&call->ledger->forks, 0) != 0) {
        socket_say(call, BYTE_LOOK);
    }
}

void
socket_say(struct sphttp_call *call, char byte)
{
    if (call->plan.owner == getpid() && held_still(&call->host->host_end)) {
        (void)send(call->host->host_end.fd, &byte, 1,
                   MSG_DONTWAIT | MSG_NOSIGNAL);
    }
}

pid_t
socket_fork(struct sphttp_call *call)
{
    being_born = call;
    pid_t pid = fork();
    if (pid != 0) {
        being_born = NULL;
    }
    return pid;
}

int
socket_open(struct sphttp_call *call)
{
    int ends[2];
    forks_lock();
    /* What a server is asked comes whole. */
    int kind = call->plan.server ? SOCK_SEQPACKET : SOCK_STREAM;
    int err = socketpair(AF_UNIX, kind | SOCK_CLOEXEC, 0, ends) == 0
                  ? 0
                  : -errno;
    if (err == 0) {
        int host = above_streams(ends[0]);
        (void)held_set(&call->host->host_end, host);
        int nursery = call->nursery->given = above_streams(ends[1]);
        err = host < 0 ? host : nursery < 0 ? nursery : 0;
    }
    forks_unlock();
    if (err != 0) {
        socket_close(call);
    }
    return err;
}

void
socket_close(struct sphttp_call *call)
{
    forks_lock();
    close_end(&call->host->both); /* it is of this socket */
    held_close(&call->host->host_end);
    close_end(&call->nursery->given);
    close_end(&call->host->nursery_fd);
    forks_unlock();
}

void
socket_handed_over(struct sphttp_call *call, pid_t pid)
{
    forks_lock();
    call->host->nursery_pid = pid;
    /* Before it can have been reaped here, and its number be another's. */
    call->host->nursery_fd = open_process(pid);
    close_end(&call->nursery->given);
    forks_unlock();
}
