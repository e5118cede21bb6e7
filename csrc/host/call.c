/* The host's side of a call: open, fork the nursery, wait for the end, collect
 * the results, see the nursery off. One thread at a time drives a call. */
#include "host/call.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/hmac.h"
#include "digest/child.h"
#include "host/farewell.h"
#include "host/files.h"
#include "host/forks.h"
#include "host/host.h"
#include "host/news.h"
#include "host/pool.h"
#include "host/runs.h"
#include "host/terminal.h"
#include "host/wake.h"
#include "nursery/nursery.h"
#include "shared/news.h"
#include "shared/pool.h"

enum {
    NURSERIES_MOST = 2,
    HANDS_MOST = 1 << 29 /* a state word has room for no more */
};
#define LEAVE_NS (10 * SECOND) /* that a child's end may take */
#define LEAVE_NS_LEAST (SECOND / 10) /* to leave at all takes its time */

/* A call, and what of it is the host's. */
struct whole {
    struct sphttp_call call; /* first: it is freed as a call */
    struct host host;
};

/* --- Open and free ----------------------------------------------------------- */

/* Once a process, before its first call. */
static void
prepare_process(void)
{
    bare_fork_find();
    forks_watch();
}

/* Set what is not 0. Not as a whole: it has a path in it, of which most is unused. */
static void
set_plan(struct plan *plan, uint32_t count, uint32_t alive, int how,
         const char *root)
{
    plan->count = count;
    plan->alive = alive < count ? alive : count;
    plan->pool = (how & SPHTTP_POOL) != 0;
    plan->fed = plan->hold = (how & SPHTTP_FED) != 0;
    plan->in_memory = plan->pool || plan->fed;
    for (plan->ring = 1; plan->ring < count; plan->ring *= 2) {
    }
    plan->ring--;
    plan->lanes = plan->pool && !plan->fed && (how & SPHTTP_LANES) != 0
                      ? LANES_MOST
                      : 1;
    plan->hands = plan->alive * plan->lanes;
    plan->setup = (how & SPHTTP_SETUP) != 0;
    plan->fed = (how & SPHTTP_FED) != 0;
    plan->tell = (how & (SPHTTP_TELL | SPHTTP_FED)) != 0;
    plan->discard = (how & SPHTTP_DISCARD) != 0;
    plan->stop_at_failure = (how & SPHTTP_CUT_SHORT) != 0 ? STOP_ALL
                            : (how & SPHTTP_STOP) != 0    ? STOP_NEW
                                                          : 0;
    plan->leave_ns = LEAVE_NS;
    plan->owner = getpid();
    (void)strcpy(plan->root, root);
}

/* Nothing is open yet. */
static void
set_host(struct host *host, const struct plan *plan)
{
    host->doing = "preparing the call";
    host->host_end = host->nursery_fd = -1;
    host->wake[0] = host->wake[1] = host->watching = host->forward.fd = -1;
    host->heard = host->both = host->pool_reader = -1;
    /* A pool's records are where they are: there is one at a time. But in a fed call
     * that place is used again. */
    bool one = plan->in_memory && !plan->fed;
    host->payload_count = one ? 1 : plan->count + 1;
    host->store = plan->in_memory ? &pool_store : &files_store;
}

/* What a fork of the host has to drop. 0 or -errno. */
static int
open_what_forks_drop(struct sphttp_call *call)
{
    forks_lock();
    forks_enter(call);
    terminal_enter(call);
    int err = pool_open(call);
    if (err == 0 && call->plan.fed) {
        err = feed_open(call);
    }
    if (err == 0 && call->plan.tell) {
        err = news_open(call);
    }
    forks_unlock();
    return err;
}

/* Allocate and open all that a planned call needs. 0 or -errno. */
static int
open_parts(struct sphttp_call *call)
{
    struct host *host = call->host;
    host->payloads = calloc(host->payload_count, sizeof(*host->payloads));
    int err = host->payloads != NULL ? page_open(call) : -ENOMEM;
    err = err == 0 ? open_what_forks_drop(call) : err;
    err = err == 0 ? hmac_prepare() : err;
    if (err == 0 && getrandom(call->plan.key, KEY_SIZE, 0) != KEY_SIZE) {
        err = -EIO;
    }
    return err;
}

int
sphttp_call_open(uint32_t count, uint32_t alive, int how, const char *root,
                 sphttp_call **result)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, prepare_process);
    if (count < 1 || count > INT32_MAX - 1 || alive < 1 ||
        (alive > HANDS_MOST / LANES_MOST && count > HANDS_MOST / LANES_MOST)) {
        return -EOVERFLOW;
    }
    if (strlen(root) >= sizeof((*result)->plan.root)) {
        return -ENAMETOOLONG;
    }
    struct whole *whole = calloc(1, sizeof(*whole));
    if (whole == NULL) {
        return -ENOMEM;
    }
    struct sphttp_call *call = &whole->call;
    call->host = &whole->host;
    set_plan(&call->plan, count, alive, how, root);
    set_host(call->host, &call->plan);
    call->memory.fd = call->bell.fd = call->directory.fd = -1;
    call->items.fd = -1;
    call->child.pulse.fd = -1;
    call->child.linger = (how & SPHTTP_LINGER) != 0;
    call->child.await_turn = page_await_turn;
    int err = nursery_open(call);
    if (err != 0) {
        free(whole);
        return err;
    }
    err = open_parts(call);
    if (err != 0) {
        call_free(call);
        return err;
    }
    *result = call;
    return 0;
}

