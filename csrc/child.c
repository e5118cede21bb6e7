/* A child: it takes an item, and when it is through with it, writes the record,
 * commits it and takes the next. Its commit, and the end of an item that was
 * given up, exclude each other: protocol B. */
#include "internal.h"

#include <errno.h>
#include <unistd.h>

int64_t
child_take(struct sphttp_call *call)
{
    struct page *page = call->page;
    struct hand *hand = &call->hands[call->slot];
    for (;;) {
        uint32_t index = page->next;
        if (page->stop || index >= page->watermark) {
            hand->item = 0;
            return -1;
        }
        /* First what is in hand, then that it is taken: one that dies in
         * between has begun nothing, and another takes the item. */
        hand->item = index + 1;
        uint32_t free = ITEM_FREE;
        bool taken = atomic_compare_exchange_strong(
            &call->state[index], &free,
            ITEM_RUN | call->slot << ITEM_SLOT_SHIFT);
        /* Also for one that took it and died before it could do so. */
        uint32_t passed = index;
        (void)atomic_compare_exchange_strong(&page->next, &passed, index + 1);
        if (taken) {
            return index;
        }
    }
}

/* Move the item from running to `kind`; false: it has been given up. */
static bool
commit(struct sphttp_call *call, uint32_t index, uint32_t kind)
{
    uint32_t word = call->state[index];
    uint32_t done = (word & ~(uint32_t)ITEM_KIND) | kind;
    return (word & ITEM_KIND) == ITEM_RUN &&
           atomic_compare_exchange_strong(&call->state[index], &word, done);
}

int64_t
sphttp_child_commit(sphttp_call *call, uint32_t index, int status,
                    const char *payload, size_t size)
{
    struct hand *hand = &call->hands[call->slot];
    if (call->pool ? !pool_entered(call) : hand->pid != getpid()) {
        _exit(1); /* forked by the worker, and come back with it */
    }
    bool failed = status == SPHTTP_RAISED || status == SPHTTP_RAISED_AS ||
                  status == SPHTTP_NOT_TEXT;
    uint32_t kind = ITEM_DISCARDED;
    int64_t now = now_ns();
    if (status != SPHTTP_DISCARDED) {
        struct header header = {
            .length = size,
            .started_ns = hand->since_ns,
            .ended_ns = now,
            .index = index,
            .status = (uint32_t)status,
        };
        int err = call->pool ? pool_write(call, &header, payload)
                             : record_write(call, &header, payload);
        kind = err == 0 ? ITEM_DONE : ITEM_UNWRITTEN;
        if (err != 0) {
            call->report[index].error = -err;
            failed = true;
        }
    }
    /* Before the commit: who sees this item ended must not begin another. */
    if (failed && call->stop_on_failure) {
        call->page->stop = 1;
    }
    if (!commit(call, index, kind)) {
        _exit(1);
    }
    int64_t next = failed ? -2 : -1;
    if (call->pool) {
        hand->since_ns = now;
        next = child_take(call);
    }
    if (next < 0 && !call->linger) {
        _exit(failed ? 1 : 0);
    }
    return next;
}

void
sphttp_child_fail(sphttp_call *call, int status, const char *payload,
                  size_t size)
{
    call->page->stop = 1;
    uint32_t index = call->count;
    uint32_t free = ITEM_FREE;
    /* The first to fail tells why. */
    if (atomic_compare_exchange_strong(
            &call->state[index], &free,
            ITEM_RUN | call->slot << ITEM_SLOT_SHIFT)) {
        struct header header = {
            .length = size, .index = index, .status = (uint32_t)status};
        int err = call->pool ? pool_write(call, &header, payload)
                             : record_write(call, &header, payload);
        call->report[index].error = -err;
        (void)commit(call, index, err == 0 ? ITEM_DONE : ITEM_UNWRITTEN);
    }
    _exit(1);
}

uint32_t
sphttp_child_slot(const sphttp_call *call)
{
    return call->slot;
}
