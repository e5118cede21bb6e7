/* A pool's memory as the host sees it. A child may have written anything to it, and
 * to where its records are said to be: the host looks at nothing but what has
 * been written, and at that only when nobody can change it any more. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { READ_AT_ONCE = 1 << 10 }; /* bytes; many a record is smaller */

void
pool_unmap(struct sphttp_call *call)
{
    if (call->pool_map != NULL) {
        (void)munmap((void *)(uintptr_t)call->pool_map, call->pool_mapped);
        call->pool_map = NULL;
    }
    extents_forget(&call->written);
}

int
pool_map(struct sphttp_call *call, bool seal)
{
    if (!seal) {
        return 0;
    }
    pool_unmap(call);
    /* Refused while somebody, a process that a child has left behind, has it
     * mapped: then each record is copied before it is looked at. */
    if (fcntl(call->memory, F_ADD_SEALS, F_SEAL_WRITE) == 0) {
        int err = extents_learn(&call->written, call->memory, 0, INT64_MAX);
        if (err != 0) {
            return err;
        }
        size_t count = call->written.count;
        if (count == 0) {
            return 0;
        }
        uint64_t size = call->written.list[count - 1].to;
        char *map = size > PTRDIFF_MAX
                        ? MAP_FAILED
                        : mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED,
                               call->memory, 0);
        if (map != MAP_FAILED) {
            call->pool_map = map;
            call->pool_mapped = (size_t)size;
            return 0;
        }
    }
    if (call->pool_reader < 0) { /* the call may be closed before it is read */
        int fd = fcntl(call->memory, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        if (fd < 0) {
            return -errno;
        }
        call->pool_reader = fd;
    }
    return 0;
}

static int
reader(const struct sphttp_call *call)
{
    return call->pool_reader >= 0 ? call->pool_reader : call->memory;
}

/* Has all of it been written to? 0, -EBADMSG: no; -errno. */
static int
check_written(struct sphttp_call *call, uint64_t at, uint64_t size)
{
    int err = at <= INT64_MAX && size <= INT64_MAX - at ? 0 : -EBADMSG;
    if (err == 0 && call->pool_map == NULL &&
        extents_room(&call->written, at) < size) {
        err = extents_learn(&call->written, reader(call), at, at + size);
    }
    if (err == 0 && extents_room(&call->written, at) < size) {
        err = -EBADMSG;
    }
    return err;
}

/* Read so many bytes, or all that there are. How many, or -errno. */
static ssize_t
read_at(int fd, char *to, size_t size, uint64_t at)
{
    ssize_t n;
    do {
        n = pread(fd, to, size, (off_t)at);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* Copy a record: who wrote it may still do so. Read, for a mapping of what has
 * become a hole meanwhile would fill it. 0, -EBADMSG or -errno. */
static int
copy_record(struct sphttp_call *call, uint32_t index, uint64_t at,
            struct header *header, struct payload *payload)
{
    char start[READ_AT_ONCE];
    ssize_t n = read_at(reader(call), start, sizeof(start), at);
    if (n < (ssize_t)sizeof(*header)) {
        return n < 0 ? (int)n : -EBADMSG;
    }
    memcpy(header, start, sizeof(*header));
    if (!record_plausible(header, index, INT64_MAX)) {
        return -EBADMSG;
    }
    size_t size = header->length + header->mac_size;
    int err = check_written(call, at, sizeof(*header) + size);
    if (err != 0) {
        return err;
    }
    payload->record = malloc(size > 0 ? size : 1);
    if (payload->record == NULL) {
        return -ENOMEM;
    }
    size_t done = (size_t)n - sizeof(*header);
    done = done < size ? done : size;
    memcpy(payload->record, start + sizeof(*header), done);
    while (done < size) { /* Linux reads 2 GiB at most */
        n = read_at(reader(call), payload->record + done, size - done,
                    at + sizeof(*header) + done);
        if (n <= 0) {
            return n < 0 ? (int)n : -EBADMSG;
        }
        done += (size_t)n;
    }
    payload->text = payload->record;
    return 0;
}

/* Find a record in the mapping, where nobody writes to it. 0 or -EBADMSG. */
static int
find_record(struct sphttp_call *call, uint32_t index, uint64_t at,
            struct header *header, struct payload *payload)
{
    uint64_t room = extents_room(&call->written, at);
    if (room < sizeof(*header)) {
        return -EBADMSG;
    }
    memcpy(header, call->pool_map + at, sizeof(*header));
    payload->text = call->pool_map + at + sizeof(*header);
    return record_plausible(header, index, room) ? 0 : -EBADMSG;
}

void
pool_read(struct sphttp_call *call, uint32_t index, struct header *header,
          struct payload *payload)
{
    uint64_t at = call->state[index] & ~(uint64_t)ITEM_KIND;
    *payload = (struct payload){0};
    *header = (struct header){0};
    int err = check_written(call, at, sizeof(*header));
    if (err == 0) {
        err = call->pool_map != NULL
                  ? find_record(call, index, at, header, payload)
                  : copy_record(call, index, at, header, payload);
    }
    if (err == 0 && header->mac_size > 0) {
        err = record_check(call, header, payload->text);
    }
    if (err != 0) {
        payload_fail(payload, err);
        return;
    }
    payload->fate = (int)header->status;
    payload->size = header->length;
}
