/* Which item is the next to begin, and in which slot. */
#include "nursery/next.h"

#include "nursery/ahead.h"
#include "nursery/nest.h"
#include "nursery/strays.h"

/* Is there a free item among those set aside for the child of this slot? */
static bool
slot_left(const struct sphttp_call *call, uint32_t slot)
{
    bool left = false;
    for (uint32_t lane = 0; lane < call->plan.lanes; lane++) {
        uint32_t hand = slot * call->plan.lanes + lane;
        uint64_t from;
        left = left || page_set_aside(call, hand, &from) >= 0;
    }
    return left;
}

/* Find the next item. Is there one, and may it start? */
static bool
find_next(struct nursery *nursery)
{
    const struct sphttp_call *call = nursery->call;
    if (call->plan.pool) {
        nursery->next = page_next(call);
    }
    else if (call->plan.fed) {
        int64_t index = page_first_free(call);
        nursery->next = call->ledger->watermark;
        if (index >= 0) {
            nursery->index = (uint32_t)index;
            nursery->next = page_number(call, nursery->index);
        }
    }
    if (!call->plan.fed) {
        /* After the loss of a nursery the next one finds gaps. */
        while (nursery->next < call->plan.count &&
               page_item(call, (uint32_t)nursery->next) != ITEM_FREE) {
            nursery->next++;
        }
        nursery->index = (uint32_t)nursery->next;
    }
    return nursery->next < call->ledger->watermark;
}

int64_t
next_slot(struct nursery *nursery)
{
    const struct sphttp_call *call = nursery->call;
    if (nursery->starved && now_ns() >= nursery->again_ns) {
        nursery->starved = false;
    }
    if (nest_stopped(nursery) || nursery->starved || nursery->paused ||
        nursery->reported || strays_spent(nursery) ||
        nursery->running >= call->plan.alive) {
        return -1;
    }
    bool any = find_next(nursery);
    if (call->plan.kept) {
        return ahead_slot(nursery);
    }
    /* Most often the free one. */
    uint32_t slot = (uint32_t)(nursery->next % call->plan.alive);
    for (uint32_t i = 0; i < call->plan.alive; i++) {
        bool wanted = any || (call->plan.pool && slot_left(call, slot));
        if (call->living[slot].pid == 0 && wanted) {
            return slot;
        }
        slot = (slot + 1) % call->plan.alive;
    }
    return -1;
}
