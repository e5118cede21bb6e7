/* The nursery: the one process that a call forks from its host. It never runs
 * Python. It makes the scratch directory, forks the children, waits for them,
 * and ends: at a goodbye by leaving, at anything else as kill.c says. It calls
 * only what is async-signal-safe, since it was forked among threads, and it
 * allocates nothing. */
#include "nursery/nursery.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Note that item `index` is in that hand. */
static void
hand_out(struct sphttp_call *call, uint32_t index, uint32_t hand)
{
    call->report[index].started_ns = now_ns();
    call->report[index].attempts++;
    page_hand_out(call, index, hand);
}

static void
take_back(struct sphttp_call *call, uint32_t index)
{
    page_free_item(call, index);
    call->report[index].started_ns = 0;
    call->report[index].attempts--;
}

/* A fork was refused: go on with the children there are; without any, try again
 * for a second. */
static void
be_refused(struct nursery *nursery, int err)
{
    int64_t now = now_ns();
    bool scarce = err == EAGAIN || err == ENOMEM;
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
    nursery->again_ns = nursery->running > 0 ? INT64_MAX : now + 10000000;
}

/* Fork a child into `slot`: for item `index`, or a pool's, which takes an item
 * itself. True in the child. */
static bool
fork_child(struct nursery *nursery, uint32_t index, uint32_t slot)
{
    struct sphttp_call *call = nursery->call;
    call->slot = slot;
    call->hand = slot * call->lanes;
    for (uint32_t lane = 0; lane < call->lanes; lane++) {
        page_clear_hand(call, call->hand + lane);
        call->seen[call->hand + lane] = (struct seen){
            .asked = call->pool ? -1 : (int64_t)index};
    }
    call->living[slot].forked_ns = now_ns();
    if (!call->pool) {
        hand_out(call, index, call->hand);
    }
    nursery_expect(nursery);
    pid_t pid = bare_fork();
    if (pid == 0) {
        child_begin(nursery, call->pool ? slot : index);
        return true;
    }
    int err = errno;
    close_end(&call->pulse.fd);
    if (pid < 0) {
        if (!call->pool) {
            take_back(call, index);
        }
        be_refused(nursery, err);
        return false;
    }
    if (!call->pool) {
        call->report[index].pid = pid;
        nursery->next = index + 1;
    }
    call->living[slot].born_ns = now_ns();
    call->living[slot].pid = pid; /* last: who sees it sees the rest */
    nursery->running++;
    nursery->hungry_ns = 0;
    return false;
}

/* Is there a free item among those set aside for the child of this slot? */
static bool
slot_left(const struct sphttp_call *call, uint32_t slot)
{
    bool left = false;
    for (uint32_t lane = 0; lane < call->lanes; lane++) {
        left = left || page_set_aside(call, slot * call->lanes + lane) >= 0;
    }
    return left;
}

/* A free slot while a child may be forked, else -1. */
static int64_t
slot_to_fill(struct nursery *nursery)
{
    const struct sphttp_call *call = nursery->call;
    if (nursery->starved && now_ns() >= nursery->again_ns) {
        nursery->starved = false;
    }
    if (page_stopped(call) != 0 || nursery->starved || nursery->paused ||
        nursery->told || strays_spent(nursery) || nursery->running >= call->alive) {
        return -1;
    }
    if (call->pool) {
        nursery->next = page_next(call);
    }
    /* After the loss of a nursery the next one finds gaps. */
    while (nursery->next < call->count &&
           page_item(call, nursery->next) != ITEM_FREE) {
        nursery->next++;
    }
    bool any = nursery->next < call->count &&
               (!call->hold || nursery->next < call->ledger->watermark);
    uint32_t slot = nursery->next % call->alive; /* most often the free one */
    for (uint32_t i = 0; i < call->alive; i++) {
        bool wanted = any || (call->pool && slot_left(call, slot));
        if (call->living[slot].pid == 0 && wanted) {
            return slot;
        }
        slot = (slot + 1) % call->alive;
    }
    return -1;
}

