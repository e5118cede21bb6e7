/* Who has which item in hand: protocol B. Out of ITEM_RUN an item's state word is
 * moved by compare and swap only, so that its commit, and the end of one that
 * was given up, exclude each other. Whatever else stands in the page is a hint. */
#include "child/hand.h"

#include <unistd.h>

#include "child/below.h"
#include "child/item.h"
#include "shared/news.h"
#include "shared/pool.h"

/* At RUN_LENGTH so many quick items are set aside at once. Children that took them
 * in turn would wait for each other's cache lines, and would each copy every page
 * that has items on it: a page has some 70 short strings. */

/* Set items [from, to) aside for this hand. */
static void
set_aside(struct sphttp_call *call, uint64_t from, uint64_t to)
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
    /* First what is in hand, then that it is taken: one that dies in between
     * has begun nothing, and another takes the item. */
    hand->item = index + 1;
    if (call->plan.kept && call->page->stop) {
        return false; /* the host has seen that all hands were empty, or sees this */
    }
    uint64_t number = call->plan.fed ? call->state[index] >> 3 : 0;
    uint64_t free = item_free(number);
    uint64_t taken = item_taken(call->child.hand, number);
    if (!atomic_compare_exchange_strong(&call->state[index], &free, taken)) {
        return false;
    }
    hand->again = 0; /* it was this one, or another has that */
    hand->number = (uint32_t)number + 1;
    call->child.number = number;
    call->child.unlooked = true;
    call->child.how = call->page->how;
    call->child.left--;
    return true;
}

/* An item that was set aside for another hand, whose child may be long in coming
 * to it; -1: there is none. */
static int64_t
left_to_others(const struct sphttp_call *call)
{
    int64_t index = -1;
    uint64_t from;
    uint32_t hands = call->plan.hands;
    for (uint32_t hand = 0; hand < hands && index < 0; hand++) {
        index = page_set_aside(call, hand, &from);
    }
    return index;
}

/* Set items from `next` on aside for this hand, of which it may take those below
 * `end`. */
static void
set_more_aside(struct sphttp_call *call, bool quick, uint64_t next,
               uint64_t end)
{
    uint64_t to = quick ? (next | (RUN_LENGTH - 1)) + 1 : next + 1;
    if (call->plan.fed && quick) { /* there are few at a time: leave others theirs */
        to = next + 1 + (end - next) / call->plan.alive / 2;
        to = to - next < RUN_LENGTH ? to : next + RUN_LENGTH;
    }
    to = to < end ? to : end;
    to = to - next < call->child.left ? to : next + call->child.left;
    /* First told, then done: if this child dies now, no item is forgotten. */
    set_aside(call, next, to);
    (void)atomic_compare_exchange_strong(&call->page->next, &next, to);
}

/* A free item for this hand, of the `total` that there will be; -1: there is none now, or
 * with `*all`, none any more. */
static int64_t
find_free(struct sphttp_call *call, bool quick, uint64_t total, bool *all)
{
    for (;;) {
        uint64_t from, next = call->page->next;
        uint64_t end = call->plan.hold ? call->page->watermark : total;
        end = end < total ? end : total;
        /* Also what a child that died in this place has left. */
        int64_t index = page_set_aside(call, call->child.hand, &from);
        if (index >= 0) {
            call->hands[call->child.hand].from = from;
            return index;
        }
        if (next >= end) {
            *all = next >= total;
            return left_to_others(call);
        }
        set_more_aside(call, quick, next, end);
    }
}

/* Nobody has anything for this hand: sleep until somebody may, or nap. False:
 * call->child.await_turn gave up. */
static bool
sleep_for_more(struct sphttp_call *call, bool nap, uint32_t turn,
               uint32_t beat)
{
    struct hand *hand = &call->hands[call->child.hand];
    if (call->plan.kept && call->child.unlooked) {
        below_look(call, BELOW_IDLE);
    }
    hand->item = 0;
    if (call->plan.kept) {
        hand->leaving = 0; /* somebody may have scribbled, and a round waits for it */
    }
    (void)news_tell_idle(call);
    if (nap) {
        page_nap(call->page, beat);
    }
    else {
        /* The nursery knows the true watermark, should somebody have scribbled. Where
         * children sleep all the time it has a look now and then. */
        if (!call->plan.fed) {
            (void)kill(getppid(), SIGCHLD);
        }
        if (!call->child.await_turn(call->page, turn)) {
            return false;
        }
    }
    if (hand->since_ns != 0) { /* else before its setup */
        hand->since_ns = now_ns();
    }
    return true;
}

int64_t
hand_take_first(struct sphttp_call *call)
{
    if (call->plan.kept) { /* ahead of the first item: somebody waits for that */
        below_look(call, BELOW_FIRST);
        item_get_ready(call);
        pool_get_ready(call);
        struct hand *hand = &call->hands[call->child.hand];
        if (hand->since_ns != 0) { /* the item may be younger than the child */
            hand->since_ns = now_ns();
        }
    }
    return hand_take(call, 0);
}

int64_t
hand_take(struct sphttp_call *call, int how)
{
    struct page *page = call->page;
    bool fed = call->plan.fed, quick = (how & TAKE_QUICK) != 0;
    bool nap = fed && quick;
    while (call->child.left > 0) {
        uint32_t turn = page->turn; /* before all that it is raised for */
        uint32_t beat = page->beat;
        uint64_t total = fed ? (uint64_t)page->total : call->plan.count;
        bool stopped = page->stop != 0;
        bool all = stopped && !(call->plan.kept && total == UINT64_MAX);
        int64_t index = stopped ? -1 : find_free(call, quick, total, &all);
        if (index >= 0) {
            if (take(call, (uint32_t)index)) {
                return index;
            }
        }
        else if (all || (how & TAKE_NOW) != 0) {
            break;
        }
        else if (!sleep_for_more(call, nap, turn, beat)) {
            return SPHTTP_RAISED_IDLE;
        }
        else {
            nap = false; /* once */
        }
    }
    /* Where other rounds follow, who has had its quota is not idle before it is gone. */
    if (!call->plan.kept || call->child.left > 0) {
        call->hands[call->child.hand].item = 0;
    }
    return -1;
}

bool
hand_take_this(struct sphttp_call *call, uint32_t index)
{
    if (call->page->stop || call->child.left == 0 ||
        call->state[index] != ITEM_FREE) {
        return false;
    }
    return take(call, index);
}

bool
hand_leave(struct sphttp_call *call)
{
    struct hand *hand = &call->hands[call->child.hand];
    uint32_t item = hand->item;
    uint64_t running = item_taken(call->child.hand, call->child.number);
    if (!call->plan.kept || !pool_entered(call) || item > call->plan.count ||
        (item != 0 && call->state[item - 1] == running)) {
        return false;
    }
    below_look(call, BELOW_LAST);
    hand->leaving = HAND_GONE;
    return true;
}

bool
hand_commit(struct sphttp_call *call, uint32_t index, uint64_t state)
{
    uint64_t running = item_taken(call->child.hand, call->child.number);
    return atomic_compare_exchange_strong(&call->state[index], &running,
                                          state);
}
