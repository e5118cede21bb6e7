/* The shared page: what host and nursery read of it, which any child may have scribbled
 * on. */
#include "shared/page.h"

#include "shared/call.h"
#include "shared/ring.h"

#include <errno.h>

enum { MOST_ERRNO = 4095 }; /* Linux has no larger ones */

/* --- Mending ----------------------------------------------------------------------- */

void
page_begin_anew(struct sphttp_call *call, uint64_t next)
{
    call->page->next = next;
}

void
page_mend(struct sphttp_call *call)
{
    uint32_t stop = call->ledger->stop;
    uint32_t said = call->page->stop;
    if (stop != 0 && said != stop) {
        page_stop(call->page, stop);
    }
    else if (said > STOP_ALL) {
        (void)atomic_compare_exchange_strong(&call->page->stop, &said, stop);
    }
    uint64_t how = call->page->how;
    if (how != call->ledger->how) { /* the host sets both, the ledger's first */
        (void)atomic_compare_exchange_strong(&call->page->how, &how,
                                             call->ledger->how);
    }
    /* So many are asleep at most; too many cost a call in vain, too few a wake-up. */
    uint32_t sleepers = call->page->sleepers;
    if (sleepers > call->plan.alive) {
        (void)atomic_compare_exchange_strong(&call->page->sleepers, &sleepers,
                                             call->plan.alive);
    }
    /* The host may raise both at this very moment, the ledger's first. */
    uint64_t watermark = call->page->watermark;
    if (call->plan.hold && watermark != call->ledger->watermark &&
        atomic_compare_exchange_strong(&call->page->watermark, &watermark,
                                       call->ledger->watermark)) {
        page_wake(call->page);
    }
    if (call->plan.fed && call->page->total != call->ledger->total) {
        page_set_total(call->page, call->ledger->total);
    }
}

/* --- Items and hands ---------------------------------------------------------------- */

void
page_clear_hand(struct sphttp_call *call, uint32_t hand)
{
    call->hands[hand].since_ns = 0;
    call->hands[hand].item = 0;
    call->hands[hand].leaving = 0;
    call->hands[hand].run = call->hands[hand].alone = 0;
}

void
page_set_none_aside(struct sphttp_call *call, uint32_t hand)
{
    call->hands[hand].from = call->hands[hand].to = 0;
}

void
page_set_again(struct sphttp_call *call, uint32_t hand, uint32_t index)
{
    call->hands[hand].again = index + 1;
}

uint64_t
page_number(const struct sphttp_call *call, uint32_t index)
{
    return call->plan.fed ? call->number[index] : index;
}

/* What its state word says of its number. */
static uint64_t
mark_of(const struct sphttp_call *call, uint32_t index)
{
    return call->plan.fed ? call->number[index] : 0;
}

void
page_free_item(struct sphttp_call *call, uint32_t index)
{
    call->state[index] = item_free(mark_of(call, index));
}

void
page_hand_out(struct sphttp_call *call, uint32_t index, uint32_t hand)
{
    call->child.number = mark_of(call, index); /* of the child that is forked */
    call->child.how = call->ledger->how;
    call->state[index] = item_taken(hand, call->child.number);
}

/* The state word of item `index`, if it is one; else ITEM_LOST. */
static uint64_t
plausible(const struct sphttp_call *call, uint32_t index, uint64_t word)
{
    uint64_t kind = word & ITEM_KIND, above = word >> 3;
    uint64_t mark = mark_of(call, index);
    bool possible =
        kind == ITEM_FREE        ? word == item_free(mark)
        : kind == ITEM_RUN       ? item_hand(word) < call->plan.hands &&
                                 word == item_taken(item_hand(word), mark)
        : kind == ITEM_UNWRITTEN ? above - 1 < MOST_ERRNO
        : kind == ITEM_DISCARDED
            ? above == 0 && (call->ledger->how & ROUND_DISCARDS) != 0
                                 : kind == ITEM_DONE || above == 0;
    /* Who reads the record of ITEM_DONE sees whether there is one. */
    return possible ? word : ITEM_LOST;
}

