/* Who has which item in hand: protocol B. Out of ITEM_RUN an item's state word is
 * moved by compare and swap only, so that its commit, and the end of one that
 * was given up, exclude each other. Whatever else stands in the page is a hint. */
#include "internal.h"

#include <signal.h>
#include <unistd.h>

/* At RUN_LENGTH so many quick items are set aside at once. Children that took them
 * in turn would wait for each other's cache lines, and would each copy every page
 * that has items on it: a page has some 70 short strings. */

/* Set items [from, to) aside for this hand. */
static void
set_aside(struct sphttp_call *call, uint32_t from, uint32_t to)
{
    struct hand *hand = &call->hands[call->hand];
    hand->from = from;
    hand->to = to;
}

/* Take item `index` into this hand. False: it was not free. */
static bool
take(struct sphttp_call *call, uint32_t index)
{
    struct hand *hand = &call->hands[call->hand];
    hand->from = index;
    /* First what is in hand, then that it is taken: one that dies in between
     * has begun nothing, and another takes the item. */
    hand->item = index + 1;
    uint64_t free = ITEM_FREE;
    return atomic_compare_exchange_strong(&call->state[index], &free,
                                          item_running(call->hand));
}

/* An item that was set aside for another hand, whose child may be long in coming
 * to it; -1: there is none. */
static int64_t
left_to_others(const struct sphttp_call *call)
{
    int64_t index = -1;
    uint32_t hands = call->alive * call->lanes;
    for (uint32_t hand = 0; hand < hands && index < 0; hand++) {
        index = page_set_aside(call, hand);
    }
    return index;
}

int64_t
hand_take(struct sphttp_call *call, int how)
{
    struct page *page = call->page;
    while (!page->stop) {
        /* Also what a child that died in this place has left. */
        int64_t index = page_set_aside(call, call->hand);
        uint32_t mark = call->hold ? page->watermark : call->count;
        uint32_t next = page->next;
        if (index >= 0) {
            if (take(call, (uint32_t)index)) {
                return index;
            }
        }
        else if (next >= call->count) {
            index = left_to_others(call);
            if (index < 0) {
                break;
            }
            set_aside(call, (uint32_t)index, (uint32_t)index + 1);
        }
        else if (next >= mark) {
            index = left_to_others(call);
            if (index >= 0) { /* a death gave it back, and who sleeps sees no more */
                set_aside(call, (uint32_t)index, (uint32_t)index + 1);
                continue;
            }
            if ((how & TAKE_NOW) != 0) {
                break;
            }
            struct hand *hand = &call->hands[call->hand];
            hand->item = 0;
            /* The nursery knows the true mark, should somebody have scribbled. */
            (void)kill(getppid(), SIGCHLD);
            if (!call->await_mark(page, mark)) {
                return SPHTTP_RAISED_IDLE;
            }
            if (hand->since_ns != 0) { /* else before its setup */
                hand->since_ns = now_ns();
            }
        }
        else {
            bool quick = (how & TAKE_QUICK) != 0;
            uint32_t end = quick ? (next | (RUN_LENGTH - 1)) + 1 : next + 1;
            end = end < mark ? end : mark;
            end = end < call->count ? end : call->count;
            /* First told, then done: if this child dies now, no item is
             * forgotten. */
            set_aside(call, next, end);
            (void)atomic_compare_exchange_strong(&page->next, &next, end);
        }
    }
    call->hands[call->hand].item = 0;
    return -1;
}

bool
hand_take_this(struct sphttp_call *call, uint32_t index)
{
    if (call->page->stop || call->state[index] != ITEM_FREE) {
        return false;
    }
    set_aside(call, index, index + 1);
    return take(call, index);
}

bool
hand_commit(struct sphttp_call *call, uint32_t index, uint64_t state)
{
    uint64_t running = item_running(call->hand);
    return atomic_compare_exchange_strong(&call->state[index], &running,
                                          state);
}

uint32_t
hand_item(const struct sphttp_call *call, uint32_t hand)
{
    return call->pool ? page_in_hand(call, hand)
                      : (uint32_t)(call->seen[hand].asked + 1);
}

int64_t
hand_give_up(struct sphttp_call *call, uint32_t hand, uint32_t item,
             uint64_t kind)
{
    if (item == 0 || !page_give_up(call, item - 1, hand, kind)) {
        return -1;
    }
    if (call->pool) { /* what is noted at the fork where that is for one item */
        const struct alive *child = &call->living[hand / call->lanes];
        struct report *report = &call->report[item - 1];
        report->pid = child->pid;
        report->started_ns =
            page_since(call, hand, child->forked_ns, now_ns());
        report->attempts++;
    }
    return (int64_t)item - 1;
}

uint64_t
hand_kind_of_lost(const struct sphttp_call *call, uint32_t item)
{
    uint32_t stop = page_stopped(call);
    if (stop == STOP_ALL) {
        return ITEM_CUT; /* taken in the last moment before all were killed */
    }
    bool again = stop == 0 && item != 0 && call->retries > 0 &&
                 call->lives[item - 1] < call->retries;
    return again ? ITEM_FREE : ITEM_LOST;
}