/* The child whose hand it is has ended. False: it cannot be told that it has begun
 * anything. */
static bool
finish_hand(struct nursery *nursery, uint32_t hand, int status,
            const struct rusage *usage)
{
    struct sphttp_call *call = nursery->call;
    uint32_t item = strays_item_left(call, hand, status);
    uint64_t kind = hand_kind_of_lost(call, item);
    int64_t lost = hand_give_up(call, hand, item, kind);
    int64_t index = lost >= 0 ? lost : call->seen[hand].asked;
    if (index < 0) {
        return false; /* a pool's, and it had nothing in hand */
    }
    /* An item is begun so often and no more, unless its word was freed by a stray. */
    bool begun = call->report[index].attempts <= (uint64_t)call->retries + 1;
    if (lost >= 0 && kind == ITEM_FREE) {
        call->lives[index]++;
        record_remove(call, (uint32_t)index); /* half a one, or not committed */
        nursery->next = index < nursery->next ? (uint32_t)index : nursery->next;
        return begun;
    }
    page_settle(call, (uint32_t)index, true);
    struct report *report = &call->report[index];
    report->pid = call->living[hand / call->lanes].pid;
    report->wait_status = status;
    report->max_rss = (int64_t)usage->ru_maxrss * 1024;
    report->cpu_ns =
        (int64_t)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * SECOND +
        (int64_t)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) * 1000;
    report->ended_ns = now_ns();
    if (!item_committed(page_item(call, (uint32_t)index)) &&
        call->stop_at_failure != 0) {
        page_stop(call->page, call->stop_at_failure);
    }
    (void)news_push(call, (uint32_t)index);
    return begun;
}

