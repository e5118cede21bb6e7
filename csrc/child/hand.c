/* Who has which item in hand: protocol B. Out of ITEM_RUN an item's state word is
 * moved by compare and swap only, so that its commit, and the end of one that
 * was given up, exclude each other. Whatever else stands in the page is a hint. */
#include "child/hand.h"

#include <unistd.h>

/* At RUN_LENGTH so many quick items are set aside at once. Children that took them
 * in turn would wait for each other's cache lines, and would each copy every page
 * that has items on it: a page has some 70 short strings. */

/* Set items [from, to) aside for this hand. */
static void
set_aside(struct sphttp_call *call, uint32_t from, uint32_t to)
{
    struct hand *hand = &call->hands[call->child.hand];
    hand->from = from;
    hand->to = to;
}

/* Take item `index` into this hand. False: it was not free. */
static bool
take(struct sphttp_call *call, uint32_t index)
{
    struct hand *hand = &call->hands[call->child.hand];
    hand->from = index;
    /* First what is in hand, then that it is taken: one that dies in between
     * has begun nothing, and another takes the item. */
    hand->item = index + 1;
    uint64_t free = ITEM_FREE;
    return atomic_compare_exchange_strong(&call->state[index], &free,
                                          item_running(call->child.hand));
}

/* An item that was set aside for another hand, whose child may be long in coming
 * to it; -1: there is none. */
static int64_t
left_to_others(const struct sphttp_call *call)
{
    int64_t index = -1;
    uint32_t hands = call->plan.hands;
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
        int64_t index = page_set_aside(call, call->child.hand);
        uint32_t count = call->plan.count, next = page->next;
        uint32_t watermark = call->plan.hold ? page->watermark : count;
        if (index >= 0) {
            if (take(call, (uint32_t)index)) {
                return index;
            }
        }
        else if (next >= count) {
            index = left_to_others(call);
            if (index < 0) {
                break;
            }
            set_aside(call, (uint32_t)index, (uint32_t)index + 1);
        }
        else if (next >= watermark) {
            index = left_to_others(call);
            if (index >= 0) { /* a death gave it back, and who sleeps sees no more */
                set_aside(call, (uint32_t)index, (uint32_t)index + 1);
                continue;
            }
            if ((how & TAKE_NOW) != 0) {
                break;
            }
            struct hand *hand = &call->hands[call->child.hand];
            hand->item = 0;
            /* The nursery knows the true watermark, should somebody have scribbled. */
            (void)kill(getppid(), SIGCHLD);
            if (!call->child.await_watermark(page, watermark)) {
                return SPHTTP_RAISED_IDLE;
            }
            if (hand->since_ns != 0) { /* else before its setup */
                hand->since_ns = now_ns();
            }
        }
        else {
            bool quick = (how & TAKE_QUICK) != 0;
            uint32_t end = quick ? (next | (RUN_LENGTH - 1)) + 1 : next + 1;
            end = end < watermark ? end : watermark;
            end = end < count ? end : count;
            /* First told, then done: if this child dies now, no item is
             * forgotten. */
            set_aside(call, next, end);
            (void)atomic_compare_exchange_strong(&page->next, &next, end);
        }
    }
    call->hands[call->child.hand].item = 0;
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
    uint64_t running = item_running(call->child.hand);
    return atomic_compare_exchange_strong(&call->state[index], &running,
                                          state);
}
