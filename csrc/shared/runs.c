/* Runs of a fed call's memory, as all three see them. A child first takes a run, and
 * then says so in its hand: who dies in between loses a run, but nobody is said
 * to have one that is another's. */
#include "shared/runs.h"

#include <sys/stat.h>

enum {
    ORDER = RUN_ALONE - 1, /* of a word: the power of two */
    SHIFT = 7,             /* above it, 1 + where it begins, in units */
    ORDERS_MOST = 40,
    BANKS = 16, /* runs of this order and above are in one */
    BANK_MOST = 1024
};

static unsigned int
order_of(uint64_t size)
{
    unsigned int order = 0;
    while (order < ORDERS_MOST && (uint64_t)RUN_UNIT << order < size) {
        order++;
    }
    return order;
}

uint64_t
run_of(uint64_t offset, uint64_t size)
{
    return (offset / RUN_UNIT + 1) << SHIFT | order_of(size);
}

uint64_t
run_offset(uint64_t run)
{
    return ((run >> SHIFT) - 1) * RUN_UNIT;
}

uint64_t
run_size(uint64_t run)
{
    return (uint64_t)RUN_UNIT << (run & ORDER);
}

bool
run_plausible(uint64_t run, uint64_t file_size)
{
    return run >> SHIFT != 0 && (run & ORDER) < ORDERS_MOST &&
           run >> SHIFT <= INT64_MAX / RUN_UNIT &&
           run_offset(run) <= file_size &&
           run_size(run) <= file_size - run_offset(run);
}

/* How many runs of one order the table has room for: as many as there can be records
 * between two looks of the host, but of a large call. */
static uint32_t
bank_size(const struct plan *plan)
{
    uint64_t most = (uint64_t)plan->count + plan->hands;
    return most < BANK_MOST ? (uint32_t)most : BANK_MOST;
}

uint32_t
runs_orphans(const struct plan *plan)
{
    return plan->fed ? bank_size(plan) : 0;
}

size_t
runs_size(const struct plan *plan)
{
    return plan->fed ? sizeof(uint64_t) * BANKS * bank_size(plan) : 0;
}

/* Where free runs of this size are. */
static _Atomic uint64_t *
bank_of(const struct sphttp_call *call, uint64_t size)
{
    unsigned int order = order_of(size);
    order = order < BANKS ? order : BANKS - 1;
    return call->spares + (size_t)order * bank_size(&call->plan);
}

bool
runs_offer(const struct sphttp_call *call, uint64_t run)
{
    _Atomic uint64_t *bank = bank_of(call, run_size(run));
    for (uint32_t i = 0; i < bank_size(&call->plan); i++) {
        uint64_t none = 0;
        if (bank[i] == 0 && atomic_compare_exchange_strong(
                                &bank[i], &none, run & ~(uint64_t)RUN_ALONE)) {
            return true;
        }
    }
    return false;
}

uint64_t
runs_take(const struct sphttp_call *call, uint64_t size)
{
    _Atomic uint64_t *bank = bank_of(call, size);
    struct stat st;
    for (uint32_t i = 0; i < bank_size(&call->plan); i++) {
        uint64_t run = bank[i];
        if (run != 0 && run_size(run) == size &&
            fstat(call->memory.fd, &st) == 0 &&
            run_plausible(run, (uint64_t)st.st_size) &&
            atomic_compare_exchange_strong(&bank[i], &run, 0)) {
            return run;
        }
    }
    return 0;
}

uint64_t
runs_claimed(const struct sphttp_call *call, uint32_t hand)
{
    return call->hands[hand].run;
}

void
runs_orphan(struct sphttp_call *call, uint32_t hand)
{
    uint64_t left[] = {call->hands[hand].run, call->hands[hand].alone};
    uint32_t most = runs_orphans(&call->plan);
    for (int i = 0; i < 2; i++) {
        for (uint32_t at = 0; left[i] != 0 && at < most; at++) {
            uint64_t none = 0;
            if (atomic_compare_exchange_strong(&call->orphans[at],
                                               &none, left[i])) {
                left[i] = 0;
            }
        }
    }
    call->hands[hand].run = call->hands[hand].alone = 0;
}