/* As page_runs says it, of this word of item `index` if that has this mark. */
static bool
runs(const struct sphttp_call *call, uint32_t index, uint64_t mark,
     uint64_t word, uint32_t hand)
{
    return call->plan.pool ? word == item_taken(hand, mark)
                           : !item_committed(plausible(call, index, word)) &&
                                 word != ITEM_LATE && word != ITEM_CUT;
}

bool
page_runs(const struct sphttp_call *call, uint32_t index, uint32_t hand)
{
    return runs(call, index, mark_of(call, index), call->state[index], hand);
}

int64_t
page_find(const struct sphttp_call *call, uint32_t hand)
{
    for (uint32_t i = 0; call->plan.pool && i < call->plan.count; i++) {
        if (page_runs(call, i, hand)) {
            return i;
        }
    }
    return -1;
}

bool
page_give_up(struct sphttp_call *call, uint32_t index, uint64_t number,
             uint32_t hand, uint64_t kind)
{
    uint64_t word = call->state[index];
    uint64_t mark = call->plan.fed ? number : 0;
    if (kind == ITEM_FREE) {
        kind = item_free(mark);
    }
    while (runs(call, index, mark, word, hand)) {
        if (atomic_compare_exchange_weak(&call->state[index], &word, kind)) {
            return true;
        }
    }
    return false;
}

void
page_settle(struct sphttp_call *call, uint32_t index, bool also_free)
{
    uint64_t word = call->state[index];
    uint64_t kind = word & ITEM_KIND;
    if (kind == ITEM_RUN || (kind == ITEM_FREE && also_free)) {
        /* This fails where its child commits at this very moment. */
        uint64_t kind = call->ledger->aborted != 0 ? ITEM_CUT : ITEM_LOST;
        (void)atomic_compare_exchange_strong(&call->state[index], &word,
                                             kind);
    }
}

void
page_settle_all(struct sphttp_call *call, bool also_free)
{
    for (uint32_t i = 0; i < call->plan.count; i++) {
        struct report *report = &call->report[i];
        if (report->lives > 0 && (call->state[i] & ITEM_KIND) == ITEM_FREE) {
            report->ended_ns = now_ns();
        }
        page_settle(call, i, also_free || report->attempts > 0);
    }
}

/* --- Getters ------------------------------------------------------------------------ */

uint32_t
page_stopped(const struct sphttp_call *call)
{
    uint32_t said = call->page->stop;
    uint32_t seen = call->ledger->stop;
    return said > STOP_ALL || said < seen ? seen : said;
}

uint64_t
page_next(const struct sphttp_call *call)
{
    uint64_t next = call->page->next;
    uint64_t end = call->plan.fed ? (uint64_t)call->ledger->watermark
                                  : call->plan.count;
    return next < end ? next : end;
}

int64_t
page_first_free(const struct sphttp_call *call)
{
    int64_t first = -1;
    for (uint32_t i = 0; i < call->plan.count; i++) {
        if ((page_item(call, i) & ITEM_KIND) == ITEM_FREE &&
            (first < 0 ||
             page_number(call, i) < page_number(call, (uint32_t)first))) {
            first = i;
            if (!call->plan.fed) {
                break;
            }
        }
    }
    return first;
}

uint64_t
page_item(const struct sphttp_call *call, uint32_t index)
{
    /* Who fails the call has stopped it first. */
    if (index == call->plan.count && page_stopped(call) == 0) {
        return ITEM_FREE;
    }
    return plausible(call, index, call->state[index]);
}

uint32_t
page_in_hand(const struct sphttp_call *call, uint32_t hand)
{
    uint32_t item = call->hands[hand].item;
    return item <= call->plan.count ? item : 0;
}

