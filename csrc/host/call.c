/* The host's side of a call: fork the nursery, wait for the end, collect the
 * results, see the nursery off. One thread at a time drives a call. */
#include "host/call.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/farewell.h"
#include "host/files.h"
#include "host/forks.h"
#include "host/host.h"
#include "host/nest.h"
#include "host/news.h"
#include "host/pool.h"
#include "host/round.h"
#include "host/runs.h"
#include "host/strangers.h"
#include "host/terminal.h"
#include "host/wake.h"
#include "nursery/nursery.h"
#include "nursery/server.h"
#include "shared/news.h"
#include "shared/pool.h"

enum {
    NURSERIES_MOST = 2,
    SILENT_MOST = 10 /* s; a nursery whose nest leaves rings every second */
};
#define LIVELY_NS (SECOND / 1000) /* from one look to the next */

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
    call->host->doing = call->host->nest ? "asking the server for a nest"
                        : call->plan.server ? "forking the server"
                                            : "forking the nursery";
    if (call->host->refused != 0) {
        socket_close(call); /* there it was said why */
    }
    int err = socket_open(call);
    if (err != 0) {
        return event_of(err);
    }
    /* Now: whoever aborts it from here on shuts the socket. */
    if (!call->plan.server && call->ledger->aborted != 0) {
        socket_close(call);
        return (sphttp_event){.kind = SPHTTP_STARTED};
    }
    call->host->dismissed_ns = 0;
    if (call->host->nest) {
        err = nest_ask(call);
        return err == 0 ? (sphttp_event){.kind = SPHTTP_STARTED}
                        : event_of(err);
    }
    /* No signal may arrive in a child before it is one. */
    sigset_t all;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &call->plan.mask);
    pid_t pid = socket_fork(call);
    err = -errno;
    if (pid == 0) {
        /* It comes back in the children only. */
        uint32_t index = call->plan.server ? server_run(call)
                                           : nursery_run(call);
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

/* What the host waits for. */
enum { SOCKET, WAKE, BELL, BESIDE, WAITED };

/* Sleep until one of these can be read; for `ns` at most, unless that is below 0. */
static int
sleep_for(struct pollfd fds[WAITED], int64_t ns)
{
    struct timespec most = {ns / SECOND, ns % SECOND};
    nfds_t count = fds[BESIDE].fd < 0 ? BESIDE : WAITED;
    int n = ppoll(fds, count, ns < 0 ? NULL : &most, NULL);
    if (n < 0 && errno == EINVAL) {
        errno = EMFILE; /* the process may not have so many any more */
    }
    return n;
}

/* The same in a round, whose host hears no more than it must. */
static int
sleep_in_round(struct sphttp_call *call, struct pollfd fds[WAITED],
               uint32_t listens, bool *told)
{
    int64_t most = -1;
    feed_beat(call);
    (void)page_listen(call, listens);
    *told = round_is_due(call, listens);
    if (call->host->give_up_ns != 0) {
        most = call->host->give_up_ns - now_ns();
        most = most > 0 ? most : 0;
    }
    int n = *told ? 0 : sleep_for(fds, most);
    (void)page_listen(call, HOST_AWAKE);
    return n;
}

/* The same for a host that waits elsewhere: it has come to look, and does not sleep. */
static int
look_for_word(struct sphttp_call *call, struct pollfd fds[WAITED], bool *told)
{
    if (call->plan.tell) {
        feed_beat(call);
        (void)page_listen(call, HOST_AWAKE);
        *told = round_is_due(call, round_listens(call));
    }
    return sleep_for(fds, 0);
}

/* The same. Where quick items end one after another the host naps first, and then sees
 * several at once: to be woken for each would cost more than the items. */
static int
sleep_till_word(struct sphttp_call *call, struct pollfd fds[WAITED], bool *told)
{
    struct host *host = call->host;
    if (host->in_loop) {
        return look_for_word(call, fds, told);
    }
    if (!call->plan.tell) {
        return sleep_for(fds, -1);
    }
    uint32_t listens = round_listens(call);
    if (listens != HOST_SLEEPS) {
        return sleep_in_round(call, fds, listens, told);
    }
    feed_beat(call);
    int n = 0;
    if (host->lively) {
        /* Who is idle by now may not have seen that. */
        bool none = page_listen(call, HOST_NAPS);
        n = none || !page_idle(call) ? sleep_for(fds, NAP_NS) : 0;
    }
    if (n == 0) {
        *told = !page_listen(call, HOST_SLEEPS); /* the bell may lag behind */
        n = sleep_for(fds, *told ? 0 : host->leaves ? SECOND : -1);
    }
    (void)page_listen(call, HOST_AWAKE);
    return n;
}

/* It hears that items have ended. */
static sphttp_event
hear_news(struct host *host)
{
    int64_t now = now_ns();
    host->silent = 0;
    host->lively = now - host->heard_ns < LIVELY_NS;
    host->heard_ns = now;
    return (sphttp_event){.kind = SPHTTP_NEWS};
}

/* Nothing came within a second. Is the nursery of a nest that leaves no good any more?
 * Somebody may have stopped it. */
static bool
is_silent(struct host *host)
{
    return host->leaves && ++host->silent >= SILENT_MOST;
}

/* Sleep until the nursery has something to say: SPHTTP_ENDED, it has; SPHTTP_NEWS;
 * SPHTTP_SIGNALS; SPHTTP_FAILED with EPIPE: it is gone. */
static sphttp_event
wait_for_word(struct sphttp_call *call)
{
    bool told = false;
    struct pollfd fds[] = {
        {.fd = call->host->host_end.fd, .events = POLLIN},
        {.fd = call->host->wake[0], .events = POLLIN},
        {.fd = call->host->heard.fd, .events = POLLIN},
        {.fd = call->host->beside, .events = POLLIN},
    };
    for (;;) {
        for (int i = 0; i < WAITED; i++) {
            fds[i].revents = 0;
        }
        int n = sleep_till_word(call, fds, &told);
        if (n < 0) {
            if (errno != EINTR) {
                return event_of(-errno);
            }
            if (call->host->wake[0] >= 0 || call->host->give_up_ns != 0) {
                return (sphttp_event){.kind = SPHTTP_SIGNALS};
            }
            continue; /* this thread handles no signals */
        }
        if (n == 0 && !told && call->host->in_loop) {
            return (sphttp_event){.kind = SPHTTP_STARTED};
        }
        if (n == 0 && !told && is_silent(call->host)) {
            return event_of(-EPIPE);
        }
        if (fds[SOCKET].revents != 0) {
            char byte;
            ssize_t n = recv(call->host->host_end.fd, &byte, 1, MSG_DONTWAIT);
            if (n > 0 && byte == WORD_OVER) {
                return event_of(0);
            }
            if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
                return event_of(-EPIPE);
            }
        }
        if (fds[WAKE].revents != 0) {
            (void)forward_signals(call);
            return (sphttp_event){.kind = SPHTTP_SIGNALS};
        }
        if (fds[BELL].revents != 0) {
            char rings[64];
            (void)read(call->host->heard.fd, rings, sizeof(rings));
        }
        if (told || fds[BELL].revents != 0) {
            return hear_news(call->host);
        }
        if (fds[BESIDE].revents != 0) {
            return (sphttp_event){.kind = SPHTTP_NEWS};
        }
        if (n == 0 && call->host->give_up_ns != 0) {
            return (sphttp_event){.kind = SPHTTP_STARTED};
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
    int64_t first = page_first_free(call);
    bool left = first >= 0 || call->ledger->total == UINT64_MAX;
    for (uint32_t i = 0; i < call->plan.count; i++) {
        page_settle(call, i, false);
    }
    /* The host may be what the next one waits for: it hears of those that are
     * lost, and lets others start. */
    news_drain(call, SPHTTP_FORK_AGAIN);
    /* A call that feeds may be endless. What one of its nurseries has brought forward
     * is worth another. */
    uint64_t ended = news_ended(call->host);
    bool in_vain = !call->plan.fed || ended == call->host->ended_before;
    call->host->nurseries_lost = in_vain ? call->host->nurseries_lost + 1 : 1;
    call->host->ended_before = ended;
    if (!left || page_stopped(call) != 0 ||
        call->host->nurseries_lost >= NURSERIES_MOST) {
        page_settle_all(call, false);
        return event_of(0);
    }
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
    return !host->ended && !host->round.over && host->nursery_pid == 0 &&
           !host->asked && host->refused == 0 && host->gathering == 0;
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
    if (err == 0 && all && call->host->round.over) {
        return the_end(call); /* its nursery and its children stay */
    }
    if (err == 0 && all) {
        if (!call->plan.command) { /* else it is to remove what is left if we are killed */
            /* It ends while the results are looked at: call_close waits for it. */
            dismiss_nursery(call, true);
        }
        call->host->ended = true;
        return the_end(call);
    }
    /* The nursery of a failed call is ended by call_close. */
    return err == 0 && !all ? (sphttp_event){.kind = SPHTTP_NEWS}
                            : event_of(err);
}

/* A nest's nursery may be yet to come: wait for it. SPHTTP_STARTED, it was there, or the
 * call was aborted, or it is still to come, for a host that waits elsewhere;
 * SPHTTP_NEWS, it has just come, and whoever waited for its word must wait again;
 * SPHTTP_SIGNALS; SPHTTP_FORK_AGAIN, it has ended before it had begun; SPHTTP_FAILED. */
static sphttp_event
nursery_arrives(struct sphttp_call *call)
{
    bool asked = call->host->asked;
    int err = nest_await(call);
    if (err == -EINTR) {
        return (sphttp_event){.kind = SPHTTP_SIGNALS};
    }
    if (err == -EAGAIN && call->host->asked) { /* else the server said so */
        return (sphttp_event){.kind = SPHTTP_STARTED};
    }
    if (err == 0 || call->ledger->aborted != 0) {
        bool news = asked && err == 0;
        return (sphttp_event){.kind = news ? SPHTTP_NEWS : SPHTTP_STARTED};
    }
    /* Once more, for the one that was killed at its birth. */
    bool again = err == -EPIPE &&
                 ++call->host->nurseries_lost < NURSERIES_MOST;
    return again ? (sphttp_event){.kind = SPHTTP_FORK_AGAIN} : event_of(err);
}

sphttp_event
call_finish(struct sphttp_call *call)
{
    if (call->host->gathering != 0) {
        return gather(call);
    }
    if (call->host->ended || call->host->round.over) {
        return the_end(call);
    }
    sphttp_event event = {.kind = SPHTTP_STARTED};
    if (call->host->nest) {
        event = nursery_arrives(call);
        if ((event.kind != SPHTTP_STARTED && event.kind != SPHTTP_NEWS) ||
            call->host->asked) {
            return event;
        }
    }
    call->host->doing = "waiting for the nursery";
    if (event.kind == SPHTTP_STARTED) {
        /* Without a nursery, it was aborted: see call_fork. */
        event = call->host->nursery_pid != 0 ? wait_for_word(call)
                                             : event_of(0);
    }
    if (event.kind == SPHTTP_FAILED && event.error == EPIPE) {
        if (call->host->round.on && call->host->give_up_ns != 0) {
            return (sphttp_event){.kind = SPHTTP_STARTED}; /* that may take seconds */
        }
        event = nursery_lost(call);
        call->host->round.spent = true;
        if (event.kind == SPHTTP_FORK_AGAIN && round_is_over(call)) {
            event.kind = SPHTTP_NEWS;
        }
    }
    if (event.kind == SPHTTP_ENDED) {
        event = event_of(nursery_trouble(call));
    }
    if (event.kind != SPHTTP_ENDED && event.kind != SPHTTP_NEWS) {
        return event;
    }
    runs_ask(call);
    news_drain(call, event.kind);
    if (event.kind == SPHTTP_NEWS && round_is_over(call)) {
        /* Items may have not begun for want of a child, and it has not said so yet. */
        int err = news_all_told(call) ? 0 : nursery_trouble(call);
        if (err != 0) {
            return event_of(err);
        }
        call->host->round.over = true;
        event.kind = SPHTTP_ENDED;
    }
    call->host->gathering = event.kind;
    return gather(call);
}

void
call_close(struct sphttp_call *call)
{
    strangers_spare(call);
    bool ended = call->host->ended;
    bool removed = (ended && !call->plan.command) || call->page == NULL;
    if (ended && !removed) { /* what commands have printed is still there */
        files_remove(call);
        dismiss_nursery(call, true);
    }
    else if (!ended) {
        dismiss_nursery(call, false);
    }
    end_nursery(call);
    call->host->ended = true;
    if (!removed) { /* where the nursery was lost, or did not answer, it is ours to do */
        files_remove(call);
    }
    forks_lock();
    held_close(&call->directory);
    held_close(&call->memory);
    held_close(&call->items);
    close_end(&call->host->files[0]);
    close_end(&call->host->files[1]);
    news_close(call);
    terminal_leave(call);
    forks_unlock();
}

/* --- What Python asks for ----------------------------------------------------- */

void
sphttp_call_stop(sphttp_call *call)
{
    page_stop(call->page, STOP_NEW);
    forks_lock(); /* whoever drives the call may be closing its socket */
    socket_look(call);
    forks_unlock();
}

int
sphttp_call_stopping(const sphttp_call *call)
{
    return page_stopped(call) != 0;
}

int
sphttp_call_overdue(const sphttp_call *call)
{
    return call->ledger->deadline_ns == OVERDUE;
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
