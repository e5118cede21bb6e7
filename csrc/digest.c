/* Files to digests, without Python: one file for whoever asks, or a child of a
 * call that has as many in hand as the processor can digest at once. What is
 * read is kept in a buffer, so that memory does not grow with the file. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    READ_SIZE = 256 << 10, /* bytes; what is read at once */
    BUFFER_SIZE = READ_SIZE + 2 * SHA256_BLOCK, /* with the padding at its end */
    LARGE = 1 << 20,       /* bytes; a file that takes most of a millisecond */
    SURVEY_LENGTH = 64,    /* files whose size is asked for in one go */
    RING_EVERY = 16 << 20  /* bytes; then a host that wants to know is woken */
};

/* What is computed: where the inner and the outer hash of HMAC begin. */
struct algorithm {
    bool keyed; /* else plain SHA-256 */
    struct sha256_state inner, outer;
};

/* A file that is being digested. */
struct file {
    int fd;                 /* -1: none is */
    uint64_t size;          /* bytes, as it was opened */
    uint64_t total;         /* bytes that have been read */
    bool ended;             /* all is in the buffer, the padding too */
    struct sha256_state state;
    unsigned char *buffer;  /* BUFFER_SIZE bytes */
    const unsigned char *at; /* in it, and so many bytes are to be digested */
    size_t left;
};

struct digest {
    struct algorithm algorithm;
    const struct sha256_kernel *kernel;
    const char **paths; /* one an item */
    unsigned char *buffers; /* LANES_MOST of them; each child's become its own */
};

/* --- What is computed ----------------------------------------------------------- */

/* The state after the block that the key makes with `pad`. */
static struct sha256_state
after_key(const unsigned char key[SHA256_BLOCK], unsigned char pad)
{
    unsigned char block[SHA256_BLOCK];
    struct sha256_state state = sha256_start;
    for (int i = 0; i < SHA256_BLOCK; i++) {
        block[i] = key[i] ^ pad;
    }
    sha256_alone(&state, block, 1);
    explicit_bzero(block, sizeof(block));
    return state;
}

/* Source: RFC 2104, section 2. 0 or -EIO. */
static int
algorithm_init(struct algorithm *algorithm, const char *key, size_t key_size)
{
    *algorithm = (struct algorithm){false, sha256_start, sha256_start};
    if (key == NULL) {
        return 0;
    }
    unsigned char block[SHA256_BLOCK] = {0};
    if (key_size <= sizeof(block)) {
        memcpy(block, key, key_size);
    }
    else if (sha256_digest(key, key_size, block) != 0) {
        return -EIO;
    }
    algorithm->keyed = true;
    algorithm->inner = after_key(block, 0x36);
    algorithm->outer = after_key(block, 0x5c);
    explicit_bzero(block, sizeof(block));
    return 0;
}

/* What ends a message: a one, zeros to the end of a block, and in its last eight
 * bytes the length in bits. Returns how many bytes that takes.
 * Source: FIPS 180-4, section 5.1.1. */
static size_t
put_padding(unsigned char *to, uint64_t length)
{
    size_t over = (size_t)(length % SHA256_BLOCK);
    size_t size = (over < 56 ? 1u : 2u) * SHA256_BLOCK - over;
    memset(to, 0, size);
    to[0] = 0x80;
    for (size_t i = 0; i < 8; i++) {
        to[size - 1 - i] = (unsigned char)(length * 8 >> 8 * i);
    }
    return size;
}

static void
put_state(unsigned char *to, const struct sha256_state *state)
{
    for (int i = 0; i < SHA256_SIZE; i++) {
        to[i] = (unsigned char)(state->h[i / 4] >> (24 - i % 4 * 8));
    }
}

/* --- One file --------------------------------------------------------------------- */

