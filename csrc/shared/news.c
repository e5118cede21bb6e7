/* How a host that wants to know hears of each item that has ended: whoever ends it
 * puts it at the head of a list in the page, and rings where that was empty.
 * Of one that was killed in between the host is not told: it looks for itself
 * when it hears that a child has ended. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

int
news_open(struct sphttp_call *call)
{
    call->told = calloc(call->count, sizeof(*call->told));
    call->fresh = calloc(call->count, sizeof(*call->fresh));
    if (call->told == NULL || call->fresh == NULL) {
        return -ENOMEM;
    }
    /* Not an eventfd: all of those are one inode, and a child that rings must see
     * whether it is still this one. */
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        return -errno;
    }
    call->heard = above_streams(ends[0]);
    int rung = above_streams(ends[1]);
    if (!held_set(&call->bell, rung) || call->heard < 0) {
        return rung < 0 ? rung : call->heard;
    }
    return 0;
}

void
news_close(struct sphttp_call *call)
{
    free(call->told);
    free(call->fresh);
    call->told = NULL;
    call->fresh = NULL;
    close_end(&call->heard);
    held_close(&call->bell);
    close_end(&call->both);
}

int
news_descriptor(struct sphttp_call *call)
{
    if (call->host_end < 0 || call->both >= 0) {
        return call->host_end < 0 ? -1 : call->both;
    }
    struct epoll_event event = {.events = EPOLLIN};
    int err = 0;
    forks_lock();
    call->both = above_streams(epoll_create1(EPOLL_CLOEXEC));
    if (call->both < 0) {
        err = call->both;
        call->both = -1;
    }
    else if (epoll_ctl(call->both, EPOLL_CTL_ADD, call->host_end, &event) ||
             epoll_ctl(call->both, EPOLL_CTL_ADD, call->heard, &event)) {
        err = -errno;
        close_end(&call->both);
    }
    forks_unlock();
    return err != 0 ? err : call->both;
}

bool
news_ring(const struct sphttp_call *call)
{
    if (!call->tell) {
        return true;
    }
    if (!held_still(&call->bell)) {
        return false;
    }
    (void)write(call->bell.fd, "", 1); /* full: it has been rung */
    return true;
}

bool
news_push(struct sphttp_call *call, uint32_t index)
{
    if (!call->tell) {
        return true;
    }
    uint32_t head = call->page->news;
    do {
        call->link[index] = head;
    } while (!atomic_compare_exchange_weak(&call->page->news, &head,
                                           index + 1));
    return head != 0 || news_ring(call);
}

void
news_missed(struct sphttp_call *call)
{
    if (call->tell) {
        call->page->missed = 1;
        (void)news_ring(call);
    }
}

/* Has it ended, and with `report`, is all known of how? */
static bool
has_ended(const struct sphttp_call *call, uint32_t index, bool report)
{
    uint64_t word = page_item(call, index);
    if ((word & ITEM_KIND) == ITEM_FREE || (word & ITEM_KIND) == ITEM_RUN) {
        return false;
    }
    /* A pool's child leaves no report of what it commits. */
    return !report || (call->pool && item_committed(word)) ||
           call->report[index].ended_ns != 0;
}

static void
note(struct sphttp_call *call, uint32_t index, bool report)
{
    if (!call->told[index] && has_ended(call, index, report)) {
        call->told[index] = true;
        call->fresh[call->fresh_to++] = index;
    }
}

void
news_drain(struct sphttp_call *call, bool all)
{
    if (!call->tell) {
        return;
    }
    uint32_t first = call->fresh_to;
    uint32_t item = page_take_news(call);
    /* A list that a child has scribbled on may go round in circles. */
    for (uint32_t i = 0; i < call->count && item != 0; i++) {
        note(call, item - 1, false);
        item = page_link(call, item - 1);
    }
    /* The head was the last to end. */
    for (uint32_t last = call->fresh_to; first + 1 < last; first++) {
        uint32_t index = call->fresh[--last];
        call->fresh[last] = call->fresh[first];
        call->fresh[first] = index;
    }
    if (page_take_missed(call) || all) {
        for (uint32_t i = 0; i < call->count; i++) {
            note(call, i, !all);
        }
    }
}

int64_t
sphttp_call_next(sphttp_call *call)
{
    if (call->fresh_from == call->fresh_to) {
        return -1;
    }
    return call->fresh[call->fresh_from++];
}
