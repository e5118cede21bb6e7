/* The nursery: the one process that a call forks from its host. It never runs
 * Python. It makes the scratch directory, forks the children, waits for them,
 * and ends: at a goodbye by leaving, at anything else as kill.c says. It calls
 * only what is async-signal-safe, since it was forked among threads, and it
 * allocates nothing. */
#include "nursery/nursery.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child/hand.h"
#include "digest/child.h"
#include "nursery/ahead.h"
#include "nursery/birth.h"
#include "nursery/command.h"
#include "nursery/hands.h"
#include "nursery/kill.h"
#include "nursery/limits.h"
#include "nursery/nest.h"
#include "nursery/next.h"
#include "nursery/pause.h"
#include "nursery/strangers.h"
#include "nursery/strays.h"
#include "shared/news.h"
#include "shared/pool.h"
#include "shared/runs.h"
#include "shared/store.h"

/* A fork was refused: go on with the children there are; without any, try again
 * for a second. */
static void
be_refused(struct nursery *nursery, int err)
{
    int64_t now = now_ns();
    bool scarce = err == EAGAIN || err == ENOMEM || err == EMFILE ||
                  err == ENFILE; /* the last two: for what a command prints */
    if (nursery->running > 0) {
        nursery->hungry_ns = 0;
    }
    else if (nursery->hungry_ns == 0) {
        nursery->hungry_ns = now;
    }
    if (!scarce || (nursery->running == 0 &&
                    now - nursery->hungry_ns >= SECOND)) {
        (void)fail_call(nursery->call, TROUBLE_FORK, err);
        return;
    }
    nursery->starved = true;
    /* Those who sleep take what was to be the new child's, of one that died. */
    page_wake(nursery->call->page);
    nursery->again_ns = nursery->running > 0 ? INT64_MAX : now + 10000000;
}

/* Fork a child that goes on here. As bare_fork. */
static pid_t
fork_alike(const struct nursery *nursery)
{
    nursery_expect(nursery);
    return bare_fork();
}

/* Fork a child into `slot`: for item `index`, or a pool's, which takes an item
 * itself. True in the child. */
static bool
fork_child(struct nursery *nursery, uint32_t index, uint32_t slot)
{
    struct sphttp_call *call = nursery->call;
    struct report *report = &call->report[index];
    call->child.slot = slot;
    call->child.left = call->plan.quota != 0 ? call->plan.quota : UINT64_MAX;
    call->child.hand = slot * call->plan.lanes;
    for (uint32_t lane = 0; lane < call->plan.lanes; lane++) {
        page_clear_hand(call, call->child.hand + lane);
        nursery->seen[call->child.hand + lane] = (struct seen){
            .asked = call->plan.pool ? -1 : (int64_t)index};
    }
    call->living[slot].forked_ns = now_ns();
    if (!call->plan.pool) {
        report->started_ns = now_ns();
        report->attempts++;
        page_hand_out(call, index, call->child.hand);
    }
    call->ledger->born = slot + 1;
    pid_t pid = call->plan.command ? command_start(nursery, index)
                                   : fork_alike(nursery);
    if (pid == 0) {
        child_begin(nursery, call->plan.pool ? slot : index);
        return true;
    }
    int err = errno;
    close_end(&call->child.pulse.fd);
    if (pid < 0) {
        call->ledger->born = 0;
        if (!call->plan.pool) {
            page_free_item(call, index);
            report->started_ns = 0;
            report->attempts--;
        }
        be_refused(nursery, err);
        return false;
    }
    if (!call->plan.pool) {
        report->pid = pid;
        nursery->next++; /* what is free below is found again */
    }
    call->living[slot].born_ns = now_ns();
    call->living[slot].pid = pid; /* last: who sees it sees the rest */
    call->ledger->born = 0;
    nursery->running++;
    nursery->hungry_ns = 0;
    return false;
}

/* The child of this hand has ended: settle its item. False: nobody knows that it
 * began one. */
static bool
finish_hand(struct nursery *nursery, uint32_t hand, int status,
            const struct rusage *usage)
{
    struct sphttp_call *call = nursery->call;
    uint32_t item = strays_item_left(call, hand, status);
    uint64_t kind = hand_kind_of_lost(call, item);
    int64_t lost = hand_give_up(call, hand, item, kind);
    int64_t index = lost >= 0 ? lost : nursery->seen[hand].asked;
    if (index < 0 && (index = ahead_served(call, hand)) >= 0) {
        hand_note_begun(call, hand, (uint32_t)index + 1);
    }
    if (index < 0) { /* a pool's, and it had nothing in hand */
        return call->plan.kept && page_hand_gone(call, hand);
    }
    struct report *report = &call->report[index];
    /* An item is begun so often and no more, unless its word was freed by a stray. */
    bool begun = report->attempts <= (uint64_t)call->plan.retries + 1;
    /* Also of one that is tried again: it may come to nothing more. */
    report->pid = call->living[hand / call->plan.lanes].pid;
    report->wait_status = status;
    report->max_rss = (int64_t)usage->ru_maxrss * 1024;
    report->cpu_ns =
        (int64_t)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * SECOND +
        (int64_t)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) * 1000;
    if (lost >= 0 && kind == ITEM_FREE) {
        report->lives++;
        page_set_again(call, hand, (uint32_t)index);
        store_remove(call, (uint32_t)index); /* half a one, or not committed */
        uint64_t number = page_number(call, (uint32_t)index);
        if (number < nursery->next) {
            nursery->next = number;
        }
        return begun;
    }
    page_settle(call, (uint32_t)index, true);
    if (!item_committed(page_item(call, (uint32_t)index)) &&
        (call->ledger->how & ROUND_STOP) != 0) {
        page_stop(call->page, (uint32_t)call->ledger->how & ROUND_STOP);
    }
    report->ended_ns = now_ns();
    return begun;
}