/* Open it, if it is a regular one. 0, -errno, or SPHTTP_NOT_A_FILE. */
static int
file_open(struct file *file, const struct algorithm *algorithm,
          const char *path)
{
    /* O_NONBLOCK: a FIFO without a writer, or a file of /proc that waits for
     * something to say, must not be waited for. */
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
        /* What open says of a socket, and of a device that is not there. */
        return errno == ENXIO || errno == ENODEV ? SPHTTP_NOT_A_FILE : -errno;
    }
    int err = 0;
    struct stat st;
    if (fstat(fd, &st) != 0) {
        err = -errno;
        goto fail;
    }
    if (!S_ISREG(st.st_mode)) {
        err = S_ISDIR(st.st_mode) ? -EISDIR : SPHTTP_NOT_A_FILE;
        goto fail;
    }
    if (st.st_size > READ_SIZE) {
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    }
    *file = (struct file){
        .fd = fd,
        .size = (uint64_t)st.st_size,
        .state = algorithm->inner,
        .buffer = file->buffer,
        .at = file->buffer,
    };
    return 0;

fail:
    (void)close(fd);
    return err;
}

static void
file_close(struct file *file)
{
    close_end(&file->fd);
}

/* Less than a block is left: read on. 0 or -errno. Then there is a block, or the
 * file has ended and nothing is left. */
static int
file_fill(struct file *file, const struct algorithm *algorithm)
{
    if (file->ended) {
        return 0;
    }
    memmove(file->buffer, file->at, file->left);
    file->at = file->buffer;
    while (!file->ended && file->left < READ_SIZE) {
        size_t room = READ_SIZE - file->left;
        ssize_t n = read(file->fd, file->buffer + file->left, room);
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        if (n >= 0) {
            file->left += (size_t)n;
            file->total += (size_t)n;
            /* Less than was asked for, and all that it had when it was opened:
             * one read the less. What says that it has nothing, in /proc, is
             * read until there is nothing. */
            file->ended = n == 0 || ((size_t)n < room && file->size > 0 &&
                                     file->total >= file->size);
        }
    }
    if (file->ended) {
        uint64_t length = file->total + (algorithm->keyed ? SHA256_BLOCK : 0);
        file->left += put_padding(file->buffer + file->left, length);
    }
    return 0;
}

/* It has gone on by so many blocks. */
static void
file_advance(struct file *file, size_t blocks)
{
    file->at += blocks * SHA256_BLOCK;
    file->left -= blocks * SHA256_BLOCK;
}

/* The digest of a file of which nothing is left, in hexadecimal. */
static void
file_hex(const struct file *file, const struct algorithm *algorithm, char *hex)
{
    unsigned char block[SHA256_BLOCK];
    put_state(block, &file->state);
    if (algorithm->keyed) {
        struct sha256_state state = algorithm->outer;
        (void)put_padding(block + SHA256_SIZE, SHA256_BLOCK + SHA256_SIZE);
        sha256_alone(&state, block, 1);
        put_state(block, &state);
    }
    put_hex(hex, block);
}

/* --- Whoever asks for one ------------------------------------------------------------ */

struct sphttp_file {
    struct algorithm algorithm;
    struct file file;
    unsigned char buffer[BUFFER_SIZE];
};

void
sphttp_file_free(sphttp_file *file)
{
    if (file != NULL) {
        file_close(&file->file);
        explicit_bzero(&file->algorithm, sizeof(file->algorithm));
        free(file);
    }
}

/* 0 or -errno, and `*result` is the caller's to free in any case. */
static int
begin(sphttp_file **result, const char *key, size_t key_size, const char *path)
{
    sphttp_file *file = malloc(sizeof(*file));
    *result = file;
    if (file == NULL) {
        return -ENOMEM;
    }
    file->file.fd = -1;
    file->file.buffer = file->buffer;
    int err = algorithm_init(&file->algorithm, key, key_size);
    return err == 0 ? file_open(&file->file, &file->algorithm, path) : err;
}

