/* What the nursery does about time, and about a call that is cut short. */
#include "internal.h"

/* The child whose hand it is; 0: there is none. */
static pid_t
child_of(const struct sphttp_call *call, uint32_t hand)
{
    return call->pids[hand / call->lanes];
}

/* What is in a hand, 1 + its index, and since when, by now_ns. False: nothing, or
 * its clock does not run yet. */
static bool
in_hand(const struct sphttp_call *call, uint32_t hand, uint32_t *item,
        int64_t *since_ns)
{
    if (child_of(call, hand) == 0) {
        return false;
    }
    /* In this order: of an item that is taken meanwhile the clock is younger. */
    *item = hand_item(call, hand);
    *since_ns = call->hands[hand].since_ns;
    return *item != 0 && *since_ns != 0 &&
           call->state[*item - 1] == item_running(hand);
}

/* Give up item 1 + `item` of a hand, and kill its child. */
static void
kill_item(struct sphttp_call *call, uint32_t hand, uint32_t item,
          uint64_t kind)
{
    int64_t index = hand_give_up(call, hand, item, kind);
    if (index >= 0) { /* else it has just been committed */
        call->asked[hand] = index;
        kill_with_group(child_of(call, hand));
    }
}

void
limits_enforce(struct sphttp_call *call)
{
    if (call->timeout_ns == 0 && call->deadline_ns == 0) {
        return;
    }
    int64_t now = now_ns();
    if (call->deadline_ns != 0 && now >= call->deadline_ns &&
        call->page->stop != STOP_ALL) {
        call->page->overdue = 1;
        hand_stop(call->page, STOP_ALL);
    }
    uint32_t hands = call->timeout_ns != 0 ? call->alive * call->lanes : 0;
    for (uint32_t hand = 0; hand < hands; hand++) {
        uint32_t item;
        int64_t since;
        if (in_hand(call, hand, &item, &since) &&
            now - since >= call->timeout_ns) {
            kill_item(call, hand, item, ITEM_LATE);
        }
    }
}

int64_t
limits_next(const struct sphttp_call *call)
{
    int64_t next = INT64_MAX;
    if (call->deadline_ns != 0) {
        next = call->deadline_ns;
    }
    if (call->timeout_ns == 0) {
        return next;
    }
    /* Whatever a child takes from now on has all its time before it. */
    int64_t fresh = now_ns() + call->timeout_ns;
    for (uint32_t hand = 0; hand < call->alive * call->lanes; hand++) {
        uint32_t item;
        int64_t since;
        int64_t end = fresh;
        if (in_hand(call, hand, &item, &since)) {
            end = since + call->timeout_ns;
        }
        if (child_of(call, hand) != 0 && end < next) {
            next = end;
        }
    }
    return next;
}

bool
limits_cut(struct sphttp_call *call, bool patient)
{
    for (uint32_t hand = 0; hand < call->alive * call->lanes; hand++) {
        uint32_t item = hand_item(call, hand);
        if (child_of(call, hand) != 0 && item != 0) {
            kill_item(call, hand, item, ITEM_CUT);
        }
    }
    int whom = patient ? KILL_OTHERS : KILL_OTHERS | KILL_NURSERIES;
    if (kill_children(whom) < 0) {
        kill_slots(call);
        return false;
    }
    return true;
}
