/* The host's side of a call: open, fork the nursery, wait for the end, collect
 * the results, see the nursery off. One thread at a time drives a call. */
#include "internal.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { NURSERIES_MOST = 2 };
#define LEAVE_NS (10 * SECOND) /* that a child's end may take */
#define LEAVE_NS_LEAST (SECOND / 10) /* to leave at all takes its time */

pid_t (*bare_fork)(void) = fork;

/* Once a process, before its first call. */
static void
begin(void)
{
    /* Looked up, for glibc has it since 2.34 only. */
    void *found = dlsym(RTLD_DEFAULT, "_Fork");
    if (found != NULL) {
        *(void **)&bare_fork = found;
    }
    forks_watch();
}

/* --- Open and free ----------------------------------------------------------- */

int
sphttp_call_open(uint32_t count, uint32_t alive, int how, const char *root,
                 sphttp_call **result)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, begin);
    if (count < 1 || count > INT32_MAX - 1 || alive < 1) {
        return -EOVERFLOW;
    }
    if (strlen(root) >= sizeof((*result)->root)) {
        return -ENAMETOOLONG;
    }
    struct sphttp_call *call = calloc(1, sizeof(*call));
    if (call == NULL) {
        return -ENOMEM;
    }
    call->count = count;
    call->alive = alive < count ? alive : count;
    call->stop_at_failure = (how & SPHTTP_CUT_SHORT) != 0 ? STOP_ALL
                            : (how & SPHTTP_STOP) != 0    ? STOP_NEW
                                                          : 0;
    call->setup = (how & SPHTTP_SETUP) != 0;
    call->tell = (how & SPHTTP_TELL) != 0;
    call->pool = (how & SPHTTP_POOL) != 0;
    call->linger = (how & SPHTTP_LINGER) != 0;
    call->discard = (how & SPHTTP_DISCARD) != 0;
    call->lanes = call->pool && (how & SPHTTP_LANES) != 0 ? LANES_MOST : 1;
    call->host_end = call->nursery_end = -1;
    call->directory.fd = call->bell.fd = call->pulse.fd = -1;
    call->memory.fd = -1;
    call->pool_reader = call->heard = call->both = -1;
    call->nursery_fd = -1;
    call->wake[0] = call->wake[1] = call->watching = call->forward.fd = -1;
    call->owner = getpid();
    call->doing = "preparing the call";
    call->await_mark = page_await_mark;
    (void)strcpy(call->root, root);
    call->leave_ns = LEAVE_NS;
    int err = page_open(call);
    if (err != 0) {
        goto fail;
    }
    call->seen = calloc((size_t)call->alive * call->lanes,
                        sizeof(*call->seen));
    call->payloads = calloc(call->pool ? 1 : (size_t)count + 1,
                            sizeof(*call->payloads));
    if (call->seen == NULL || call->payloads == NULL) {
        err = -ENOMEM;
        goto fail;
    }
    forks_lock();
    forks_enter(call);
    terminal_enter(call);
    err = pool_open(call);
    if (err == 0 && call->tell) {
        err = news_open(call);
    }
    forks_unlock();
    if (err != 0) {
        goto fail;
    }
    err = hmac_prepare();
    if (err != 0) {
        goto fail;
    }
    if (getrandom(call->key, sizeof(call->key), 0) !=
        (ssize_t)sizeof(call->key)) {
        err = -EIO;
        goto fail;
    }
    *result = call;
    return 0;

fail:
    call_free(call);
    return err;
}

void
call_free(struct sphttp_call *call)
{
    if (call == NULL) {
        return;
    }
    call_close(call);
    wake_close(call);
    uint32_t payloads = call->pool ? 1 : call->count + 1;
    for (uint32_t i = 0; call->payloads != NULL && i < payloads; i++) {
        sphttp_call_drop(call, i);
    }
    forks_lock();
    pool_close(call);
    page_close(call);
    forks_leave(call);
    forks_unlock();
    free(call->payloads);
    free(call->seen);
    digest_free(call->digest);
    free(call->lives);
    explicit_bzero(call->key, sizeof(call->key));
    free(call);
}

