/* A child: it takes an item, and when it is through with it, writes the record,
 * commits it and takes the next. Its commit, and the end of an item that was
 * given up, exclude each other: protocol B. */
#include "internal.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Sleep until the watermark is another than `mark`, or a signal arrives. */
static void
await_watermark(struct page *page, uint32_t mark)
{
    (void)syscall(SYS_futex, &page->watermark, FUTEX_WAIT, mark, NULL, NULL,
                  0);
}

void
child_raise_watermark(struct page *page, uint32_t mark)
{
    page->watermark = mark;
    (void)syscall(SYS_futex, &page->watermark, FUTEX_WAKE, INT_MAX, NULL,
                  NULL, 0);
}

void
child_stop(struct page *page)
{
    page->stop = 1;
    /* Those who sleep look at the word no more: give them another mark. */
    child_raise_watermark(page, UINT32_MAX);
}

int64_t
child_take(struct sphttp_call *call)
{
    struct page *page = call->page;
    struct hand *hand = &call->hands[call->slot];
    for (;;) {
        uint32_t mark = page->watermark;
        uint32_t index = page->next;
        if (page->stop || index >= call->count) {
            hand->item = 0;
            return -1;
        }
        if (index >= mark) {
            hand->item = 0;
            await_watermark(page, mark);
            continue;
        }
        /* First what is in hand, then that it is taken: one that dies in
         * between has begun nothing, and another takes the item. */
        hand->item = index + 1;
        uint64_t free = ITEM_FREE;
        bool taken = atomic_compare_exchange_strong(
            &call->state[index], &free, item_running(call->slot));
        /* Also for one that took it and died before it could do so. */
        uint32_t passed = index;
        (void)atomic_compare_exchange_strong(&page->next, &passed, index + 1);
        if (taken) {
            return index;
        }
    }
}

/* Write its record. Its state from then on. */
static uint64_t
write_record(struct sphttp_call *call, uint32_t index, int status,
             const char *payload, size_t size, int64_t now)
{
    struct header header = {
        .length = size,
        .started_ns = call->hands[call->slot].since_ns,
        .ended_ns = now,
        .index = index,
        .status = (uint32_t)status,
    };
    int64_t offset = call->pool ? pool_write(call, &header, payload)
                                : record_write(call, &header, payload);
    if (offset < 0) {
        call->report[index].error = (int32_t)-offset;
        return ITEM_UNWRITTEN;
    }
    return (uint64_t)offset | ITEM_DONE;
}

/* Move an item of this child's from running to `state`; false: it has been
 * given up. */
static bool
commit(struct sphttp_call *call, uint32_t index, uint64_t state)
{
    uint64_t running = item_running(call->slot);
    return atomic_compare_exchange_strong(&call->state[index], &running,
                                          state);
}

int64_t
sphttp_child_commit(sphttp_call *call, uint32_t index, int status,
                    const char *payload, size_t size)
{
    struct hand *hand = &call->hands[call->slot];
    if (call->pool ? !pool_entered(call) : hand->pid != getpid()) {
        _exit(1); /* forked by the worker, and come back with it */
    }
    int64_t now = now_ns();
    bool failed = status == SPHTTP_RAISED || status == SPHTTP_RAISED_AS ||
                  status == SPHTTP_NOT_TEXT;
    uint64_t state = ITEM_DISCARDED;
    if (status != SPHTTP_DISCARDED) {
        state = write_record(call, index, status, payload, size, now);
        failed = failed || state == ITEM_UNWRITTEN;
    }
    /* Before the commit: who sees this item ended must not begin another. */
    if (failed && call->stop_on_failure) {
        child_stop(call->page);
    }
    if (!commit(call, index, state)) {
        _exit(1);
    }
    int64_t next = failed ? -2 : -1;
    if (call->pool) {
        hand->since_ns = now;
        int64_t taken = child_take(call);
        next = taken >= 0 ? taken : next;
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
    child_stop(call->page);
    uint32_t index = call->count;
    uint64_t free = ITEM_FREE;
    /* The first to fail tells why. */
    if (atomic_compare_exchange_strong(&call->state[index], &free,
                                       item_running(call->slot))) {
        (void)commit(call, index,
                     write_record(call, index, status, payload, size, 0));
    }
    _exit(1);
}

uint32_t
sphttp_child_slot(const sphttp_call *call)
{
    return call->slot;
}