/* A child that ends before its setup has will not be the only one. */
static void
note_unready(struct nursery *nursery, uint32_t slot, int status)
{
    struct sphttp_call *call = nursery->call;
    const struct alive *child = &call->living[slot];
    uint32_t hand = slot * call->plan.lanes;
    struct remark *remark = &call->ledger->unready;
    if (!call->plan.setup || nursery->seen[hand].ready ||
        page_since(call, hand, child->forked_ns, now_ns()) != 0 ||
        page_stopped(call) == STOP_ALL) {
        return;
    }
    if (remark->pid == 0) {
        remark->what = status;
        remark->pid = child->pid;
    }
    page_stop(call->page, STOP_NEW);
}

/* Has a child that ended with nothing in hand taken all that it may? So many may have
 * as the items suffice for. */
static bool
may_have_served(struct nursery *nursery)
{
    const struct sphttp_call *call = nursery->call;
    uint64_t quota = call->plan.quota;
    bool may = quota != 0 && nursery->served < call->ledger->watermark / quota;
    nursery->served += may;
    return may;
}

/* The child in `slot` has ended. */
static void
finish_slot(struct nursery *nursery, uint32_t slot, int status,
            const struct rusage *usage)
{
    struct sphttp_call *call = nursery->call;
    if (call->plan.command) {
        command_ended(nursery, slot, status);
    }
    note_unready(nursery, slot, status);
    nest_note_death(nursery, slot, status);
    bool gone = call->plan.kept && page_hand_gone(call, slot);
    bool begun = false;
    for (uint32_t lane = 0; lane < call->plan.lanes; lane++) {
        uint32_t hand = slot * call->plan.lanes + lane;
        begun = finish_hand(nursery, hand, status, usage) || begun;
        runs_orphan(call, hand);
    }
    uint64_t fed = call->plan.fed ? (uint64_t)call->ledger->watermark : 0;
    if (begun || fed != nursery->fed) { /* the host feeds where items end */
        nursery->fed = fed;
        nursery->fruitless = 0;
    }
    else if (!may_have_served(nursery)) {
        nursery->fruitless++;
    }
    if (call->plan.kept) {
        nest_clear_hand(call, slot, gone);
    }
    /* One that was killed may not have rung. */
    if (!gone || !WIFEXITED(status) ||
        (call->ledger->how & ROUND_REAPED) != 0) {
        news_tell_again(call);
    }
    /* Reaped: from now on the number may be anybody's. */
    call->living[slot].pid = 0;
    nursery->running--;
    nursery->starved = false;
}

/* A child has ended. What is in no slot was left to us by one that is gone. */
static void
note_end(void *whose, pid_t pid, int status, const struct rusage *usage)
{
    struct nursery *nursery = whose;
    for (uint32_t i = 0; i < nursery->call->plan.alive; i++) {
        if (nursery->call->living[i].pid == pid) {
            finish_slot(nursery, i, status, usage);
            return;
        }
    }
}

/* What the host has to say. Leaves at a goodbye, ends everything where it is gone. */
static void
hear_host(struct nursery *nursery)
{
    char byte = BYTE_LOOK; /* the ledger says more */
    ssize_t n = recv(nursery->host, &byte, 1, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        end_everything(nursery);
    }
    if (byte == BYTE_GOODBYE) {
        _exit(0); /* the host has removed the scratch directory */
    }
    if (byte == BYTE_COUNT) {
        nursery->counts = true; /* who has ended is reaped first */
    }
    if (byte == BYTE_PAUSE) {
        nursery_pause(nursery);
    }
    else if (byte == BYTE_RESUME) {
        nursery_resume(nursery);
    }
}

/* Sleep until a child ends, the host speaks or dies, or it is `end`, by now_ns. */
static void
wait_for_event(struct nursery *nursery, int64_t end)
{
    struct pollfd fds[] = {
        {.fd = nursery->host, .events = POLLIN},
        {.fd = nursery->child_ends, .events = POLLIN},
        {.fd = nursery->host_process, .events = POLLIN},
    };
    int64_t ns = end - now_ns();
    ns = ns > 0 ? ns : 0;
    struct timespec left = {ns / SECOND, ns % SECOND};
    if (ppoll(fds, 3, end == INT64_MAX ? NULL : &left, NULL) <= 0) {
        return;
    }
    if (fds[1].revents != 0) {
        struct signalfd_siginfo ended;
        (void)read(nursery->child_ends, &ended, sizeof(ended));
    }
    if (fds[0].revents != 0) { /* first: its goodbye may be there too */
        hear_host(nursery);
    }
    else if (fds[2].revents != 0) {
        end_everything(nursery);
    }
}