int
sphttp_call_limit(sphttp_call *call, int64_t timeout_ns, int64_t deadline_ns,
                  uint32_t retries)
{
    call->timeout_ns = timeout_ns;
    call->leave_ns = timeout_ns == 0               ? LEAVE_NS
                     : timeout_ns < LEAVE_NS_LEAST ? LEAVE_NS_LEAST
                                                   : timeout_ns;
    call->deadline_ns = deadline_ns > 0 ? now_ns() + deadline_ns : 0;
    call->retries = retries;
    if (retries > 0) {
        call->lives = calloc(call->count, sizeof(*call->lives));
    }
    return retries > 0 && call->lives == NULL ? -ENOMEM : 0;
}

void
sphttp_call_allow(sphttp_call *call, uint32_t mark)
{
    call->hold = call->hold || call->nursery == 0;
    call->ledger->watermark = mark; /* first: the nursery mends the other */
    page_raise_watermark(call->page, mark);
    if (call->nursery != 0) {
        (void)send(call->host_end, &(char){BYTE_LOOK}, 1,
                   MSG_DONTWAIT | MSG_NOSIGNAL);
    }
}

/* --- Fork and wait ---------------------------------------------------------- */

sphttp_event
event_of(int err)
{
    sphttp_event event = {.kind = SPHTTP_ENDED};
    if (err != 0) {
        event.kind = SPHTTP_FAILED;
        event.error = -err;
    }
    return event;
}

sphttp_event
call_fork(struct sphttp_call *call)
{
    call->doing = "forking the nursery";
    int err = socket_open(call);
    if (err != 0) {
        return event_of(err);
    }
    /* No signal may arrive in a child before it is one. */
    sigset_t all;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &call->mask);
    pid_t pid = socket_fork(call);
    err = -errno;
    if (pid == 0) {
        /* It comes back in the children only. */
        uint32_t index = nursery_run(call);
        (void)pthread_sigmask(SIG_SETMASK, &call->mask, NULL);
        return (sphttp_event){.kind = SPHTTP_CHILD, .index = index};
    }
    (void)pthread_sigmask(SIG_SETMASK, &call->mask, NULL);
    if (pid < 0) {
        socket_close(call);
        return event_of(err);
    }
    call->nursery = pid;
    /* Before it can have been reaped here, and its number be another's. */
    call->nursery_fd = open_process(pid);
    socket_handed_over(call);
    return (sphttp_event){.kind = SPHTTP_STARTED};
}

/* Sleep until the nursery has something to say: SPHTTP_ENDED, it has; SPHTTP_NEWS;
 * SPHTTP_SIGNALS; SPHTTP_FAILED with EPIPE: it is gone. */
static sphttp_event
wait_for_word(struct sphttp_call *call)
{
    struct pollfd fds[] = {
        {.fd = call->host_end, .events = POLLIN},
        {.fd = call->wake[0], .events = POLLIN},
        {.fd = call->heard, .events = POLLIN},
    };
    for (;;) {
        if (poll(fds, 3, -1) < 0) {
            if (errno != EINTR) {
                return event_of(-errno);
            }
            if (call->wake[0] >= 0) {
                return (sphttp_event){.kind = SPHTTP_SIGNALS};
            }
            continue; /* this thread handles no signals */
        }
        if (fds[0].revents != 0) {
            char byte;
            ssize_t n = recv(call->host_end, &byte, 1, MSG_DONTWAIT);
            if (n > 0) {
                return event_of(0);
            }
            if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
                return event_of(-EPIPE);
            }
        }
        if (fds[1].revents != 0) {
            (void)forward_signals(call);
            return (sphttp_event){.kind = SPHTTP_SIGNALS};
        }
        if (fds[2].revents != 0) {
            char rings[64];
            (void)read(call->heard, rings, sizeof(rings));
            return (sphttp_event){.kind = SPHTTP_NEWS};
        }
    }
}

/* --- The end ---------------------------------------------------------------- */

/* The nursery was killed, and its children with it. Items in hand are lost.
 * SPHTTP_FORK_AGAIN: there are others, for another nursery to take on;
 * SPHTTP_ENDED: there are none. */
static sphttp_event
nursery_lost(struct sphttp_call *call)
{
    dismiss_nursery(call, false);
    end_nursery(call);
    await_orphans(call);
    scratch_remove_stillborn(call);
    call->nurseries_lost++;
    page_begin_anew(call, 0); /* what was set aside for them is free again */
    bool left = false;
    for (uint32_t i = 0; i < call->count; i++) {
        left = left || page_item(call, i) == ITEM_FREE;
        page_settle(call, i, false);
    }
    if (!left || page_stopped(call) != 0 ||
        call->nurseries_lost == NURSERIES_MOST) {
        return event_of(0);
    }
    /* The host may be what the next one waits for: it hears of those that are
     * lost, and lets others start. */
    news_drain(call, true);
    news_missed(call);
    call->doing = "reading the scratch directory";
    bool made = !call->pool && call->ledger->inode != 0;
    int err = made ? scratch_open(call) : 0;
    return err == 0 ? (sphttp_event){.kind = SPHTTP_FORK_AGAIN} : event_of(err);
}