void
call_free(struct sphttp_call *call)
{
    if (call == NULL) {
        return;
    }
    call_close(call);
    wake_close(call);
    struct host *host = call->host;
    for (uint32_t i = 0; host->payloads != NULL && i < host->payload_count;
         i++) {
        sphttp_call_drop(call, i);
    }
    forks_lock();
    pool_forget(call);
    pool_close(call);
    feed_close(call);
    page_close(call);
    forks_leave(call);
    forks_unlock();
    free(host->payloads);
    runs_forget(&host->runs);
    free(call->nursery);
    digest_free(call->plan.digest);
    explicit_bzero(call->plan.key, sizeof(call->plan.key));
    free(call);
}

int
sphttp_call_limit(sphttp_call *call, int64_t timeout_ns, int64_t deadline_ns,
                  uint32_t retries)
{
    call->plan.timeout_ns = timeout_ns;
    call->plan.leave_ns = timeout_ns == 0               ? LEAVE_NS
                     : timeout_ns < LEAVE_NS_LEAST ? LEAVE_NS_LEAST
                                                   : timeout_ns;
    call->plan.deadline_ns = deadline_ns > 0 ? now_ns() + deadline_ns : 0;
    call->plan.retries = retries;
    return 0;
}

void
sphttp_call_quota(sphttp_call *call, uint32_t quota)
{
    call->plan.quota = quota;
}

void
sphttp_call_allow(sphttp_call *call, uint32_t watermark)
{
    call->plan.hold = call->plan.hold || call->host->nursery_pid == 0;
    call->ledger->watermark = watermark; /* first: the nursery mends the other */
    page_raise_watermark(call->page, watermark);
    socket_look(call);
}

/* --- Fork and wait ---------------------------------------------------------- */

sphttp_event
event_of(int err)
{
    return (sphttp_event){.kind = err != 0 ? SPHTTP_FAILED : SPHTTP_ENDED,
                          .error = -err};
}

sphttp_event
call_fork(struct sphttp_call *call)
{
    call->host->doing = "forking the nursery";
    int err = socket_open(call);
    if (err != 0) {
        return event_of(err);
    }
    /* Now: whoever aborts it from here on shuts the socket. */
    if (call->ledger->aborted != 0) {
        socket_close(call);
        return (sphttp_event){.kind = SPHTTP_STARTED};
    }
    call->host->dismissed_ns = 0;
    /* No signal may arrive in a child before it is one. */
    sigset_t all;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &call->plan.mask);
    pid_t pid = socket_fork(call);
    err = -errno;
    if (pid == 0) {
        /* It comes back in the children only. */
        uint32_t index = nursery_run(call);
        (void)pthread_sigmask(SIG_SETMASK, &call->plan.mask, NULL);
        return (sphttp_event){.kind = SPHTTP_CHILD, .index = index};
    }
    (void)pthread_sigmask(SIG_SETMASK, &call->plan.mask, NULL);
    if (pid < 0) {
        socket_close(call);
        return event_of(err);
    }
    socket_handed_over(call, pid);
    return (sphttp_event){.kind = SPHTTP_STARTED};
}

/* Sleep until the nursery has something to say: SPHTTP_ENDED, it has; SPHTTP_NEWS;
 * SPHTTP_SIGNALS; SPHTTP_FAILED with EPIPE: it is gone. */
