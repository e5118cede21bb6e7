/* How the host feeds a call. Its items lie in a memory file of their own, to which the
 * host alone can write, through a mapping that no fork of it has: so an item is
 * stored without a system call, and the host need not believe anything that a child
 * may have written. What an item has taken up is used again when its result has
 * been fetched. */
#include "host/feed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "host/forks.h"
#include "host/host.h"
#include "host/result.h"
#include "shared/pool.h"
#include "shared/ring.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010 /* Linux has it since 5.1 */
#endif

enum {
    LEAST = 128,           /* bytes that an item takes up */
    FIRST_SIZE = 64 << 10, /* of the memory; it is doubled... */
    LARGEST_STEP = 1 << 20 /* ...or grows by so much */
};

/* --- The memory ------------------------------------------------------------------- */

static int
open_memory(struct sphttp_call *call)
{
    struct feed *feed = &call->host->feed;
    int fd = above_streams(
        memfd_create("tep-items", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!held_set(&call->items, fd)) {
        return fd < 0 ? fd : -errno;
    }
    int err = pool_back(call->items.fd, 0, FIRST_SIZE);
    if (err != 0) {
        return err;
    }
    void *at = mmap(NULL, FIRST_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
                    call->items.fd, 0);
    if (at == MAP_FAILED) {
        return -errno;
    }
    feed->at = at;
    feed->size = FIRST_SIZE;
    if (madvise(at, FIRST_SIZE, MADV_DONTFORK) != 0 ||
        fcntl(call->items.fd, F_ADD_SEALS, F_SEAL_SHRINK) != 0) {
        return -errno;
    }
    /* An older kernel refuses it: then a child could write there, by a system call,
     * and spoil items. */
    (void)fcntl(call->items.fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE);
    return 0;
}

int
feed_open(struct sphttp_call *call)
{
    struct feed *feed = &call->host->feed;
    uint32_t count = call->plan.count;
    feed->fed = calloc(count, sizeof(*feed->fed));
    feed->cells = calloc(count, sizeof(*feed->cells));
    feed->entries = calloc(call->plan.ring + 1, sizeof(*feed->entries));
    if (feed->fed == NULL || feed->cells == NULL || feed->entries == NULL) {
        return -ENOMEM;
    }
    feed->cells_free = count;
    for (uint32_t i = 0; i < count; i++) {
        feed->cells[i] = count - 1 - i; /* the last is taken first */
    }
    return open_memory(call);
}

void
feed_unshare(struct feed *feed)
{
    feed->at = NULL;
}

void
feed_close(struct sphttp_call *call)
{
    struct feed *feed = &call->host->feed;
    if (feed->at != NULL) {
        (void)munmap(feed->at, feed->size);
    }
    for (uint32_t i = 0; i < SHELVES; i++) {
        free(feed->shelves[i].free);
    }
    free(feed->fed);
    free(feed->cells);
    free(feed->entries);
    *feed = (struct feed){0};
    held_close(&call->items);
}

/* Let the memory reach to `end`. 0 or -errno. */
static int
grow(struct sphttp_call *call, uint64_t end)
{
    struct feed *feed = &call->host->feed;
    uint64_t step = feed->size < LARGEST_STEP ? feed->size : LARGEST_STEP;
    uint64_t size = feed->size + step;
    if (size < end) {
        size = (end + FIRST_SIZE - 1) / FIRST_SIZE * FIRST_SIZE;
    }
    /* First mapped: of what is too large for that, no child must map the rest. */
    void *at = mremap(feed->at, feed->size, size, MREMAP_MAYMOVE);
    if (at == MAP_FAILED) {
        return -errno;
    }
    feed->at = at;
    int err = pool_back(call->items.fd, feed->size, size);
    if (err != 0) {
        (void)mremap(at, size, feed->size, 0);
        return err;
    }
    feed->size = size;
    return 0;
}

/* The shelf for so many bytes, and the room that is on it: no more than a quarter is
 * left over. */
static uint32_t
shelf_for(uint64_t size, uint64_t *room)
{
    size = size > LEAST ? size : LEAST;
    uint64_t step = UINT64_C(1) << (61 - __builtin_clzll(size));
    size = (size + step - 1) / step * step;
    *room = size;
    uint32_t power = 63 - (uint32_t)__builtin_clzll(size);
    return power * 4 + (uint32_t)(size >> (power - 2) & 3);
}

/* Find room for so many bytes. 0 or -errno. */
static int
find_room(struct sphttp_call *call, uint64_t size, struct fed *found)
{
    struct feed *feed = &call->host->feed;
    if (size > INT64_MAX / 2) {
        return -EFBIG;
    }
    uint64_t room;
    found->shelf = shelf_for(size, &room);
    struct shelf *shelf = &feed->shelves[found->shelf];
    if (shelf->count > 0) {
        found->at = shelf->free[--shelf->count];
        return 0;
    }
    if (shelf->made == shelf->room) { /* to list it later must not fail */
        uint32_t more = shelf->room == 0 ? 16 : shelf->room * 2;
        uint64_t *list = realloc(shelf->free, more * sizeof(*list));
        if (list == NULL) {
            return -ENOMEM;
        }
        shelf->free = list;
        shelf->room = more;
    }
    int err = 0;
    if (room > feed->size - feed->used) {
        err = grow(call, feed->used + room);
    }
    if (err == 0) {
        found->at = feed->used;
        feed->used += room;
        shelf->made++;
    }
    return err;
}

/* --- Items ------------------------------------------------------------------------- */

/* May the entry of the ring be written over? Not before the item has begun that it
 * leads to. There is always somebody to begin that: who finds nothing else to do. */
static bool
entry_is_free(const struct sphttp_call *call, uint64_t number)
{
    uint64_t ring = call->plan.ring;
    uint32_t cell = call->host->feed.entries[number & ring];
    return number <= ring ||
           page_number(call, cell) != number - ring - 1 ||
           (page_item(call, cell) & ITEM_KIND) != ITEM_FREE;
}

uint32_t
feed_cell(const struct sphttp_call *call, uint64_t number)
{
    return call->plan.fed ? call->host->feed.entries[number & call->plan.ring]
                          : (uint32_t)number;
}

void
feed_beat(struct sphttp_call *call)
{
    if (call->host->unbeaten > 0) {
        call->host->unbeaten = 0;
        /* Kept: whoever has woken by now has taken them, most often. */
        if (!call->plan.kept || page_next(call) < call->ledger->watermark) {
            page_beat(call->page);
        }
    }
}

void
feed_tell(struct sphttp_call *call)
{
    const struct feed *feed = &call->host->feed;
    if (call->ledger->watermark == feed->number) {
        return;
    }
    ring_raise(call, feed->number);
    socket_look(call);
    if (call->plan.kept &&
        feed->number - call->host->round.from > call->ledger->idle) {
        socket_let_fork(call);
    }
    if (call->host->unbeaten >= call->plan.count / 2) {
        feed_beat(call);
    }
}

int64_t
feed_put(struct sphttp_call *call, const void *item, size_t size,
         bool pickled)
{
    struct feed *feed = &call->host->feed;
    if (feed->at == NULL) {
        return -EBADF;
    }
    if (feed->cells_free == 0 || !entry_is_free(call, feed->number)) {
        return -EAGAIN;
    }
    struct fed found;
    int err = find_room(call, size, &found);
    if (err != 0) {
        return err;
    }
    memcpy(feed->at + found.at, item, size);
    uint32_t cell = feed->cells[--feed->cells_free];
    feed->fed[cell] = found;
    feed->entries[feed->number & call->plan.ring] = cell;
    call->report[cell] = (struct report){0};
    ring_feed(call, cell, feed->number++, found.at,
              size | (pickled ? ITEM_PICKLED : 0));
    call->host->unbeaten++;
    if (!feed->many) {
        feed_tell(call);
    }
    return cell;
}

void
sphttp_call_end_feed(sphttp_call *call)
{
    if (call->plan.kept) {
        call->host->round.all_fed = true;
        return;
    }
    call->ledger->total = call->host->feed.number;
    page_set_total(call->page, call->ledger->total);
    socket_look(call);
}

void
sphttp_call_release(sphttp_call *call, uint32_t cell)
{
    struct feed *feed = &call->host->feed;
    if (page_number(call, cell) != UINT64_MAX) {
        struct shelf *shelf = &feed->shelves[feed->fed[cell].shelf];
        sphttp_call_drop(call, cell);
        *payload_of(call, cell) = (struct payload){0};
        ring_release(call, cell);
        shelf->free[shelf->count++] = feed->fed[cell].at;
        feed->cells[feed->cells_free++] = cell;
    }
}

void
feed_release_all(struct sphttp_call *call)
{
    const struct feed *feed = &call->host->feed;
    for (uint32_t cell = 0;
         feed->cells_free < call->plan.count && cell < call->plan.count;
         cell++) {
        sphttp_call_release(call, cell);
    }
}