static int64_t
within(int64_t time, int64_t born, int64_t now)
{
    return time >= born && time <= now ? time : 0;
}

int64_t
page_since(const struct sphttp_call *call, uint32_t hand, int64_t born,
           int64_t now)
{
    return within(call->hands[hand].since_ns, born, now);
}

int
page_leaving(const struct sphttp_call *call, uint32_t hand, int64_t born,
             int64_t now, int64_t *since)
{
    uint32_t leaving = call->hands[hand].leaving;
    *since = within(call->hands[hand].leaving_ns, born, now);
    return leaving <= SPHTTP_FLUSHING || leaving == HAND_GONE ? (int)leaving : 0;
}

int64_t
page_set_aside(const struct sphttp_call *call, uint32_t hand, uint64_t *from)
{
    uint64_t begin = call->hands[hand].from, to = call->hands[hand].to;
    uint32_t again = call->hands[hand].again;
    *from = begin;
    if (again != 0 && again <= call->plan.count &&
        (call->state[again - 1] & ITEM_KIND) == ITEM_FREE) {
        return (int64_t)again - 1;
    }
    bool fed = call->plan.fed;
    if (!fed && to > call->plan.count) {
        return -1;
    }
    for (uint64_t i = begin; i < to && i - begin < RUN_LENGTH; i++) {
        int64_t index = fed                           ? ring_find(call, i)
                        : call->state[i] == ITEM_FREE ? (int64_t)i
                                                      : -1;
        if (index >= 0) {
            *from = i;
            return index;
        }
    }
    return -1;
}

bool
page_listen(const struct sphttp_call *call, uint32_t how)
{
    call->page->listens = how;
    return call->page->rung == 0;
}

bool
page_hand_gone(const struct sphttp_call *call, uint32_t hand)
{
    return call->hands[hand].leaving == HAND_GONE;
}

int64_t
page_served(const struct sphttp_call *call, uint32_t hand)
{
    int64_t index = (int64_t)page_in_hand(call, hand) - 1;
    return index >= 0 &&
                   (uint32_t)page_number(call, (uint32_t)index) + 1 ==
                       call->hands[hand].number &&
                   item_committed(page_item(call, (uint32_t)index))
               ? index
               : -1;
}

bool
page_strangers(struct sphttp_call *call)
{
    return atomic_exchange(&call->page->strangers, 0) != 0;
}

bool
page_reaped(struct sphttp_call *call)
{
    return atomic_exchange(&call->page->reaped, 0) != 0;
}

bool
page_hand_idle(const struct sphttp_call *call, uint32_t hand)
{
    return (call->hands[hand].item == 0 && call->hands[hand].leaving == 0) ||
           page_hand_gone(call, hand);
}

bool
page_all_idle(const struct sphttp_call *call)
{
    uint32_t hand = 0;
    while (hand < call->plan.hands && page_hand_idle(call, hand)) {
        hand++;
    }
    return hand == call->plan.hands;
}

void
page_begin_round(struct sphttp_call *call, uint64_t how)
{
    call->ledger->how = how; /* first: the nursery mends the other */
    call->page->how = how;
}

void
page_skip_unbegun(const struct sphttp_call *call)
{
    call->page->next = call->ledger->watermark;
}

uint32_t
page_end_round(struct sphttp_call *call)
{
    page_skip_unbegun(call);
    return atomic_exchange(&call->page->stop, 0);
}

bool
page_idle(const struct sphttp_call *call)
{
    return call->page->sleepers != 0 || call->page->nappers != 0;
}

bool
page_rung(const struct sphttp_call *call)
{
    return call->page->rung != 0;
}

void
page_set_rung(const struct sphttp_call *call, bool rung)
{
    call->page->rung = rung;
}

uint64_t
sphttp_call_bytes(const sphttp_call *call)
{
    uint64_t bytes = call->page->bytes;
    return bytes <= INT64_MAX ? bytes : 0;
}