static sphttp_event
wait_for_word(struct sphttp_call *call)
{
    bool told = call->plan.tell && page_rung(call); /* the bell may lag behind */
    struct pollfd fds[] = {
        {.fd = call->host->host_end, .events = POLLIN},
        {.fd = call->host->wake[0], .events = POLLIN},
        {.fd = call->host->heard, .events = POLLIN},
    };
    for (;;) {
        if (poll(fds, 3, told ? 0 : -1) < 0) {
            if (errno != EINTR) {
                return event_of(-errno);
            }
            if (call->host->wake[0] >= 0) {
                return (sphttp_event){.kind = SPHTTP_SIGNALS};
            }
            continue; /* this thread handles no signals */
        }
        if (fds[0].revents != 0) {
            char byte;
            ssize_t n = recv(call->host->host_end, &byte, 1, MSG_DONTWAIT);
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
        if (fds[2].revents != 0 || told) {
            char rings[64];
            (void)read(call->host->heard, rings, sizeof(rings));
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
    int err = files_take_over(call);
    call->host->nurseries_lost++;
    int64_t first = page_first_free(call);
    bool left = first >= 0 || call->ledger->total == UINT64_MAX;
    for (uint32_t i = 0; i < call->plan.count; i++) {
        page_settle(call, i, false);
    }
    if (!left || page_stopped(call) != 0 ||
        call->host->nurseries_lost == NURSERIES_MOST) {
        return event_of(0);
    }
    /* The host may be what the next one waits for: it hears of those that are
     * lost, and lets others start. */
    news_drain(call, SPHTTP_FORK_AGAIN);
    news_tell_again(call);
    /* What was set aside for them is free again. */
    page_begin_anew(call, first >= 0 ? page_number(call, (uint32_t)first)
                                     : (uint64_t)call->ledger->watermark);
    call->host->doing = "reading the scratch directory";
    return err == 0 ? (sphttp_event){.kind = SPHTTP_FORK_AGAIN}
                    : event_of(err);
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
    if (trouble == TROUBLE_NONE) {
        return 0;
    }
    call->host->doing = doing[trouble];
    return -call->ledger->error;
}

bool
call_is_to_fork(const struct sphttp_call *call)
{
    const struct host *host = call->host;
    return !host->ended && host->nursery_pid == 0 && host->gathering == 0;
}

/* All that there is has been gathered. */
static sphttp_event
the_end(const struct sphttp_call *call)
{
    return event_of(call->ledger->aborted != 0 ? -ECANCELED : 0);
}

/* Collect what it has heard of. */
static sphttp_event
gather(struct sphttp_call *call)
{
    bool all = call->host->gathering == SPHTTP_ENDED;
    turn_begin(call);
    int err = call->host->store->gather(call, all);
    if (err == -EINTR) {
        return (sphttp_event){.kind = SPHTTP_SIGNALS};
    }
    call->host->gathering = 0;
    if (err == 0 && all) {
        /* It ends while the results are looked at: call_close waits for it. */
        dismiss_nursery(call, true);
        call->host->ended = true;
        return the_end(call);
    }
    /* The nursery of a failed call is ended by call_close. */
    return err == 0 && !all ? (sphttp_event){.kind = SPHTTP_NEWS}
                            : event_of(err);
}

sphttp_event
call_finish(struct sphttp_call *call)
{
    if (call->host->ended) {
        return the_end(call);
    }
    if (call->host->gathering != 0) {
        return gather(call);
    }
    call->host->doing = "waiting for the nursery";
    /* Without a nursery, it was aborted: see call_fork. */
    sphttp_event event =
        call->host->nursery_pid != 0 ? wait_for_word(call) : event_of(0);
    if (event.kind == SPHTTP_FAILED && event.error == EPIPE) {
        event = nursery_lost(call);
    }
    if (event.kind == SPHTTP_ENDED) {
        event = event_of(nursery_trouble(call));
    }
    if (event.kind != SPHTTP_ENDED && event.kind != SPHTTP_NEWS) {
        return event;
    }
    runs_ask(call);
    news_drain(call, event.kind);
    call->host->gathering = event.kind;
    return gather(call);
}

void
call_close(struct sphttp_call *call)
{
    bool removed_by_nursery = call->host->ended || call->page == NULL;
    if (!call->host->ended) {
        dismiss_nursery(call, false);
    }
    end_nursery(call);
    call->host->ended = true;
    /* Where the nursery was lost, or did not answer, the directory is ours. */
    if (!removed_by_nursery && call->plan.owner == getpid() &&
        files_take_over(call) == 0 && call->directory.fd >= 0) {
        (void)files_clear(call, false);
    }
    forks_lock();
    held_close(&call->directory);
    held_close(&call->memory);
    held_close(&call->items);
    news_close(call);
    terminal_leave(call);
    forks_unlock();
}

/* --- What Python asks for ----------------------------------------------------- */

int
sphttp_call_descriptor(sphttp_call *call)
{
    return call->plan.tell ? news_descriptor(call) : call->host->host_end;
}

int
sphttp_call_stopping(const sphttp_call *call)
{
    return page_stopped(call) != 0;
}

int
sphttp_call_overdue(const sphttp_call *call)
{
    return call->plan.deadline_ns != 0 && call->ledger->overdue != 0;
}

const char *
sphttp_call_doing(const sphttp_call *call)
{
    return call->host->doing;
}

int
sphttp_call_in_child(const sphttp_call *call)
{
    return call->child.in_child;
}

/* What is to be said of a child; its pid. */
static int
remark_of(const struct remark *remark, int *what)
{
    *what = remark->what;
    return remark->pid;
}

int
sphttp_call_overstayed(const sphttp_call *call, int *stage)
{
    return remark_of(&call->ledger->overstayed, stage);
}

int
sphttp_call_unready(const sphttp_call *call, int *wait_status)
{
    return remark_of(&call->ledger->unready, wait_status);
}