/* What the nursery could not do, if anything. 0 or -errno. */
static int
nursery_trouble(struct sphttp_call *call)
{
    static const char *const doing[] = {
        [TROUBLE_SIGNALFD] = "opening a signal descriptor",
        [TROUBLE_SCRATCH] = "making the scratch directory",
        [TROUBLE_STDIN] = "opening /dev/null",
        [TROUBLE_FORK] = "forking a child",
    };
    int trouble = call->ledger->trouble;
    if (trouble != TROUBLE_NONE) {
        call->doing = doing[trouble];
        return -call->ledger->error;
    }
    return 0;
}

bool
call_gathers(const struct sphttp_call *call)
{
    return call->gathering != 0;
}

/* Collect what it has heard of. */
static sphttp_event
gather(struct sphttp_call *call)
{
    bool all = call->gathering == SPHTTP_ENDED;
    turn_begin(call);
    int err = all ? collect(call) : collect_fresh(call);
    if (err == -EINTR) {
        return (sphttp_event){.kind = SPHTTP_SIGNALS};
    }
    call->gathering = 0;
    if (err == 0 && all) {
        /* It ends while the results are looked at: call_close waits for it. */
        dismiss_nursery(call, true);
        call->ended = true;
    }
    /* The nursery of a failed call is ended by call_close. */
    return err == 0 && !all ? (sphttp_event){.kind = SPHTTP_NEWS}
                            : event_of(err);
}

sphttp_event
call_finish(struct sphttp_call *call)
{
    if (call->ended) {
        return event_of(0);
    }
    if (call_gathers(call)) {
        return gather(call);
    }
    call->doing = "waiting for the nursery";
    sphttp_event event = wait_for_word(call);
    if (event.kind == SPHTTP_FAILED && event.error == EPIPE) {
        event = nursery_lost(call);
    }
    if (event.kind != SPHTTP_ENDED && event.kind != SPHTTP_NEWS) {
        return event;
    }
    int err = event.kind == SPHTTP_ENDED ? nursery_trouble(call) : 0;
    if (err != 0) {
        return event_of(err);
    }
    news_drain(call, event.kind == SPHTTP_ENDED);
    call->gathering = event.kind;
    return gather(call);
}

void
call_close(struct sphttp_call *call)
{
    bool removed_by_nursery = call->ended || call->page == NULL;
    if (!call->ended) {
        dismiss_nursery(call, false);
    }
    end_nursery(call);
    call->ended = true;
    /* Where the nursery was lost, or did not answer, the directory is ours. */
    if (!removed_by_nursery && !call->pool && call->owner == getpid()) {
        scratch_remove_stillborn(call);
        if (call->ledger->inode != 0 && scratch_open(call) == 0) {
            (void)scratch_clear(call);
        }
    }
    forks_lock();
    held_close(&call->directory);
    held_close(&call->memory);
    news_close(call);
    terminal_leave(call);
    forks_unlock();
}

/* --- What Python asks for ----------------------------------------------------- */

int
sphttp_call_descriptor(sphttp_call *call)
{
    return call->tell ? news_descriptor(call) : call->host_end;
}

int
sphttp_call_stopping(const sphttp_call *call)
{
    return page_stopped(call) != 0;
}

int
sphttp_call_overdue(const sphttp_call *call)
{
    return call->deadline_ns != 0 && call->ledger->overdue != 0;
}

const char *
sphttp_call_doing(const sphttp_call *call)
{
    return call->doing;
}

int
sphttp_call_in_child(const sphttp_call *call)
{
    return call->in_child;
}

/* What is to be said of a child; its pid. */
static int
told_of(const struct remark *remark, int *what)
{
    *what = remark->what;
    return remark->pid;
}

int
sphttp_call_overstayed(const sphttp_call *call, int *stage)
{
    return told_of(&call->ledger->overstayed, stage);
}

int
sphttp_call_unready(const sphttp_call *call, int *wait_status)
{
    return told_of(&call->ledger->unready, wait_status);
}
