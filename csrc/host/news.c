/* A host that wants to know hears of each item that has ended. How it is told is in
 * shared/news.c. */
#include "host/news.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "host/forks.h"
#include "host/host.h"

int
news_open(struct sphttp_call *call)
{
    call->host->known = calloc(call->plan.count, sizeof(*call->host->known));
    call->host->fresh = calloc(call->plan.count, sizeof(*call->host->fresh));
    if (call->host->known == NULL || call->host->fresh == NULL) {
        return -ENOMEM;
    }
    /* Not an eventfd: all of those are one inode, and a child that rings must see
     * whether it is still this one. */
    int ends[2];
    int err = open_pipe(ends, O_NONBLOCK);
    if (err == 0) {
        call->host->heard = ends[0];
        (void)held_set(&call->bell, ends[1]);
    }
    return err;
}

void
news_close(struct sphttp_call *call)
{
    free(call->host->known);
    free(call->host->fresh);
    call->host->known = NULL;
    call->host->fresh = NULL;
    close_end(&call->host->heard);
    held_close(&call->bell);
    close_end(&call->host->both);
}

int
news_descriptor(struct sphttp_call *call)
{
    struct host *host = call->host;
    if (host->host_end < 0 || host->both >= 0) {
        return host->host_end < 0 ? -1 : host->both;
    }
    struct epoll_event event = {.events = EPOLLIN};
    forks_lock();
    int fd = host->both = above_streams(epoll_create1(EPOLL_CLOEXEC));
    if (fd >= 0 &&
        (epoll_ctl(fd, EPOLL_CTL_ADD, host->host_end, &event) != 0 ||
         epoll_ctl(fd, EPOLL_CTL_ADD, host->heard, &event) != 0)) {
        fd = -errno;
        close_end(&host->both);
    }
    forks_unlock();
    return fd;
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
    return !report || (call->plan.pool && item_committed(word)) ||
           call->ledger->report[index].ended_ns != 0;
}

static void
note(struct sphttp_call *call, uint32_t index, bool report)
{
    if (!call->host->known[index] && has_ended(call, index, report)) {
        call->host->known[index] = true;
        call->host->fresh[call->host->fresh_to++] = index;
    }
}

void
news_drain(struct sphttp_call *call, bool all)
{
    if (!call->plan.tell) {
        return;
    }
    uint32_t first = call->host->fresh_to;
    uint32_t item = page_take_news(call);
    /* A list that a child has scribbled on may go round in circles. */
    for (uint32_t i = 0; i < call->plan.count && item != 0; i++) {
        note(call, item - 1, false);
        item = page_link(call, item - 1);
    }
    /* The head was the last to end. */
    for (uint32_t last = call->host->fresh_to; first + 1 < last; first++) {
        uint32_t index = call->host->fresh[--last];
        call->host->fresh[last] = call->host->fresh[first];
        call->host->fresh[first] = index;
    }
    if (page_take_missed(call) || all) {
        for (uint32_t i = 0; i < call->plan.count; i++) {
            note(call, i, !all);
        }
    }
}

int64_t
sphttp_call_next(sphttp_call *call)
{
    if (call->host->fresh_from == call->host->fresh_to) {
        return -1;
    }
    return call->host->fresh[call->host->fresh_from++];
}
