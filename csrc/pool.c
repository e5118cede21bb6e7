/* The memory that a pool's records are in: one memory file, of which each child
 * takes chunk after chunk for itself. It cannot shrink, for that would kill a
 * host that reads it. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PAGES = 64 << 10, /* bytes; of this, or of a power of 2 below it, are pages */
    FIRST_CHUNK = PAGES, /* each further one has twice as much... */
    LARGEST_CHUNK = 1 << 20 /* ...up to this */
};

int
pool_open(struct sphttp_call *call)
{
    call->memory = above_streams(
        memfd_create("tep-results", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (call->memory < 0) {
        int err = call->memory;
        call->memory = -1;
        return err;
    }
    if (fcntl(call->memory, F_ADD_SEALS, F_SEAL_SHRINK) != 0) {
        return -errno;
    }
    /* To ask the kernel for the pid once an item is dear. */
    void *mark = mmap(NULL, PAGES, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mark == MAP_FAILED) {
        return -errno;
    }
    call->mark = mark;
    return madvise(mark, PAGES, MADV_WIPEONFORK) == 0 ? 0 : -errno;
}

void
pool_enter(struct sphttp_call *call)
{
    *call->mark = 1;
}

bool
pool_entered(const struct sphttp_call *call)
{
    return *call->mark != 0;
}

/* Take `size` bytes of the memory; with `backed`, they are there. Their offset,
 * or -errno. */
static int64_t
take_bytes(struct sphttp_call *call, size_t size, bool backed)
{
    uint64_t offset = atomic_fetch_add(&call->page->used, size);
    if (offset > INT64_MAX - size) {
        return -EFBIG;
    }
    /* A store to what is not backed could end in SIGBUS: no memory. */
    int failed = 0;
    do {
        failed = backed ? fallocate(call->memory, 0, (off_t)offset,
                                    (off_t)size)
                        : 0;
    } while (failed != 0 && errno == EINTR);
    return failed == 0 ? (int64_t)offset : -errno;
}

/* A new window, with room for `size` bytes. 0 or -errno. */
static int
open_window(struct sphttp_call *call, size_t size)
{
    struct window *window = &call->window;
    size_t chunk = window->size == 0 ? FIRST_CHUNK : window->size * 2;
    if (chunk > LARGEST_CHUNK) {
        chunk = LARGEST_CHUNK;
    }
    while (chunk < size) {
        chunk *= 2;
    }
    int64_t offset = take_bytes(call, chunk, true);
    if (offset < 0) {
        return (int)offset;
    }
    char *at = mmap(NULL, chunk, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_POPULATE, call->memory, offset);
    if (at == MAP_FAILED) {
        return -errno;
    }
    if (window->at != NULL) {
        (void)munmap(window->at + window->room - window->size, window->size);
    }
    *window = (struct window){at, (uint64_t)offset, chunk, chunk};
    return 0;
}

/* Write it whole, at its place. 0 or -errno. */
static int
put_at(int fd, const void *from, size_t size, uint64_t offset)
{
    while (size > 0) {
        ssize_t n = pwrite(fd, from, size, (off_t)offset);
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        if (n > 0) {
            from = (const char *)from + n;
            size -= (size_t)n;
            offset += (uint64_t)n;
        }
    }
    return 0;
}

int64_t
pool_write(struct sphttp_call *call, struct header *header,
           const void *payload)
{
    unsigned char mac[MAC_SIZE];
    int err = record_head(call, header, payload, mac);
    if (err != 0) {
        return err;
    }
    size_t size = sizeof(*header) + header->length + header->mac_size;
    size = (size + 7) / 8 * 8;
    uint64_t offset;
    struct window *window = &call->window;
    if (size > LARGEST_CHUNK / 2) {
        /* Written, not stored: that costs no page fault a page. */
        size = (size + PAGES - 1) / PAGES * PAGES;
        int64_t found = take_bytes(call, size, false);
        if (found < 0) {
            return found;
        }
        offset = (uint64_t)found;
        err = put_at(call->memory, header, sizeof(*header), offset);
        if (err == 0) {
            err = put_at(call->memory, payload, header->length,
                         offset + sizeof(*header));
        }
        if (err == 0) {
            err = put_at(call->memory, mac, header->mac_size,
                         offset + sizeof(*header) + header->length);
        }
        if (err != 0) {
            return err;
        }
    }
    else {
        if (window->room < size) {
            err = open_window(call, size);
            if (err != 0) {
                return err;
            }
        }
        char *to = window->at;
        offset = window->offset;
        memcpy(to, header, sizeof(*header));
        memcpy(to + sizeof(*header), payload, header->length);
        memcpy(to + sizeof(*header) + header->length, mac, header->mac_size);
        window->at += size;
        window->offset += size;
        window->room -= size;
    }
    return (int64_t)offset;
}

static void
unmap(struct sphttp_call *call)
{
    if (call->pool_map != NULL) {
        (void)munmap((void *)(uintptr_t)call->pool_map, call->pool_mapped);
        call->pool_map = NULL;
        call->pool_size = call->pool_mapped = 0;
    }
}

int
pool_map(struct sphttp_call *call, bool seal)
{
    struct stat st;
    if (fstat(call->memory, &st) != 0) {
        return -errno;
    }
    uint64_t size = (uint64_t)st.st_size;
    uint64_t mapped = size;
    if (seal) {
        unmap(call); /* what is mapped as shared cannot be sealed */
        /* Refused while somebody, a process that a child has left behind, has
         * it mapped: then each record is copied before it is looked at. */
        call->pool_sealed =
            fcntl(call->memory, F_ADD_SEALS, F_SEAL_WRITE) == 0;
    }
    else if (size <= call->pool_mapped) {
        call->pool_size = size;
        return 0;
    }
    else {
        unmap(call);
        mapped = 2 * size; /* it will grow: not anew each time */
    }
    if (size == 0) {
        return 0;
    }
    char *map = mmap(NULL, mapped, PROT_READ,
                     MAP_SHARED | (seal ? MAP_POPULATE : 0), call->memory, 0);
    if (map == MAP_FAILED) {
        return -errno;
    }
    call->pool_map = map;
    call->pool_mapped = mapped;
    call->pool_size = size;
    return 0;
}

void
pool_read(struct sphttp_call *call, uint32_t index, struct header *header,
          struct payload *payload)
{
    uint64_t offset = page_item(call, index) & ~(uint64_t)ITEM_KIND;
    offset -= call->pool ? 0 : IN_MEMORY;
    *payload = (struct payload){0};
    *header = (struct header){0};
    if (offset > call->pool_size ||
        call->pool_size - offset < sizeof(*header)) {
        payload_fail(payload, -EBADMSG);
        return;
    }
    const char *at = call->pool_map + offset;
    memcpy(header, at, sizeof(*header));
    if (!record_plausible(header, index, call->pool_size - offset)) {
        payload_fail(payload, -EBADMSG);
        return;
    }
    payload->text = at + sizeof(*header);
    size_t size = header->length + header->mac_size;
    int err = 0;
    if (!call->pool_sealed) {
        payload->record = malloc(size > 0 ? size : 1);
        if (payload->record == NULL) {
            payload_fail(payload, -ENOMEM);
            return;
        }
        memcpy(payload->record, payload->text, size);
        payload->text = payload->record;
    }
    if (header->mac_size > 0) {
        err = record_check(call, header, payload->text);
    }
    if (err != 0) {
        payload_fail(payload, err);
        return;
    }
    payload->fate = (int)header->status;
    payload->size = header->length;
}

void
pool_close(struct sphttp_call *call)
{
    unmap(call);
    if (call->mark != NULL) {
        (void)munmap(call->mark, PAGES);
        call->mark = NULL;
    }
    close_end(&call->memory);
}
