/* What the nursery knows of the hands of its children, and how it gives up what is in
 * one. */
#include "nursery/hands.h"

#include "nursery/nursery.h"

uint32_t
hand_item(const struct sphttp_call *call, uint32_t hand)
{
    return call->plan.pool ? page_in_hand(call, hand)
                      : (uint32_t)(call->nursery->seen[hand].asked + 1);
}

int64_t
hand_give_up(struct sphttp_call *call, uint32_t hand, uint32_t item,
             uint64_t kind)
{
    uint64_t number = item != 0 ? page_number(call, item - 1) : 0;
    return hand_give_up_number(call, hand, item, number, kind);
}

int64_t
hand_give_up_number(struct sphttp_call *call, uint32_t hand, uint32_t item,
                    uint64_t number, uint64_t kind)
{
    if (item == 0 || !page_give_up(call, item - 1, number, hand, kind)) {
        return -1;
    }
    if (call->plan.pool) { /* what is noted at the fork where that is for one item */
        hand_note_begun(call, hand, item);
    }
    return (int64_t)item - 1;
}

void
hand_note_begun(struct sphttp_call *call, uint32_t hand, uint32_t item)
{
    const struct alive *child =
        &call->living[hand / call->plan.lanes];
    struct report *report = &call->report[item - 1];
    report->pid = child->pid;
    report->started_ns = page_since(call, hand, child->forked_ns, now_ns());
    report->attempts++;
}

uint64_t
hand_kind_of_lost(const struct sphttp_call *call, uint32_t item)
{
    uint32_t stop = page_stopped(call);
    if (stop == STOP_ALL) {
        return ITEM_CUT; /* taken in the last moment before all were killed */
    }
    bool again = stop == 0 && item != 0 && call->plan.retries > 0 &&
                 call->report[item - 1].refused == 0 &&
                 call->report[item - 1].lives < call->plan.retries;
    return again ? ITEM_FREE : ITEM_LOST;
}
