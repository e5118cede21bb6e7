/* Children of a kept call are forked before there are items for them: as many as are
 * to stand ready, while no round is under way; in a round no more than there are items
 * for which no child is idle. */
#include "nursery/ahead.h"

/* Items that may begin and are in no hand. */
static uint64_t
waiting(const struct sphttp_call *call)
{
    uint64_t next = page_next(call), end = call->ledger->watermark, from;
    uint64_t found = end > next ? end - next : 0;
    for (uint32_t slot = 0; slot < call->plan.alive; slot++) {
        found += page_set_aside(call, slot, &from) >= 0;
    }
    return found;
}

static bool
ahead_wanted(const struct nursery *nursery)
{
    struct sphttp_call *call = nursery->call;
    uint32_t idle = 0, gone = 0;
    for (uint32_t slot = 0; slot < call->plan.alive; slot++) {
        if (call->living[slot].pid != 0) {
            bool left = page_hand_gone(call, slot);
            gone += left;
            idle += !left && page_hand_idle(call, slot);
        }
    }
    call->ledger->idle = idle;
    if (call->ledger->total != UINT64_MAX ||
        gone > 2 * (uint64_t)call->plan.ahead) {
        return false; /* its end; or they would pile up where processors are busy */
    }
    /* Those that stay are forked at once: they are of use in every round. */
    return call->ledger->busy != 0 && call->plan.quota == 1
               ? page_stopped(call) == 0 && idle < waiting(call)
               : idle < call->plan.ahead;
}

int64_t
ahead_slot(const struct nursery *nursery)
{
    uint32_t slot = 0; /* the lowest: few pages have the hands of all then */
    while (slot < nursery->call->plan.alive &&
           nursery->call->living[slot].pid != 0) {
        slot++;
    }
    return ahead_wanted(nursery) ? (int64_t)slot : -1;
}

int64_t
ahead_served(const struct sphttp_call *call, uint32_t hand)
{
    /* In this order: before its child is reaped no cell of such a round is used anew. */
    return (call->ledger->how & ROUND_REAPED) != 0 ? page_served(call, hand)
                                                   : -1;
}

bool
ahead_lost(const struct sphttp_call *call, uint32_t index)
{
    bool lost = (call->ledger->how & ROUND_REAPED) != 0;
    for (uint32_t hand = 0; hand < call->plan.hands && lost; hand++) {
        lost = call->living[hand].pid == 0 ||
               page_served(call, hand) != index;
    }
    return lost;
}
