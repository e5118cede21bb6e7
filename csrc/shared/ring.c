/* The cells of a fed call. An item is in a cell from when it is fed until its result
 * has been fetched; cells are allotted as they become free, for one slow item must
 * not stop the rest. So an item's place in the input, its number, does not say
 * where it is. A ring says that: entry `number` modulo its size. An entry is written
 * over only once its item has begun; then nobody looks for it by its number. */
#include "shared/ring.h"

/* A power of two, and not less than there are cells. */
static uint64_t
entries(const struct plan *plan)
{
    return plan->ring + 1;
}

size_t
ring_size(const struct plan *plan)
{
    return plan->fed ? sizeof(struct place) * plan->count +
                           sizeof(uint32_t) * entries(plan)
                     : 0;
}

size_t
ring_ledger_size(const struct plan *plan)
{
    /* One more, for the call itself: its number is 0, as in every call. */
    return plan->fed ? sizeof(uint64_t) * ((size_t)plan->count + 1) : 0;
}

/* Store it behind all that has been stored; what follows need not wait. */
static void
put(_Atomic uint64_t *to, uint64_t value)
{
    atomic_store_explicit(to, value, memory_order_release);
}

void
ring_find_places(struct sphttp_call *call, char *page, char *ledger)
{
    call->places = (void *)page;
    call->order = (void *)(page + sizeof(struct place) * call->plan.count);
    call->number = (void *)ledger;
}

void
ring_open(struct sphttp_call *call)
{
    for (uint32_t cell = 0; cell < call->plan.count; cell++) {
        ring_release(call, cell);
    }
    call->page->watermark = call->ledger->watermark = 0;
    call->page->total = call->ledger->total = UINT64_MAX;
}

void
ring_feed(struct sphttp_call *call, uint32_t cell, uint64_t number,
          uint64_t at, uint64_t size)
{
    struct place *place = &call->places[cell];
    atomic_store_explicit(&place->at, at, memory_order_relaxed);
    atomic_store_explicit(&place->size, size, memory_order_relaxed);
    atomic_store_explicit(&call->order[number & call->plan.ring], cell,
                          memory_order_relaxed);
    /* First the number: the nursery believes no word of another. From its state
     * on the item may be taken; the watermark is what makes children look. */
    put(&call->number[cell], number);
    put(&call->state[cell], item_free(number));
}

void
ring_raise(struct sphttp_call *call, uint64_t watermark)
{
    put(&call->ledger->watermark, watermark);
    page_raise_watermark(call->page, watermark);
}

void
ring_release(struct sphttp_call *call, uint32_t cell)
{
    put(&call->number[cell], UINT64_MAX);
    put(&call->state[cell], ITEM_LOST); /* it is settled */
}

void
ring_mend(struct sphttp_call *call)
{
    for (uint32_t cell = 0; cell < call->plan.count; cell++) {
        uint64_t number = call->number[cell];
        if (number != UINT64_MAX && call->state[cell] == item_free(number)) {
            call->order[number & call->plan.ring] = cell;
        }
    }
}

int64_t
ring_find(const struct sphttp_call *call, uint64_t number)
{
    uint32_t cell = call->order[number & call->plan.ring];
    return cell < call->plan.count && call->state[cell] == item_free(number)
               ? (int64_t)cell
               : -1;
}
