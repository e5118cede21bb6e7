/* A host that wants to know hears of each item that has ended. How it is told is in
 * shared/news.c. */
#include "host/news.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "host/forks.h"
#include "host/host.h"
#include "host/round.h"
#include "host/store.h"
#include "shared/news.h"

int
news_open(struct sphttp_call *call)
{
    struct host *host = call->host;
    host->begun = calloc(call->plan.count, sizeof(*host->begun));
    host->fresh = calloc(call->plan.count, sizeof(*host->fresh));
    if (host->begun == NULL || host->fresh == NULL) {
        return -ENOMEM;
    }
    /* Not an eventfd: all of those are one inode, and a child that rings must see
     * whether it is still this one. */
    int ends[2];
    int err = open_pipe(ends, O_NONBLOCK);
    if (err == 0) {
        (void)held_set(&host->heard, ends[0]);
        (void)held_set(&call->bell, ends[1]);
    }
    return err;
}

void
news_close(struct sphttp_call *call)
{
    free(call->host->begun);
    free(call->host->fresh);
    call->host->begun = NULL;
    call->host->fresh = NULL;
    held_close(&call->host->heard);
    held_close(&call->bell);
    close_end(&call->host->both);
}

/* One that can be read when there is news or the nursery has a word to say; -1: there is
 * no nursery. -errno. */
static int
news_descriptor(struct sphttp_call *call)
{
    struct host *host = call->host;
    if (host->host_end.fd < 0 || host->both >= 0) {
        return host->host_end.fd < 0 ? -1 : host->both;
    }
    struct epoll_event event = {.events = EPOLLIN};
    forks_lock();
    int fd = host->both = above_streams(epoll_create1(EPOLL_CLOEXEC));
    if (fd >= 0 &&
        (epoll_ctl(fd, EPOLL_CTL_ADD, host->host_end.fd, &event) != 0 ||
         epoll_ctl(fd, EPOLL_CTL_ADD, host->heard.fd, &event) != 0)) {
        fd = -errno;
        close_end(&host->both);
    }
    forks_unlock();
    return fd;
}

int
sphttp_call_descriptor(sphttp_call *call)
{
    if (!call->plan.tell) {
        return call->host->host_end.fd;
    }
    uint32_t listens = round_listens(call);
    (void)page_listen(call, listens);
    if (round_is_due(call, listens)) {
        news_tell_again(call); /* whoever waits for it has something to look at */
    }
    return news_descriptor(call);
}

/* Has it begun? What only a stray has ended counts too. */
static bool
has_begun(const struct sphttp_call *call, uint64_t number, uint32_t index)
{
    if (call->plan.pool) {
        return number < page_next(call);
    }
    const struct report *report = &call->report[index];
    return report->attempts > 0 || report->ended_ns != 0;
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
    return !report ||
           (call->plan.pool && !call->host->round.reaped &&
            item_committed(word)) ||
           call->report[index].ended_ns != 0;
}

/* Take note of those that have begun; in the end, of every one. Of those that were let
 * begin there are few, and no child's word is asked which have. */
static void
note_begun(struct sphttp_call *call, bool over)
{
    struct host *host = call->host;
    uint64_t count = call->plan.count;
    uint64_t end = call->plan.hold ? call->ledger->watermark : count;
    if (!call->plan.fed && (over || end > count)) {
        end = count;
    }
    while (host->begun_to < end) {
        uint64_t number = host->begun_to;
        uint32_t index = feed_cell(call, number);
        if (!over && !call->plan.hold && !has_begun(call, number, index)) {
            return;
        }
        host->begun[host->begun_count++] =
            (struct fresh){.number = number, .index = index};
        host->begun_to++;
    }
}

/* Of those, move the ones that have ended to the others. */
static void
note_ended(struct sphttp_call *call, bool report)
{
    struct host *host = call->host;
    uint32_t left = 0;
    for (uint32_t i = 0; i < host->begun_count; i++) {
        struct fresh item = host->begun[i];
        if (has_ended(call, item.index, report)) {
            host->fresh[host->fresh_to++] = item;
        }
        else {
            host->begun[left++] = item;
        }
    }
    host->begun_count = left;
}

static int
by_end(const void *left, const void *right)
{
    const struct fresh *a = left, *b = right;
    return a->ended_ns != b->ended_ns
               ? (a->ended_ns > b->ended_ns) - (a->ended_ns < b->ended_ns)
               : (a->number > b->number) - (a->number < b->number);
}

/* Those that are seen in one look are put into the order of their ends. */
static void
order(struct sphttp_call *call, struct fresh *fresh, uint32_t count)
{
    if (count > 1 && !call->host->round.patient) {
        call->host->store->see_ends(call, fresh, count);
        qsort(fresh, count, sizeof(*fresh), by_end);
    }
}

void
news_drain(struct sphttp_call *call, int kind)
{
    struct host *host = call->host;
    if (!call->plan.tell) {
        return;
    }
    page_set_rung(call, false); /* first: what ends from now on rings again */
    host->fresh_to -= host->fresh_from;
    memmove(host->fresh, host->fresh + host->fresh_from,
            host->fresh_to * sizeof(*host->fresh));
    host->fresh_from = 0;
    uint32_t first = host->fresh_to;
    note_begun(call, kind == SPHTTP_ENDED);
    note_ended(call, kind == SPHTTP_NEWS);
    order(call, host->fresh + first, host->fresh_to - first);
}

bool
news_all_ended(struct sphttp_call *call, bool or_free)
{
    const struct host *host = call->host;
    note_begun(call, true);
    for (uint32_t i = 0; i < host->begun_count; i++) {
        uint32_t index = host->begun[i].index;
        bool free = (page_item(call, index) & ITEM_KIND) == ITEM_FREE;
        if (!(free && or_free) && !has_ended(call, index, true)) {
            return false;
        }
    }
    return true;
}

bool
news_all_told(const struct sphttp_call *call)
{
    const struct host *host = call->host;
    return host->begun_count == 0 && host->begun_to == host->feed.number;
}

void
news_forget(struct sphttp_call *call)
{
    struct host *host = call->host;
    host->begun_to = host->feed.number;
    host->begun_count = host->fresh_from = host->fresh_to = 0;
}

uint64_t
news_ended(const struct host *host)
{
    return host->begun_to - host->begun_count;
}

int64_t
sphttp_call_next(sphttp_call *call)
{
    struct host *host = call->host;
    while (host->fresh_from < host->fresh_to) {
        const struct fresh *item = &host->fresh[host->fresh_from++];
        /* py_call_take may have released it. */
        if (!call->plan.fed ||
            page_number(call, item->index) == item->number) {
            return item->index;
        }
    }
    return -1;
}

int
sphttp_call_committed(const sphttp_call *call, uint32_t index)
{
    return item_committed(page_item(call, index));
}

int
sphttp_call_ready(const sphttp_call *call)
{
    const struct host *host = call->host;
    bool heard = host->round.on && host->round.patient ? host->round.over
                                                       : page_rung(call);
    return host->fresh_from < host->fresh_to || heard;
}
