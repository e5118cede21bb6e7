/* What of a pool's memory has been written to. The rest of the file is holes, of
 * any size where a child has scribbled on the page; to read one through a mapping
 * would fill it, so the host looks at nothing that is not known from here. */
#include "host/extents.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How many of them begin at or before `at`. */
static size_t
before(const struct extents *extents, uint64_t at)
{
    size_t low = 0, high = extents->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (extents->list[middle].from <= at) {
            low = middle + 1;
        }
        else {
            high = middle;
        }
    }
    return low;
}

uint64_t
extents_room(const struct extents *extents, uint64_t at)
{
    size_t i = before(extents, at);
    return i > 0 && extents->list[i - 1].to > at
               ? extents->list[i - 1].to - at
               : 0;
}

/* Note that [from, to) has been written to. 0 or -ENOMEM. */
static int
add(struct extents *extents, uint64_t from, uint64_t to)
{
    if (extents->count == extents->room) {
        size_t room = extents->room == 0 ? 16 : extents->room * 2;
        void *list = realloc(extents->list, room * sizeof(*extents->list));
        if (list == NULL) {
            return -ENOMEM;
        }
        extents->list = list;
        extents->room = room;
    }
    size_t i = before(extents, from), end = i;
    if (i > 0 && extents->list[i - 1].to >= from) {
        i--; /* it goes on from there */
        from = extents->list[i].from;
    }
    while (end < extents->count && extents->list[end].from <= to) {
        end++;
    }
    if (end > i && extents->list[end - 1].to > to) {
        to = extents->list[end - 1].to;
    }
    memmove(&extents->list[i + 1], &extents->list[end],
            (extents->count - end) * sizeof(*extents->list));
    extents->list[i] = (struct extent){from, to};
    extents->count = extents->count + i + 1 - end;
    return 0;
}

/* lseek; where the kernel knows of no holes, all of the file is data. */
static int64_t
seek(int fd, uint64_t from, int whence)
{
    off_t found = lseek(fd, (off_t)from, whence);
    if (found >= 0 || errno != EINVAL) {
        return found >= 0 ? found : -errno;
    }
    off_t end = lseek(fd, 0, SEEK_END);
    if (end < 0 || (uint64_t)end <= from) {
        return end < 0 ? -errno : -ENXIO;
    }
    return whence == SEEK_DATA ? (int64_t)from : end;
}

int
extents_learn(struct extents *extents, int fd, uint64_t from, uint64_t to)
{
    /* On from what is known: little is walked over twice, however often the
     * host asks while the memory grows. */
    size_t known = before(extents, from);
    from = known > 0 ? extents->list[known - 1].to : 0;
    while (from <= to) {
        int64_t data = seek(fd, from, SEEK_DATA);
        if (data < 0 || (uint64_t)data > to) {
            return data < 0 && data != -ENXIO ? (int)data : 0;
        }
        int64_t hole = seek(fd, (uint64_t)data, SEEK_HOLE);
        if (hole <= data) {
            /* It has become a hole just now. */
            return hole < 0 && hole != -ENXIO ? (int)hole : 0;
        }
        int err = add(extents, (uint64_t)data, (uint64_t)hole);
        if (err != 0) {
            return err;
        }
        from = (uint64_t)hole;
    }
    return 0;
}

void
extents_forget(struct extents *extents)
{
    free(extents->list);
    *extents = (struct extents){0};
}
