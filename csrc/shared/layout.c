/* How the shared page and the ledger are laid out. */
#include "shared/layout.h"

#include "shared/ring.h"
#include "shared/runs.h"

#include <errno.h>
#include <sys/mman.h>

static void *
share(size_t size)
{
    void *found = mmap(NULL, size, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return found == MAP_FAILED ? NULL : found;
}

int
layout_open(struct sphttp_call *call)
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
    size_t ring = call->plan.page_size;
    size_t spares = (ring + ring_size(&call->plan) + 7) / 8 * 8;
    call->plan.page_size = spares + runs_size(&call->plan);
    size_t living = (sizeof(struct ledger) + 63) / 64 * 64;
    size_t reports = living + sizeof(struct alive) * call->plan.alive;
    size_t numbers = reports + sizeof(struct report) * count;
    size_t orphans = numbers + ring_ledger_size(&call->plan);
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
    call->living = (void *)(ledger + living);
    call->report = (void *)(ledger + reports);
    call->orphans = (void *)(ledger + orphans);
    call->page->watermark = call->ledger->watermark = call->plan.count;
    call->page->total = call->ledger->total = call->plan.count;
    if (call->plan.fed) {
        ring_open(call, page + ring, ledger + numbers);
    }
    return 0;
}

void
layout_close(struct sphttp_call *call)
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
layout_keep_ledger(const struct sphttp_call *call)
{
    (void)madvise(call->ledger, call->plan.ledger_size, MADV_DONTFORK);
}
