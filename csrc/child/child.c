/* A child: when it is through with an item it writes the record, commits it and
 * takes the next. */
#include "child/child.h"

#include <errno.h>
#include <unistd.h>

#include "child/hand.h"
#include "shared/news.h"
#include "shared/pool.h"
#include "shared/store.h"

enum {
    QUICK_NS = 20000, /* items that take less are taken a few at a time */
    LARGE = 1 << 20   /* bytes; of such a result the host hears at once */
};

/* Write its record. Its state from then on. */
static uint64_t
write_record(struct sphttp_call *call, uint32_t index, int status,
             const void *payload, size_t size, int64_t now)
{
    struct header header = {
        .length = size,
        .started_ns = call->hands[call->child.hand].since_ns,
        .ended_ns = now,
        .index = call->plan.fed && index < call->plan.count
                     ? call->child.number
                     : index,
        .status = (uint32_t)status,
    };
    return store_write(call, &header, payload);
}

bool
child_commit(struct sphttp_call *call, uint32_t index, int status,
             const void *payload, size_t size, int64_t now)
{
    bool failed = status == SPHTTP_RAISED || status == SPHTTP_RAISED_AS ||
                  status == SPHTTP_NOT_TEXT || status == SPHTTP_NO_DIGEST;
    uint32_t stop = 0;
    uint64_t state = ITEM_DISCARDED;
    if (status != SPHTTP_DISCARDED) {
        state = write_record(call, index, status, payload, size, now);
        failed = failed || (state & ITEM_KIND) == ITEM_UNWRITTEN;
    }
    if (failed) {
        stop = (uint32_t)(call->child.how & ROUND_STOP);
    }
    else if (status >= SPHTTP_BREAK) {
        stop = status >= SPHTTP_KILL ? STOP_ALL : STOP_NEW;
    }
    if (call->page->how != call->child.how) {
        stop = 0; /* the round is over for which it was given up */
    }
    /* Before the commit: who sees this item ended must not begin another. But
     * what is killed must not be this one. */
    if (stop != 0) {
        page_stop(call->page, STOP_NEW);
    }
    uint64_t alone = call->child.alone;
    if (alone != 0) { /* first: from the commit on it is the host's */
        call->hands[call->child.hand].alone = call->child.alone = 0;
    }
    if (!hand_commit(call, index, state)) {
        call->hands[call->child.hand].alone = alone;
        _exit(1);
    }
    if (stop == STOP_ALL) {
        page_stop(call->page, STOP_ALL);
        (void)kill(getppid(), SIGCHLD); /* it looks at the page then */
    }
    if (call->plan.pool) {
        call->child.stripped = !news_tell(call, size >= LARGE) ||
                               state == item_unwritten(EBADF) ||
                               call->child.stripped;
    }
    return failed;
}

int
child_turn(struct sphttp_call *call, int64_t now)
{
    struct hand *hand = &call->hands[call->child.hand];
    bool quick = now - hand->since_ns < QUICK_NS;
    hand->since_ns = now;
    return quick ? TAKE_QUICK : 0;
}

int64_t
sphttp_child_commit(sphttp_call *call, uint32_t index, int status,
                    const char *payload, size_t size)
{
    if (call->plan.pool ? !pool_entered(call) : call->child.self != getpid()) {
        _exit(1); /* forked by the worker, and come back with it */
    }
    int64_t now = now_ns();
    bool failed = child_commit(call, index, status, payload, size, now);
    int64_t next = failed ? -2 : -1;
    if (call->child.stripped) {
        call->child.left = 0;
    }
    if (call->plan.pool) {
        int64_t taken = hand_take(call, child_turn(call, now));
        if (taken == SPHTTP_RAISED_IDLE) {
            return taken;
        }
        next = taken >= 0 ? taken : next;
    }
    /* A thread of the worker's, if it is no daemon, is joined in Python. */
    if (next < 0 && !call->child.linger && sphttp_is_alone()) {
        sphttp_child_exit(call, failed ? 1 : 0);
    }
    return next;
}

void
sphttp_child_fail(sphttp_call *call, int status, const char *payload,
                  size_t size)
{
    uint32_t index = call->plan.count;
    if (call->plan.kept) { /* first: no round is over before this process is */
        call->hands[call->child.hand].item = index + 1;
    }
    page_stop(call->page, STOP_NEW);
    uint64_t free = ITEM_FREE;
    call->child.number = 0; /* the call's own */
    /* The first to fail tells why. */
    if (atomic_compare_exchange_strong(&call->state[index], &free,
                                       item_running(call->child.hand))) {
        (void)hand_commit(call, index,
                          write_record(call, index, status, payload, size, 0));
        page_stop(call->page, STOP_NEW); /* kept: if a round has begun since */
    }
    _exit(1);
}

int
sphttp_child_discards(const sphttp_call *call)
{
    return (call->child.how & ROUND_DISCARDS) != 0;
}

void
sphttp_child_begin(sphttp_call *call)
{
    call->hands[call->child.hand].since_ns = now_ns();
}

void
sphttp_child_linger(sphttp_call *call)
{
    call->child.linger = true;
}

void
sphttp_child_leave(sphttp_call *call, int stage)
{
    struct hand *hand = &call->hands[call->child.hand];
    if (hand->leaving == 0) {
        hand->leaving_ns = now_ns();
    }
    hand->leaving = (uint32_t)stage;
}

uint32_t
sphttp_child_slot(const sphttp_call *call)
{
    return call->child.slot;
}
