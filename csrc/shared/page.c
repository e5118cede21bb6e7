/* The shared page and the ledger: how they are laid out, and what host and nursery
 * read of a page that any child may have scribbled on. */
#include "shared/page.h"

#include "shared/call.h"
#include "shared/runs.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { MOST_ERRNO = 4095 }; /* Linux has no larger ones */

/* --- Layout ------------------------------------------------------------------- */

static void *
share(size_t size)
{
    void *found = mmap(NULL, size, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return found == MAP_FAILED ? NULL : found;
}

int
page_open(struct sphttp_call *call)
{
    /* What is taken from several sides begins with a cache line. */
    size_t hands = (sizeof(struct page) + 63) / 64 * 64;
    size_t states = hands + sizeof(struct hand) * call->plan.alive *
                                call->plan.lanes;
    /* One more than there are items: the call itself. */
    size_t count = (size_t)call->plan.count + 1;
    size_t larges = states + sizeof(uint64_t) * count;
    call->plan.page_size = larges;
    if (call->plan.lanes > 1) {
        call->plan.page_size += sizeof(struct large) * count;
    }
    size_t spares = call->plan.page_size;
    call->plan.page_size += runs_size(&call->plan);
    size_t living = (sizeof(struct ledger) + 63) / 64 * 64;
    size_t reports = living + sizeof(struct alive) * call->plan.alive;
    size_t orphans = reports + sizeof(struct report) * count;
    call->plan.ledger_size =
        orphans + sizeof(uint64_t) * runs_orphans(&call->plan);
    char *page = share(call->plan.page_size);
    call->page = (void *)page;
    char *ledger = share(call->plan.ledger_size);
    call->ledger = (void *)ledger;
    if (page == NULL || ledger == NULL) {
        return -ENOMEM;
    }
    call->hands = (void *)(page + hands);
    call->state = (void *)(page + states);
    call->larges = call->plan.lanes > 1 ? (void *)(page + larges) : NULL;
    call->spares = call->plan.fed ? (void *)(page + spares) : NULL;
    call->ledger->living = (void *)(ledger + living);
    call->ledger->report = (void *)(ledger + reports);
    call->ledger->orphans = (void *)(ledger + orphans);
    call->page->watermark = call->ledger->watermark = call->plan.count;
    return 0;
}

void
page_close(struct sphttp_call *call)
{
    if (call->page != NULL) {
        (void)munmap(call->page, call->plan.page_size);
        call->page = NULL;
    }
    if (call->ledger != NULL) {
        (void)munmap(call->ledger, call->plan.ledger_size);
        call->ledger = NULL;
    }
}

void
page_keep_ledger(const struct sphttp_call *call)
{
    (void)madvise(call->ledger, call->plan.ledger_size, MADV_DONTFORK);
}

/* --- Waking and stopping ---------------------------------------------------------- */

bool
page_sleep(struct page *page, uint32_t watermark, int64_t most_ns)
{
    struct timespec most = {most_ns / SECOND, most_ns % SECOND};
    return syscall(SYS_futex, &page->watermark, FUTEX_WAIT, watermark, &most,
                   NULL, 0) == 0 ||
           (errno != EINTR && errno != ETIMEDOUT);
}

bool
page_await_watermark(struct page *page, uint32_t watermark)
{
    (void)syscall(SYS_futex, &page->watermark, FUTEX_WAIT, watermark, NULL,
                  NULL, 0);
    return true;
}

void
page_raise_watermark(struct page *page, uint32_t watermark)
{
    page->watermark = watermark;
    (void)syscall(SYS_futex, &page->watermark, FUTEX_WAKE, INT_MAX, NULL,
                  NULL, 0);
}

void
page_stop(struct page *page, uint32_t how)
{
    uint32_t now = page->stop;
    while ((now < how || now > STOP_ALL) &&
           !atomic_compare_exchange_weak(&page->stop, &now, how)) {
    }
    /* Those who sleep look at the word no more: give them another watermark. */
    page_raise_watermark(page, UINT32_MAX);
}

void
page_begin_anew(struct sphttp_call *call, uint32_t next)
{
    call->page->next = next;
}

void
page_mend(struct sphttp_call *call)
{
    uint32_t stop = call->ledger->stop;
    uint32_t watermark = stop != 0 ? UINT32_MAX : call->ledger->watermark;
    uint32_t said = call->page->stop;
    if (stop != 0 && said != stop) {
        page_stop(call->page, stop);
    }
    else if (said > STOP_ALL) {
        (void)atomic_compare_exchange_strong(&call->page->stop, &said, stop);
    }
    if (call->plan.hold && call->page->watermark != watermark) {
        page_raise_watermark(call->page, watermark);
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
page_free_item(struct sphttp_call *call, uint32_t index)
{
    call->state[index] = ITEM_FREE;
}

void
page_hand_out(struct sphttp_call *call, uint32_t index, uint32_t hand)
{
    call->state[index] = item_running(hand);
}

/* A state word, if it is one; else ITEM_LOST. */
static uint64_t
plausible(const struct sphttp_call *call, uint64_t word)
{
    uint64_t rest = word & ~(uint64_t)ITEM_KIND;
    bool possible = rest == 0;
    switch (word & ITEM_KIND) {
    case ITEM_RUN:
        possible = rest >> 3 < (uint64_t)call->plan.hands;
        break;
    case ITEM_DONE: /* who reads the record sees whether there is one */
        possible = true;
        break;
    case ITEM_DISCARDED:
        possible = rest == 0 && call->plan.discard;
        break;
    case ITEM_UNWRITTEN:
        possible = rest >> 3 > 0 && rest >> 3 <= MOST_ERRNO;
        break;
    default:
        break;
    }
    return possible ? word : ITEM_LOST;
}

/* As page_runs says it, of this word of item `index`. */
static bool
runs(const struct sphttp_call *call, uint64_t word, uint32_t hand)
{
    return call->plan.pool ? word == item_running(hand)
                      : !item_committed(plausible(call, word)) &&
                            word != ITEM_LATE && word != ITEM_CUT;
}

bool
page_runs(const struct sphttp_call *call, uint32_t index, uint32_t hand)
{
    return runs(call, call->state[index], hand);
}

int64_t
page_find(const struct sphttp_call *call, uint32_t hand)
{
    uint64_t running = item_running(hand);
    for (uint32_t i = 0; call->plan.pool && i < call->plan.count; i++) {
        if (call->state[i] == running) {
            return i;
        }
    }
    return -1;
}

bool
page_give_up(struct sphttp_call *call, uint32_t index, uint32_t hand,
             uint64_t kind)
{
    uint64_t word = call->state[index];
    while (runs(call, word, hand)) {
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
    if ((word & ITEM_KIND) == ITEM_RUN || (word == ITEM_FREE && also_free)) {
        /* This fails where its child commits at this very moment. */
        uint64_t kind = call->ledger->aborted != 0 ? ITEM_CUT : ITEM_LOST;
        (void)atomic_compare_exchange_strong(&call->state[index], &word,
                                             kind);
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

uint32_t
page_next(const struct sphttp_call *call)
{
    uint32_t next = call->page->next;
    return next < call->plan.count ? next : call->plan.count;
}

uint64_t
page_item(const struct sphttp_call *call, uint32_t index)
{
    /* Who fails the call has stopped it first. */
    if (index == call->plan.count && page_stopped(call) == 0) {
        return ITEM_FREE;
    }
    return plausible(call, call->state[index]);
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
    return leaving <= SPHTTP_FLUSHING ? (int)leaving : 0;
}

int64_t
page_set_aside(const struct sphttp_call *call, uint32_t hand)
{
    uint32_t from = call->hands[hand].from, to = call->hands[hand].to;
    if (to > call->plan.count) {
        return -1;
    }
    for (uint32_t i = from; i < to && i - from < RUN_LENGTH; i++) {
        if (call->state[i] == ITEM_FREE) {
            return i;
        }
    }
    return -1;
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
page_bytes(const struct sphttp_call *call)
{
    uint64_t bytes = call->page->bytes;
    return bytes <= INT64_MAX ? bytes : 0;
}
