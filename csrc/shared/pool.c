/* The memory that a pool's records are in: one memory file, of which each child
 * takes chunk after chunk for itself. It cannot shrink, for that would kill a
 * host that reads it; how one does is in host/pool.c. */
#include "shared/pool.h"

#include "shared/runs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PAGES = 64 << 10, /* bytes; of this, or of a power of 2 below it, are pages */
    FIRST_CHUNK = PAGES, /* each further one has twice as much... */
    LARGEST_CHUNK = 1 << 20, /* ...up to this */
    BLOCK = 4 << 10, /* bytes; what is looked at, or filled, at once */
    TRIES = 10000 /* to take some, before others that do */
};

static const char zeros[BLOCK];

int
pool_open(struct sphttp_call *call)
{
    int fd = above_streams(
        memfd_create("tep-results", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!held_set(&call->memory, fd)) {
        return fd < 0 ? fd : -errno;
    }
    return fcntl(call->memory.fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0 ? 0
                                                                   : -errno;
}

int
pool_prepare(struct sphttp_call *call)
{
    /* To ask the kernel for the pid once an item is dear. */
    void *wiped = mmap(NULL, PAGES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (wiped == MAP_FAILED) {
        return -errno;
    }
    call->plan.wiped = wiped;
    return madvise(wiped, PAGES, MADV_WIPEONFORK) == 0 ? 0 : -errno;
}

void
pool_enter(struct sphttp_call *call)
{
    *call->plan.wiped = 1;
}

bool
pool_entered(const struct sphttp_call *call)
{
    return *call->plan.wiped != 0;
}

void
pool_close(struct sphttp_call *call)
{
    if (call->plan.wiped != NULL) {
        (void)munmap(call->plan.wiped, PAGES);
        call->plan.wiped = NULL;
    }
    held_close(&call->memory);
}

/* --- A child takes ---------------------------------------------------------------- */

/* All is taken in multiples of this: pages; of a fed call, what runs consist of. */
static uint64_t
round_up(const struct sphttp_call *call, uint64_t size)
{
    uint64_t unit = call->plan.fed ? RUN_UNIT : (uint64_t)sysconf(_SC_PAGESIZE);
    return (size + unit - 1) / unit * unit;
}

/* Is there a byte in [at, at + size) that is not 0? What nobody has taken is a
 * hole, or at most the zeros of somebody who has backed it and was too late. */
static bool
written_to(int fd, uint64_t at, uint64_t size)
{
    uint64_t end = at + size;
    off_t data = lseek(fd, (off_t)at, SEEK_DATA);
    at = data < 0 ? end : (uint64_t)data;
    while (at < end) {
        char bytes[BLOCK];
        ssize_t n = pread(fd, bytes, sizeof(bytes), (off_t)at);
        if (n <= 0) {
            return false;
        }
        if (memcmp(bytes, zeros, (size_t)n) != 0) {
            return true;
        }
        at += (uint64_t)n;
    }
    return false;
}

/* Find where the next `size` bytes begin. A child extends the file before it raises
 * `used`. So a right `used` is a multiple of the page size and not beyond the end of
 * the file, and no record begins behind it. A wrong one was written by mistake: it is
 * set to the end of the file. 0, -errno, or -EAGAIN: it was wrong. */
static int
next_free(struct sphttp_call *call, uint64_t size, uint64_t *at)
{
    struct stat st;
    uint64_t used = call->page->used;
    if (fstat(call->memory.fd, &st) != 0) {
        return -errno;
    }
    uint64_t end = round_up(call, (uint64_t)st.st_size);
    if (used <= end && round_up(call, used) == used) {
        if (used > INT64_MAX || size > INT64_MAX - used) {
            return -EFBIG;
        }
        if (!written_to(call->memory.fd, used, size)) {
            *at = used;
            return 0;
        }
    }
    (void)atomic_compare_exchange_strong(&call->page->used, &used, end);
    return -EAGAIN;
}

int
pool_back(int fd, uint64_t from, uint64_t to)
{
    int err = record_fits(to);
    if (err != 0 || from >= to) {
        return err;
    }
    /* Any signal but a blocked one makes the kernel give up and begin again: a
     * timer's would keep it from ever coming to an end. */
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    do {
        err = fallocate(fd, 0, (off_t)from, (off_t)(to - from)) == 0 ? 0
                                                                     : -errno;
    } while (err == -EINTR); /* it was stopped */
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return err;
}

bool
pool_punch(int fd, uint64_t at, uint64_t size)
{
    return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                     (off_t)at, (off_t)size) == 0;
}

/* Take `size` bytes of the memory, whole pages: their offset, or -errno. First
 * backed, then taken: what cannot be had costs nobody else anything. */
static int64_t
take_bytes(struct sphttp_call *call, uint64_t size)
{
    uint64_t backed = 0;
    if (!held_still(&call->memory)) {
        return -EBADF; /* the worker has closed it */
    }
    uint64_t run = call->plan.fed ? runs_take(call, size) : 0;
    if (run != 0) {
        uint64_t at = run_offset(run);
        int err = pool_back(call->memory.fd, at, at + size);
        if (err != 0) {
            (void)runs_offer(call, run);
        }
        return err != 0 ? err : (int64_t)at;
    }
    for (int tries = 0; tries < TRIES; tries++) {
        uint64_t at = 0;
        int err = next_free(call, size, &at);
        if (err == 0) {
            /* Not again, where another child was quicker with less: the kernel
             * would empty each page. */
            err = pool_back(call->memory.fd, at > backed ? at : backed,
                            at + size);
            backed = at + size;
        }
        uint64_t used = at;
        if (err == 0 && atomic_compare_exchange_strong(&call->page->used,
                                                       &used, at + size)) {
            return (int64_t)at;
        }
        if (err != 0 && err != -EAGAIN) {
            return err;
        }
    }
    return -EAGAIN;
}

/* What was taken is of no use: let the kernel have it, and the next child the
 * place, if that is still the last. */
static void
give_back(struct sphttp_call *call, uint64_t offset, uint64_t size)
{
    uint64_t end = offset + size;
    if (pool_punch(call->memory.fd, offset, size) &&
        !atomic_compare_exchange_strong(&call->page->used, &end, offset) &&
        call->plan.fed) {
        (void)runs_offer(call, run_of(offset, size));
    }
}

/* --- A child writes ---------------------------------------------------------------- */

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

/* Write zeros there: from then on the pages are there to stay. What is backed only
 * is lost where another child asks for the same and more, and is refused; a store
 * to it would end in SIGBUS. 0 or -errno. */
static int
put_zeros(int fd, size_t size, uint64_t offset)
{
    while (size > 0) {
        struct iovec parts[PAGES / BLOCK];
        int count = 0;
        for (size_t left = size; left > 0 && count < PAGES / BLOCK; count++) {
            size_t n = left < BLOCK ? left : BLOCK;
            parts[count] = (struct iovec){(void *)(uintptr_t)zeros, n};
            left -= n;
        }
        ssize_t n = pwritev(fd, parts, count, (off_t)offset);
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        if (n > 0) {
            size -= (size_t)n;
            offset += (uint64_t)n;
        }
    }
    return 0;
}

/* A new window of so many bytes, whole pages. 0 or -errno. */
static int
open_window(struct sphttp_call *call, size_t size)
{
    struct window *window = &call->child.window;
    int64_t offset = take_bytes(call, size);
    if (offset < 0) {
        return (int)offset;
    }
    struct hand *hand = &call->hands[call->child.hand];
    uint64_t run = call->plan.fed ? run_of((uint64_t)offset, size) : 0;
    hand->alone = run; /* until records go there: those that are in the window still may */
    int err = put_zeros(call->memory.fd, size, (uint64_t)offset);
    char *at = MAP_FAILED;
    if (err == 0) {
        at = mmap(NULL, size, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_POPULATE, call->memory.fd, offset);
        err = at == MAP_FAILED ? -errno : 0;
    }
    hand->alone = 0;
    if (err != 0) {
        give_back(call, (uint64_t)offset, size);
        return err;
    }
    hand->run = run;
    if (window->at != NULL) {
        (void)munmap(window->at + window->room - window->size, window->size);
    }
    *window = (struct window){at, (uint64_t)offset, size, size, run};
    return 0;
}

/* Is there room in the window for a small record, or in a new one? */
static bool
has_room(struct sphttp_call *call, size_t size)
{
    struct window *window = &call->child.window;
    if (window->room >= size) {
        return true;
    }
    size_t chunk = window->size == 0 ? FIRST_CHUNK : window->size * 2;
    while (chunk < size) {
        chunk *= 2;
    }
    chunk = chunk < LARGEST_CHUNK ? chunk : LARGEST_CHUNK;
    if (open_window(call, chunk) == 0) {
        return true;
    }
    /* There is little left: no more than it takes, unless the old window has
     * more room for those that follow. */
    size_t least = (size_t)round_up(call, size);
    least = call->plan.fed ? (size_t)run_size(run_of(0, size)) : least;
    return least < chunk && least - size >= window->room &&
           open_window(call, least) == 0;
}

void
pool_get_ready(struct sphttp_call *call)
{
    (void)has_room(call, 1);
}

/* Store it in the window, where there is room. Its offset. */
static int64_t
put_in_window(struct window *window, const struct iovec parts[3], size_t size)
{
    int64_t offset = (int64_t)window->offset;
    ((struct header *)parts[0].iov_base)->run = window->run;
    char *to = window->at;
    for (int i = 0; i < 3; i++) {
        memcpy(to, parts[i].iov_base, parts[i].iov_len);
        to += parts[i].iov_len;
    }
    window->at += size;
    window->offset += size;
    window->room -= size;
    return offset;
}

/* Write it to pages of its own. Its offset, or -errno. */
static int64_t
write_apart(struct sphttp_call *call, const struct iovec parts[3], size_t size)
{
    size = (size_t)round_up(call, size);
    if (call->plan.fed) {
        size = (size_t)run_size(run_of(0, size));
    }
    int64_t offset = take_bytes(call, size);
    if (offset < 0) {
        return offset;
    }
    uint64_t to = (uint64_t)offset;
    if (call->plan.fed) {
        uint64_t run = run_of(to, size) | RUN_ALONE;
        ((struct header *)parts[0].iov_base)->run = run;
        call->hands[call->child.hand].alone = call->child.alone = run;
    }
    int err = 0;
    for (int i = 0; i < 3 && err == 0; i++) {
        err = put_at(call->memory.fd, parts[i].iov_base, parts[i].iov_len, to);
        to += parts[i].iov_len;
    }
    if (err != 0) {
        call->hands[call->child.hand].alone = call->child.alone = 0;
        give_back(call, (uint64_t)offset, size);
        return err;
    }
    return offset;
}

int64_t
pool_write(struct sphttp_call *call, const struct iovec parts[3])
{
    size_t size = record_size(parts[0].iov_base);
    size = (size + 7) / 8 * 8;
    /* A large one is written, not stored: that costs no page fault a page. */
    return size <= LARGEST_CHUNK / 2 && has_room(call, size)
               ? put_in_window(&call->child.window, parts, size)
               : write_apart(call, parts, size);
}
