/* What the nursery does about time, and about a call that is cut short. Its clocks
 * are its own: what the page says of a time is taken where it can be true. */
#include "nursery/limits.h"

#include "nursery/hands.h"
#include "nursery/kill.h"
#include "nursery/strays.h"

/* The child whose hand it is; 0: there is none. */
static pid_t
child_of(const struct sphttp_call *call, uint32_t hand)
{
    return call->ledger->living[hand / call->plan.lanes].pid;
}

/* A clock that began before our children were stopped, and was not seen until they
 * went on, begins then. */
static int64_t
not_while_stopped(const struct nursery *nursery, int64_t since)
{
    return since > nursery->resumed_ns ? since : nursery->resumed_ns;
}

/* See what one hand has, and since when. */
static void
look_at(const struct nursery *nursery, uint32_t hand, int64_t now)
{
    struct sphttp_call *call = nursery->call;
    struct seen *seen = &call->nursery->seen[hand];
    int64_t born = call->ledger->living[hand / call->plan.lanes].forked_ns;
    /* In this order: of an item that is taken meanwhile the clock is younger. */
    uint32_t item = hand_item(call, hand);
    uint64_t number = item != 0 ? page_number(call, item - 1) : 0;
    int64_t since = page_since(call, hand, born, now);
    bool runs = item != 0 && page_runs(call, item - 1, hand);
    /* What was not there the last time has begun since. */
    if (since != 0 && since < seen->looked) {
        since = seen->looked;
    }
    seen->looked = now;
    /* Once it was, it is. */
    seen->ready = seen->ready || !call->plan.setup || since != 0;
    if (!runs) {
        seen->item = 0;
        int64_t leaving;
        if (call->plan.lanes > 1 || /* it never says so; and another hand may be busy */
            page_leaving(call, hand, born, now, &leaving) == 0) {
            seen->leaving = 0;
        }
        else if (seen->leaving == 0) {
            seen->leaving =
                not_while_stopped(nursery, leaving != 0 ? leaving : now);
        }
        return;
    }
    if (seen->item != item || seen->number != number) {
        seen->item = item;
        seen->number = number;
        seen->since = seen->leaving = 0;
    }
    if (seen->since == 0 && seen->ready) {
        seen->since = not_while_stopped(nursery, since != 0 ? since : now);
    }
}

void
limits_look(const struct nursery *nursery)
{
    const struct sphttp_call *call = nursery->call;
    int64_t now = now_ns();
    for (uint32_t hand = 0; hand < call->plan.hands; hand++) {
        if (child_of(call, hand) != 0) {
            look_at(nursery, hand, now);
        }
    }
}

void
limits_shift(struct sphttp_call *call, int64_t ns)
{
    for (uint32_t hand = 0; hand < call->plan.hands; hand++) {
        struct seen *seen = &call->nursery->seen[hand];
        seen->since += seen->since != 0 ? ns : 0;
        seen->leaving += seen->leaving != 0 ? ns : 0;
    }
}

/* Give up what is in this hand, and kill its child. `item` is 1 + its index. */
static void
kill_item(struct sphttp_call *call, uint32_t hand, uint32_t item,
          uint64_t number, uint64_t kind)
{
    int64_t index = hand_give_up_number(call, hand, item, number, kind);
    if (index >= 0) { /* else it has just been committed */
        call->nursery->seen[hand].asked = index;
        kill_with_group(child_of(call, hand));
    }
}

/* Kill a child that does not come to its end. What it has committed stands. */
static void
kill_leaver(struct sphttp_call *call, uint32_t hand)
{
    int64_t since;
    if (page_find(call, hand) >= 0) {
        return; /* somebody else has said that it leaves */
    }
    struct remark *remark = &call->ledger->overstayed;
    if (remark->pid == 0) {
        remark->what = page_leaving(call, hand, 0, INT64_MAX, &since);
        remark->pid = child_of(call, hand);
    }
    kill_with_group(child_of(call, hand));
}

/* When the time of what a hand has, or of its child's end, has run out; INT64_MAX: no
 * clock runs. */
static int64_t
end_of(const struct sphttp_call *call, uint32_t hand)
{
    const struct seen *seen = &call->nursery->seen[hand];
    int64_t since = seen->item != 0 ? seen->since : seen->leaving;
    int64_t most = seen->item != 0 ? call->plan.timeout_ns
                                   : call->plan.leave_ns;
    return child_of(call, hand) != 0 && since != 0 && most != 0 ? since + most
                                                                : INT64_MAX;
}

void
limits_enforce(struct nursery *nursery)
{
    struct sphttp_call *call = nursery->call;
    int64_t timeout = call->plan.timeout_ns, leave = call->plan.leave_ns;
    int64_t now = now_ns();
    if (call->plan.deadline_ns != 0 && now >= call->plan.deadline_ns &&
        call->ledger->stop != STOP_ALL) {
        call->ledger->overdue = 1;
        call->ledger->stop = STOP_ALL;
        page_stop(call->page, STOP_ALL);
    }
    if (nursery->paused || now < nursery->due_ns) {
        return;
    }
    limits_look(nursery);
    if (nursery->due_ns != 0) {
        strays_settle(nursery);
    }
    /* Whatever a child begins from now on has all its time before it: so until then
     * nobody need look again. */
    int64_t next = now + (timeout != 0 && timeout < leave ? timeout : leave);
    if (call->plan.hold) {
        strays_find_held(call);
        page_wake(call->page); /* if the count of the sleepers was written over */
        if (next > now + SECOND) {
            next = now + SECOND; /* the host may wait for news that was lost */
        }
    }
    for (uint32_t hand = 0; hand < call->plan.hands; hand++) {
        struct seen *seen = &call->nursery->seen[hand];
        int64_t end = end_of(call, hand);
        if (end > now) {
            next = end < next ? end : next;
        }
        else if (seen->item != 0) {
            kill_item(call, hand, seen->item, seen->number, ITEM_LATE);
            seen->item = 0;
        }
        else {
            kill_leaver(call, hand);
            seen->leaving = now; /* killed is killed */
        }
    }
    nursery->due_ns = next;
}

int64_t
limits_next(const struct nursery *nursery)
{
    const struct sphttp_call *call = nursery->call;
    int64_t deadline = call->plan.deadline_ns;
    int64_t next = deadline != 0 ? deadline : INT64_MAX;
    /* A host that lets items start waits for news of others. */
    bool clocks = !nursery->paused &&
                  (nursery->running > 0 || call->plan.hold);
    return clocks && nursery->due_ns < next ? nursery->due_ns : next;
}

bool
limits_cut(struct sphttp_call *call, bool spare_nurseries)
{
    for (uint32_t hand = 0; hand < call->plan.hands; hand++) {
        uint32_t item = hand_item(call, hand);
        if (child_of(call, hand) != 0 && item != 0) {
            kill_item(call, hand, item, page_number(call, item - 1),
                      ITEM_CUT);
        }
    }
    return kill_all(call, spare_nurseries);
}