int
file_go_on(sphttp_file **result, const char *key, size_t key_size,
           const char *path, uint64_t most, char *hex)
{
    int err = *result == NULL ? begin(result, key, key_size, path) : 0;
    if (err != 0) {
        return err;
    }
    struct file *file = &(*result)->file;
    uint64_t end = file->total + most;
    for (;;) {
        err = file_fill(file, &(*result)->algorithm);
        if (err != 0) {
            return err;
        }
        size_t blocks = file->left / SHA256_BLOCK;
        if (blocks == 0) {
            file_hex(file, &(*result)->algorithm, hex);
            return 0;
        }
        sha256_alone(&file->state, file->at, blocks);
        file_advance(file, blocks);
        if (file->total >= end && !file->ended) {
            return -EINTR;
        }
    }
}

int
sphttp_hmac_sha256_file_hex(const char *key, size_t key_size,
                            const char *path, char *hex)
{
    sphttp_file *file = NULL;
    int err = file_go_on(&file, key, key_size, path, UINT64_MAX / 2, hex);
    sphttp_file_free(file);
    return err;
}

/* --- A call ---------------------------------------------------------------------- */

/* Find the names. 0 or -EINVAL: there is not one an item. */
static int
find_paths(const char **paths, uint32_t count, const char *from, size_t size)
{
    const char *end = from + size;
    for (uint32_t i = 0; i < count; i++) {
        const char *nul = memchr(from, '\0', (size_t)(end - from));
        if (nul == NULL) {
            return -EINVAL;
        }
        paths[i] = from;
        from = nul + 1;
    }
    return from == end ? 0 : -EINVAL;
}

int
sphttp_call_digest(sphttp_call *call, const char *paths, size_t size,
                   const char *key, size_t key_size, const char *kernel)
{
    struct digest *digest = calloc(1, sizeof(*digest));
    if (digest == NULL) {
        return -ENOMEM;
    }
    call->digest = digest;
    digest->kernel = sha256_kernel(kernel);
    if (digest->kernel == NULL) {
        return -EINVAL;
    }
    digest->paths = calloc(call->count, sizeof(*digest->paths));
    void *buffers = mmap(NULL, (size_t)LANES_MOST * BUFFER_SIZE,
                         PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                         -1, 0);
    digest->buffers = buffers != MAP_FAILED ? buffers : NULL;
    if (digest->paths == NULL || digest->buffers == NULL) {
        return -ENOMEM;
    }
    int err = find_paths(digest->paths, call->count, paths, size);
    return err == 0 ? algorithm_init(&digest->algorithm, key, key_size) : err;
}

void
digest_free(struct digest *digest)
{
    if (digest == NULL) {
        return;
    }
    if (digest->buffers != NULL) {
        (void)munmap(digest->buffers, (size_t)LANES_MOST * BUFFER_SIZE);
    }
    explicit_bzero(&digest->algorithm, sizeof(digest->algorithm));
    free(digest->paths);
    free(digest);
}

uint64_t
sphttp_call_bytes(const sphttp_call *call)
{
    return call->page->bytes;
}

const char *
sphttp_sha256_kernel(const char *wanted)
{
    const struct sha256_kernel *kernel = sha256_kernel(wanted);
    return kernel != NULL ? kernel->name : NULL;
}

/* --- A child --------------------------------------------------------------------- */

struct lane {
    struct file file;
    uint32_t index; /* of the item, while there is a file */
};

struct child {
    struct sphttp_call *call;
    const struct digest *digest;
    uint32_t lanes;
    struct lane lane[LANES_MOST];
    struct large *larges; /* those that were found, the largest first... */
    uint32_t large, larges_end; /* ...and these have not been looked at */
    int64_t only; /* not a pool's: its item, or -1 */
    bool failed;  /* the last one */
};

/* Ask for the sizes of those files that no other child asks for, and note the
 * large ones: the last core should not be left with the largest. */