/* It is all over: tell the host to look at the page. This never blocks: a host
 * that does not read must not stop what goes on here. */
static void
tell_host(struct nursery *nursery)
{
    nursery->reported = true;
    /* In a call that was not stopped, what says that it is free is nobody's either. */
    page_settle_all(nursery->call, page_stopped(nursery->call) == 0);
    page_set_rung(nursery->call, true); /* the socket wakes it */
    (void)send(nursery->host, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* A child may have made a call of its own, and died. Does the nursery of that call
 * still have time to clean up? It gets one second. */
static bool
nested_may_end(struct nursery *nursery)
{
    if (nursery->patience_ns == 0) {
        nursery->patience_ns = now_ns() + SECOND;
    }
    return now_ns() < nursery->patience_ns;
}

/* No child can be forked now: do everything else. Returns the time, by now_ns, until
 * which the nursery may sleep. `left`: there are processes below this one. */
static int64_t
tend(struct nursery *nursery, bool left)
{
    struct sphttp_call *call = nursery->call;
    uint32_t stop = page_stopped(call);
    if (stop == STOP_ALL && left) {
        bool wait = nested_may_end(nursery);
        bool listed = limits_cut(call, wait);
        /* For a stranger that must not be killed, another user's, not for ever. */
        bool hope = now_ns() < nursery->patience_ns + 2 * SECOND;
        bool ours = nursery->running > 0 &&
                    (hope || !all_are_strangers(call));
        if (wait || (hope && listed) || ours) {
            return now_ns() + 5000000;
        }
        /* Let go of those that cannot be killed. */
        for (uint32_t slot = 0; slot < call->plan.alive; slot++) {
            call->living[slot].pid = 0;
        }
        nursery->running = 0;
    }
    bool over = nursery->running == 0 &&
                (nest_stopped(nursery) || nest_leaves(call) || /* it forks none */
                 nursery->next >= call->ledger->total ||
                 strays_spent(nursery));
    if (over && stop == 0 && strays_find_forgotten(nursery)) {
        return 0;
    }
    if (!over) {
        int64_t next = limits_next(nursery);
        return nursery->starved && nursery->again_ns < next
                   ? nursery->again_ns
                   : next;
    }
    if (!nursery->reported && left && nested_may_end(nursery) &&
        kill_children(0) > 0) {
        return now_ns() + 2000000;
    }
    if (!nursery->reported) {
        tell_host(nursery);
    }
    return INT64_MAX;
}

/* What a child does before it is Python's; its first item's index. */
static uint32_t
be_child(struct sphttp_call *call, uint32_t index)
{
    if (call->plan.pool) {
        pool_enter(call);
    }
    if (call->plan.digest != NULL) {
        digest_serve(call, index); /* it never comes back */
    }
    if (call->plan.kept) {
        return 0; /* it gets ready first */
    }
    int64_t taken = call->plan.pool ? hand_take(call, 0) : index;
    if (taken < 0) { /* others have taken all there was */
        sphttp_child_begin(call); /* it does not end for want of its setup */
        _exit(0);
    }
    return (uint32_t)taken;
}

int
nursery_open(struct sphttp_call *call)
{
    size_t seen = call->plan.hands * sizeof(struct seen);
    struct nursery *nursery = calloc(1, sizeof(*nursery) + seen);
    if (nursery == NULL) {
        return -ENOMEM;
    }
    nursery->call = call;
    nursery->given = -1;
    call->nursery = nursery;
    if (call->plan.command) {
        nursery->commands = commands_open(call->plan.alive);
    }
    return call->plan.command && nursery->commands == NULL ? -ENOMEM : 0;
}

void
nursery_free(struct nursery *nursery)
{
    if (nursery != NULL) {
        commands_free(nursery->commands);
    }
    free(nursery);
}

uint32_t
nursery_run(struct sphttp_call *call)
{
    struct nursery *nursery = call->nursery;
    (void)nursery_begin(nursery, call); /* where it failed, no child is forked */
    for (;;) {
        int64_t slot = next_slot(nursery);
        uint32_t index = nursery->index;
        if (slot >= 0 && fork_child(nursery, index, (uint32_t)slot)) {
            return be_child(call, index);
        }
        bool left = reap_ended(note_end, nursery);
        if (nursery->counts) {
            strangers_count(nursery);
            nursery->counts = false;
        }
        nest_note_stop(nursery);
        page_mend(call);
        /* Before it looks: what the host lets start from then on, it tells. */
        nest_expect(nursery);
        limits_enforce(nursery); /* also while there are children to fork */
        int64_t until = next_slot(nursery) >= 0 ? 0 : tend(nursery, left);
        nest_sleeps(nursery, until);
        wait_for_event(nursery, until);
    }
}
