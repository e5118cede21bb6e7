/* What a nursery does about a page that makes no sense: children have scribbled on
 * it. A call goes on all the same, and comes to its end. */
#include "nursery/strays.h"

#include "nursery/ahead.h"
#include "nursery/hands.h"
#include "shared/news.h"

enum {
    STRAYS_MOST = 1000, /* that a call of so many items may have to bear */
    UNLUCKY = 100       /* children that are killed with nothing in hand */
};

bool
strays_spent(const struct nursery *nursery)
{
    const struct sphttp_call *call = nursery->call;
    uint32_t count = call->plan.count;
    uint32_t strays = count < STRAYS_MOST ? count : STRAYS_MOST;
    return nursery->fruitless > call->plan.alive + strays + UNLUCKY;
}

uint32_t
strays_item_left(const struct sphttp_call *call, uint32_t hand, int status)
{
    uint32_t item = hand_item(call, hand);
    bool there = item != 0 && page_runs(call, item - 1, hand);
    bool idle = status == 0 && !call->plan.tell; /* tell_host sees to the rest */
    return there || idle || call->nursery->seen[hand].asked >= 0
               ? item
               : (uint32_t)(page_find(call, hand) + 1);
}

bool
strays_find_forgotten(struct nursery *nursery)
{
    struct sphttp_call *call = nursery->call;
    if (!call->plan.pool || strays_spent(nursery)) {
        return false;
    }
    int64_t index = page_first_free(call);
    if (index >= 0) {
        nursery->fruitless++;
        nursery->next = page_number(call, (uint32_t)index);
        page_begin_anew(call, nursery->next);
        page_set_again(call, 0, (uint32_t)index); /* the ring may be wrong */
    }
    return index >= 0;
}

void
strays_find_held(struct sphttp_call *call)
{
    if (!call->plan.pool || page_stopped(call) != 0) {
        return;
    }
    for (uint32_t hand = 0; hand < call->plan.hands; hand++) {
        if (page_in_hand(call, hand) != 0) {
            return; /* it goes on from there */
        }
    }
    int64_t index = page_first_free(call);
    if (index >= 0 &&
        page_number(call, (uint32_t)index) < call->ledger->watermark) {
        page_begin_anew(call, page_number(call, (uint32_t)index));
    }
}

/* Does a living child have item `index` in hand, or did it when it was killed? */
static bool
is_somebodys(const struct sphttp_call *call, uint32_t index)
{
    for (uint32_t hand = 0; hand < call->plan.hands; hand++) {
        if (call->living[hand / call->plan.lanes].pid != 0 &&
            call->nursery->seen[hand].asked == (int64_t)index) {
            return true;
        }
    }
    return false;
}

/* Item `index` of a pool says that it is in a hand. Is that false? It is where that
 * hand has another item, or belongs to no child that lives. */
static bool
runs_nowhere(const struct sphttp_call *call, uint32_t index, uint64_t word)
{
    uint32_t hand = item_hand(word);
    uint32_t other = page_in_hand(call, hand);
    bool elsewhere = other != 0 && other != index + 1 &&
                     page_runs(call, other - 1, hand);
    uint32_t slot = hand / call->plan.lanes;
    return (elsewhere || call->living[slot].pid == 0) &&
           page_item(call, index) == word;
}

/* Does this cell still hold that item, and nobody knows how it ended? Then the host does
 * not use the cell anew. */
static bool
is_held(const struct sphttp_call *call, uint32_t cell, uint64_t number)
{
    return number < call->ledger->watermark &&
           page_number(call, cell) == number &&
           call->report[cell].ended_ns == 0;
}

void
strays_settle(struct nursery *nursery)
{
    struct sphttp_call *call = nursery->call;
    uint64_t end = call->plan.pool || call->plan.fed ? call->plan.count
                                                     : nursery->next;
    if (!call->plan.tell) {
        return; /* the host looks when all is over */
    }
    for (uint32_t i = 0; i < end; i++) {
        uint64_t number = page_number(call, i); /* before its word, and behind it */
        uint64_t word = page_item(call, i);
        uint64_t kind = word & ITEM_KIND;
        bool pools = call->plan.pool && /* it is some child's business */
                     ((item_committed(word) && !ahead_lost(call, i)) ||
                      (kind == ITEM_RUN && !runs_nowhere(call, i, word)));
        if (kind == ITEM_FREE || pools || is_somebodys(call, i) ||
            (call->plan.fed && /* once more: the host may just have fed it */
             (!is_held(call, i, number) || page_item(call, i) != word))) {
            continue;
        }
        page_settle(call, i, false);
        if (call->report[i].ended_ns == 0) {
            call->report[i].ended_ns = now_ns();
        }
    }
    news_tell_again(call);
}