static void
survey(const struct child *child)
{
    struct sphttp_call *call = child->call;
    struct page *page = call->page;
    uint32_t from;
    while (!page->stop &&
           (from = atomic_fetch_add(&page->surveyed, SURVEY_LENGTH)) <
               call->count) {
        for (uint32_t i = from; i < call->count && i - from < SURVEY_LENGTH;
             i++) {
            struct stat st;
            if (stat(child->digest->paths[i], &st) != 0 ||
                !S_ISREG(st.st_mode) || st.st_size < LARGE) {
                continue; /* what is wrong with it shows when it is opened */
            }
            uint32_t place = atomic_fetch_add(&page->large, 1);
            if (place < call->count) {
                call->larges[place].index = i;
                call->larges[place].size = (uint64_t)st.st_size;
            }
        }
    }
}

static int
larger_first(const void *left, const void *right)
{
    const struct large *a = left, *b = right;
    if (a->size != b->size) {
        return a->size > b->size ? -1 : 1;
    }
    return (a->index > b->index) - (a->index < b->index);
}

/* Copy what has been found so far, and sort it. Nothing depends on its being all:
 * what is missing has its turn with the small ones. */
static void
list_larges(struct child *child)
{
    const struct sphttp_call *call = child->call;
    uint32_t count = call->page->large;
    count = count < call->count ? count : call->count;
    child->larges = malloc((count + 1) * sizeof(*child->larges));
    for (uint32_t i = 0; child->larges != NULL && i < count; i++) {
        struct large *large = &child->larges[child->larges_end];
        large->index = call->larges[i].index;
        large->size = call->larges[i].size;
        if (large->index < call->count && large->size > 0) {
            child->larges_end++;
        }
    }
    if (child->larges != NULL) {
        qsort(child->larges, child->larges_end, sizeof(*child->larges),
              larger_first);
    }
}

/* Are there more free items than children who have none in hand? Each gets one
 * before any gets a second. */
static bool
enough_for_two(const struct child *child)
{
    const struct sphttp_call *call = child->call;
    uint32_t idle = 0, free = 0;
    for (uint32_t slot = 0; slot < call->alive; slot++) {
        bool busy = false;
        for (uint32_t lane = 0; lane < call->lanes; lane++) {
            busy = busy || call->hands[slot * call->lanes + lane].item != 0;
        }
        idle += !busy;
    }
    uint32_t next = call->page->next;
    for (uint32_t i = child->large; i < child->larges_end && free <= idle;
         i++) {
        free += call->state[child->larges[i].index] == ITEM_FREE;
    }
    return free > idle || (next < call->count && call->count - next > idle);
}

/* The next item for lane `i`, or -1: there is none, or none yet. */
static int64_t
next_item(struct child *child, uint32_t i)
{
    struct sphttp_call *call = child->call;
    if (!call->pool) {
        int64_t only = child->only;
        child->only = -1;
        return only;
    }
    bool beside = false, beside_large = false;
    for (uint32_t other = 0; other < child->lanes; other++) {
        const struct file *file = &child->lane[other].file;
        beside = beside || file->fd >= 0;
        beside_large = beside_large || (file->fd >= 0 && file->size >= LARGE);
    }
    call->hand = call->slot * call->lanes + i;
    int how = child_turn(call, now_ns());
    if (!hand_left(call, call->hand)) {
        if (beside && !enough_for_two(child)) {
            return -1;
        }
        while (child->large < child->larges_end) {
            uint32_t index = child->larges[child->large++].index;
            if (hand_take_this(call, index)) {
                return index;
            }
        }
        /* Small files are for those who have no large one to go on with: what
         * it costs to open them would hold it up. */
        if (beside_large && call->alive > 1) {
            return -1;
        }
    }
    return hand_take(call, beside ? how | TAKE_NOW : how);
}