/* A child that ends before its setup has will not be the only one. */
static void
note_unready(struct nursery *nursery, uint32_t slot, int status)
{
    struct sphttp_call *call = nursery->call;
    const struct alive *child = &call->living[slot];
    uint32_t hand = slot * call->lanes;
    struct remark *remark = &call->ledger->unready;
    if (!call->setup || call->seen[hand].ready ||
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

/* The child in `slot` has ended. */
static void
finish_slot(struct nursery *nursery, uint32_t slot, int status,
            const struct rusage *usage)
{
    struct sphttp_call *call = nursery->call;
    note_unready(nursery, slot, status);
    bool begun = false;
    for (uint32_t lane = 0; lane < call->lanes; lane++) {
        uint32_t hand = slot * call->lanes + lane;
        begun = finish_hand(nursery, hand, status, usage) || begun;
    }
    nursery->fruitless = begun ? 0 : nursery->fruitless + 1;
    if (call->pool) {
        news_missed(call);
    }
    /* Reaped: from now on the number may be anybody's. */
    call->living[slot].pid = 0;
    nursery->running--;
    nursery->starved = false;
}

/* Take note of every child that has ended. Any may be waited for here: what
 * is not in a slot was left to us by one that is gone. True: others live. */
static bool
reap_ended(struct nursery *nursery)
{
    const struct sphttp_call *call = nursery->call;
    for (;;) {
        int status;
        struct rusage usage;
        pid_t pid = wait4(-1, &status, WNOHANG, &usage);
        if (pid <= 0) {
            return pid == 0;
        }
        for (uint32_t i = 0; i < call->alive; i++) {
            if (call->living[i].pid == pid) {
                finish_slot(nursery, i, status, &usage);
                break;
            }
        }
    }
}

/* What the host has to say. Leaves at a goodbye, ends everything where it is gone. */
static void
hear_host(struct nursery *nursery)
{
    char byte = BYTE_LOOK;
    ssize_t n = recv(nursery->host, &byte, 1, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        end_everything(nursery);
    }
    if (n < 0) {
        return;
    }
    switch (byte) {
    case BYTE_GOODBYE:
        _exit(0); /* the host has removed the scratch directory */
    case BYTE_PAUSE:
        nursery_pause(nursery);
        break;
    case BYTE_RESUME:
        nursery_resume(nursery);
        break;
    default:
        break; /* the ledger says more */
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

/* Take to heart what the page says, and write into it again what stands there for
 * children to read, should somebody have scribbled. */
static void
mind_page(struct nursery *nursery)
{
    struct sphttp_call *call = nursery->call;
    call->ledger->stop = page_stopped(call);
    page_mend(call);
}

/* It is all over: tell the host to look at the page. This never blocks: a host
 * that does not read must not stop what goes on here. */
static void
tell_host(struct nursery *nursery)
{
    nursery->told = true;
    strays_settle_all(nursery);
    (void)send(nursery->host, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* May nurseries of calls that our children made, and did not live to see the end
 * of, still clean up after themselves? This call ends after they have. */
static bool
patient(struct nursery *nursery)
{
    if (nursery->patience_ns == 0) {
        nursery->patience_ns = now_ns() + SECOND;
    }
    return now_ns() < nursery->patience_ns;
}

/* Let go of children that cannot be killed. */
static void
forget_strangers(struct nursery *nursery)
{
    for (uint32_t i = 0; i < nursery->call->alive; i++) {
        nursery->call->living[i].pid = 0;
    }
    nursery->running = 0;
}

/* What there is to do when no child can be forked. Until when there is nothing
 * more, by now_ns. `left`: there are processes below this one. */
static int64_t
tend(struct nursery *nursery, bool left)
{
    struct sphttp_call *call = nursery->call;
    uint32_t stop = page_stopped(call);
    if (stop == STOP_ALL && left) {
        bool wait = patient(nursery);
        bool listed = limits_cut(call, wait);
        /* For a stranger that must not be killed, another user's, not for ever. */
        bool hope = now_ns() < nursery->patience_ns + 2 * SECOND;
        bool ours = nursery->running > 0 &&
                    (hope || !all_are_strangers(call));
        if (wait || (hope && listed) || ours) {
            return now_ns() + 5000000;
        }
        forget_strangers(nursery);
    }
    bool over = nursery->running == 0 &&
                (stop != 0 || nursery->next >= call->count || strays_spent(nursery));
    if (over && stop == 0 && strays_find_forgotten(nursery)) {
        return 0;
    }
    if (!over) {
        int64_t next = limits_next(nursery);
        return nursery->starved && nursery->again_ns < next
                   ? nursery->again_ns
                   : next;
    }
    if (!nursery->told && left && patient(nursery) && kill_children(0) > 0) {
        return now_ns() + 2000000;
    }
    if (!nursery->told) {
        tell_host(nursery);
    }
    return INT64_MAX;
}

/* What a child does before it is Python's; its first item's index. */
static uint32_t
be_child(struct sphttp_call *call, uint32_t index)
{
    if (call->pool) {
        pool_enter(call);
    }
    if (call->digest != NULL) {
        digest_serve(call, index); /* it never comes back */
    }
    int64_t taken = call->pool ? hand_take(call, 0) : index;
    if (taken < 0) { /* others have taken all there was */
        sphttp_child_begin(call); /* it does not end for want of its setup */
        _exit(0);
    }
    return (uint32_t)taken;
}

uint32_t
nursery_run(struct sphttp_call *call)
{
    struct nursery nursery;
    (void)nursery_begin(&nursery, call); /* where it failed, no child is forked */
    for (;;) {
        int64_t slot = slot_to_fill(&nursery);
        uint32_t index = nursery.next;
        if (slot >= 0 && fork_child(&nursery, index, (uint32_t)slot)) {
            return be_child(call, index);
        }
        bool left = reap_ended(&nursery);
        mind_page(&nursery);
        limits_enforce(&nursery); /* also while there are children to fork */
        int64_t until = slot_to_fill(&nursery) >= 0 ? 0 : tend(&nursery, left);
        wait_for_event(&nursery, until);
    }
}