/* Lane `i` is through with its item: `err`, or its digest. */
static void
finish_item(struct child *child, uint32_t i, int err)
{
    struct sphttp_call *call = child->call;
    struct lane *lane = &child->lane[i];
    char hex[2 * SHA256_SIZE + 1];
    int32_t code = err;
    call->hand = call->slot * call->lanes + i;
    file_close(&lane->file);
    if (err == 0) {
        file_hex(&lane->file, &child->digest->algorithm, hex);
        child->failed = child_commit(call, lane->index, SPHTTP_RETURNED, hex,
                                     sizeof(hex) - 1, now_ns());
    }
    else {
        child->failed = child_commit(call, lane->index, SPHTTP_NO_DIGEST,
                                     &code, sizeof(code), now_ns());
    }
}

/* Tell a host that wants to know how many bytes more have been read. */
static void
count_bytes(const struct child *child, uint64_t bytes)
{
    const struct sphttp_call *call = child->call;
    if (call->tell && bytes > 0) {
        uint64_t before = atomic_fetch_add(&call->page->bytes, bytes);
        if (before / RING_EVERY != (before + bytes) / RING_EVERY) {
            news_ring(call);
        }
    }
}

/* See that lane `i` has a block to go on with: of its file, or of the next. False:
 * there is none. */
static bool
get_ready(struct child *child, uint32_t i)
{
    struct lane *lane = &child->lane[i];
    const struct algorithm *algorithm = &child->digest->algorithm;
    for (;;) {
        int err = 0;
        if (lane->file.fd < 0) {
            int64_t index = next_item(child, i);
            if (index < 0) {
                return false;
            }
            lane->index = (uint32_t)index;
            err = file_open(&lane->file, algorithm,
                            child->digest->paths[index]);
        }
        if (err == 0 && lane->file.left < SHA256_BLOCK) {
            uint64_t before = lane->file.total;
            err = file_fill(&lane->file, algorithm);
            count_bytes(child, lane->file.total - before);
        }
        if (err == 0 && lane->file.left >= SHA256_BLOCK) {
            return true;
        }
        finish_item(child, i, err);
    }
}

/* Go on with every lane that has a block. False: none has. */
static bool
go_on(struct child *child)
{
    struct file *ready[LANES_MOST];
    uint32_t count = 0;
    for (uint32_t i = 0; i < child->lanes; i++) {
        if (get_ready(child, i)) {
            ready[count++] = &child->lane[i].file;
        }
    }
    if (count > 0 && count == child->digest->kernel->lanes) {
        struct sha256_state *states[LANES_MOST];
        const unsigned char *data[LANES_MOST];
        size_t blocks = SIZE_MAX;
        for (uint32_t i = 0; i < count; i++) {
            size_t left = ready[i]->left / SHA256_BLOCK;
            blocks = left < blocks ? left : blocks;
            states[i] = &ready[i]->state;
            data[i] = ready[i]->at;
        }
        child->digest->kernel->go_on(states, data, blocks);
        for (uint32_t i = 0; i < count; i++) {
            file_advance(ready[i], blocks);
        }
        return true;
    }
    for (uint32_t i = 0; i < count; i++) {
        size_t blocks = ready[i]->left / SHA256_BLOCK;
        sha256_alone(&ready[i]->state, ready[i]->at, blocks);
        file_advance(ready[i], blocks);
    }
    return count > 0;
}

_Noreturn void
digest_serve(struct sphttp_call *call, uint32_t index)
{
    const struct digest *digest = call->digest;
    struct child child = {
        .call = call,
        .digest = digest,
        .lanes = call->lanes > 1 ? digest->kernel->lanes : 1,
        .only = index,
    };
    (void)pthread_sigmask(SIG_SETMASK, &call->mask, NULL);
    for (uint32_t i = 0; i < LANES_MOST; i++) {
        child.lane[i].file.fd = -1;
        child.lane[i].file.buffer =
            digest->buffers + (size_t)i * BUFFER_SIZE;
    }
    if (call->larges != NULL && call->page->watermark >= call->count) {
        survey(&child);
        list_larges(&child);
    }
    while (go_on(&child)) {
    }
    _exit(child.failed ? 1 : 0);
}
