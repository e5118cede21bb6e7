/* A few files that the host digests itself, in the thread that asks for them: where
 * they are so small that children would cost more. The files are only read: a
 * mapping of a file that shrinks would kill the host. */
#include "host/small.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/safe.h"
#include "base/sha256_choice.h"
#include "digest/file.h"
#include "host/forks.h"

enum {
    A_FILE = 16 << 10, /* bytes: to open and to close one costs as much */
    ALONE = 2 /* times: so much less is small where a routine takes one at a time */
};

struct lane {
    struct file file;
    const char *path; /* of the file that it digests; NULL: there is none */
    uint32_t index;
};

struct sphttp_small {
    struct algorithm algorithm;
    struct sha256_kernel kernel;
    const char *paths, *path; /* those of all; that of the next file */
    uint32_t count, next, surveyed;
    uint64_t most, weight, read; /* bytes */
    bool stop; /* no file is begun after one that failed */
    uint32_t lanes;
    struct lane lane[LANES_MOST];
    unsigned char *buffers;
    char *hex; /* 2 * SHA256_SIZE a file */
    int32_t *codes;
    sphttp_small *next_open;
};

/* All that are open; see forks.c for the lock. */
static sphttp_small *open_smalls;

/* --- Open, and close -------------------------------------------------------------- */

/* Are there so many names, each with a NUL behind it? */
static bool
are_names(const char *names, size_t size, uint32_t count)
{
    const char *end = names + size;
    while (count > 0 && names < end) {
        const char *nul = memchr(names, '\0', (size_t)(end - names));
        if (nul == NULL) {
            return false;
        }
        names = nul + 1;
        count--;
    }
    return count == 0 && names == end;
}

static void
enter(sphttp_small *small)
{
    forks_watch();
    forks_lock();
    small->next_open = open_smalls;
    open_smalls = small;
    forks_unlock();
}

static void
leave(sphttp_small *small)
{
    forks_lock();
    sphttp_small **link = &open_smalls;
    while (*link != NULL && *link != small) {
        link = &(*link)->next_open;
    }
    if (*link == small) { /* else another process has entered it */
        *link = small->next_open;
    }
    forks_unlock();
}

static void
close_files(sphttp_small *small)
{
    for (uint32_t i = 0; i < small->lanes; i++) {
        file_close(&small->lane[i].file);
    }
}

void
small_after_fork(void)
{
    for (; open_smalls != NULL; open_smalls = open_smalls->next_open) {
        /* A handler of Python's that has forked may go on: it opens them anew. */
        close_files(open_smalls);
    }
}

/* What it needs beside itself. 0 or -errno. */
static int
prepare(sphttp_small *small, const char *key, size_t key_size)
{
    small->hex = calloc(small->count, 2 * SHA256_SIZE);
    small->codes = malloc(small->count * sizeof(*small->codes));
    small->buffers = malloc((size_t)small->lanes * BUFFER_SIZE);
    if (small->hex == NULL || small->codes == NULL || small->buffers == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < small->count; i++) {
        small->codes[i] = SPHTTP_UNTRIED;
    }
    for (uint32_t i = 0; i < small->lanes; i++) {
        small->lane[i].file.buffer = small->buffers + (size_t)i * BUFFER_SIZE;
    }
    algorithm_init(&small->algorithm, key, key_size);
    return 0;
}

int
small_open(const char *paths, size_t size, uint32_t count, const char *key,
           size_t key_size, const char *kernel, uint64_t most, bool stop,
           sphttp_small **result)
{
    struct sha256_kernel routine;
    if (!sha256_choose(&routine, kernel, count)) {
        return -EINVAL;
    }
    most = routine.lanes > 1 ? most : most / ALONE;
    if (count > most / A_FILE) { /* many millions, perhaps */
        return SPHTTP_NOT_SMALL;
    }
    if (!are_names(paths, size, count)) {
        return -EINVAL;
    }
    sphttp_small *small = calloc(1, sizeof(*small));
    if (small == NULL) {
        return -ENOMEM;
    }
    small->kernel = routine;
    small->paths = small->path = paths;
    small->count = count;
    small->most = most;
    small->stop = stop;
    small->lanes = routine.lanes < count ? routine.lanes : count;
    for (uint32_t i = 0; i < small->lanes; i++) {
        small->lane[i].file.fd = -1;
    }
    enter(small);
    int err = prepare(small, key, key_size);
    if (err != 0) {
        sphttp_small_free(small);
        return err;
    }
    *result = small;
    return 0;
}

void
sphttp_small_free(sphttp_small *small)
{
    if (small == NULL) {
        return;
    }
    close_files(small);
    leave(small);
    if (small->buffers != NULL) {
        explicit_bzero(&small->algorithm, sizeof(small->algorithm));
        explicit_bzero(small->lane, sizeof(small->lane));
    }
    free(small->buffers);
    free(small->codes);
    free(small->hex);
    free(small);
}

const char *
sphttp_small_hex(const sphttp_small *small)
{
    return small->hex;
}

const int32_t *
sphttp_small_codes(const sphttp_small *small)
{
    return small->codes;
}

/* --- Whether they are small -------------------------------------------------------- */

/* Add the sizes up. 0; -EINTR: it is `until`; SPHTTP_NOT_SMALL. */
static int
survey(sphttp_small *small, int64_t until)
{
    while (small->surveyed < small->count) {
        struct stat st;
        uint64_t size = A_FILE;
        if (stat(small->path, &st) == 0 && S_ISREG(st.st_mode)) {
            size += (uint64_t)st.st_size;
        } /* else: what is wrong with it shows when it is opened */
        if (size > small->most - small->weight) {
            return SPHTTP_NOT_SMALL;
        }
        small->weight += size;
        small->path += strlen(small->path) + 1;
        if (++small->surveyed == small->count) {
            small->path = small->paths;
        }
        else if (now_ns() >= until) {
            return -EINTR;
        }
    }
    return 0;
}

/* Is there another process or machine between this one and the file? It may not
 * answer; and many children wait for many answers at once. */
static bool
is_remote(const struct file *file)
{
    static const uint32_t kinds[] = {
        0x6969,     /* NFS */
        0x517b,     /* SMB, and two later ones */
        0xff534d42, 0xfe534d42,
        0x65735546, /* FUSE */
        0x01021997, /* 9P */
        0x00c36400, /* Ceph */
        0x5346414f, /* AFS, of two makers */
        0x6b414653,
        0x73757245, /* Coda */
        0x0bd00bd3, /* Lustre */
        0x47504653, /* GPFS */
        0x19830326, /* BeeGFS */
    };
    struct statfs system;
    if (fstatfs(file->fd, &system) != 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        if ((uint32_t)system.f_type == kinds[i]) {
            return true;
        }
    }
    return false;
}

/* --- Digesting --------------------------------------------------------------------- */

static void
finish(sphttp_small *small, struct lane *lane, int err)
{
    char hex[2 * SHA256_SIZE + 1];
    lane->path = NULL;
    file_close(&lane->file);
    small->codes[lane->index] = err;
    if (err == 0) {
        file_hex(&lane->file, &small->algorithm, hex);
        memcpy(small->hex + (size_t)lane->index * 2 * SHA256_SIZE, hex,
               2 * SHA256_SIZE);
    }
    else if (small->stop) {
        small->next = small->count;
    }
}

/* A file could not be opened for want of a descriptor: will another lane give one
 * back? */
static bool
worth_waiting(const sphttp_small *small, int err)
{
    bool busy = false;
    for (uint32_t i = 0; i < small->lanes; i++) {
        busy = busy || small->lane[i].file.fd >= 0;
    }
    return busy && (err == -EMFILE || err == -ENFILE);
}

/* Read on, until there is a block or all has been read. 0, SPHTTP_NOT_SMALL, or
 * -errno. */
static int
fill(sphttp_small *small, struct file *file)
{
    while (file->left < SHA256_BLOCK && !file->ended) {
        uint64_t before = file->total;
        int err = file_fill(file, &small->algorithm, false);
        small->read += file->total - before;
        /* What says that it has nothing, in /proc, may have much; and what grows
         * may grow for ever. */
        if ((file->size == 0 && file->total > 0) || small->read > small->most) {
            return SPHTTP_NOT_SMALL;
        }
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

/* See that the lane has a block to go on with: of its file, or of the next. 0: it has,
 * or there is no file for it now; otherwise as small_go_on. */
static int
get_ready(sphttp_small *small, struct lane *lane, int64_t until)
{
    struct file *file = &lane->file;
    bool read = false;
    while (file->fd < 0 || file->left < SHA256_BLOCK) {
        if (read && now_ns() >= until) {
            return -EINTR;
        }
        if (lane->path == NULL) {
            if (small->next == small->count) {
                return 0;
            }
            lane->index = small->next++;
            lane->path = small->path;
            small->path += strlen(small->path) + 1;
        }
        int err = 0;
        if (file->fd < 0) {
            err = file_open(file, &small->algorithm, lane->path, NULL);
            if (worth_waiting(small, err)) {
                return 0;
            }
            if (err == 0 && is_remote(file)) {
                return SPHTTP_NOT_SMALL;
            }
        }
        err = err == 0 ? fill(small, file) : err;
        if (err == -EINTR || err == SPHTTP_NOT_SMALL) {
            return err;
        }
        if (err != 0 || file->left < SHA256_BLOCK) {
            finish(small, lane, err);
        }
        read = true;
    }
    return read && now_ns() >= until ? -EINTR : 0;
}

int
small_go_on(sphttp_small *small, int64_t until)
{
    int err = survey(small, until);
    while (err == 0) {
        struct file *ready[LANES_MOST];
        struct sha256_state *states[LANES_MOST];
        const unsigned char *data[LANES_MOST];
        uint32_t count = 0;
        size_t blocks = SIZE_MAX;
        for (uint32_t i = 0; i < small->lanes && err == 0; i++) {
            struct file *file = &small->lane[i].file;
            err = get_ready(small, &small->lane[i], until);
            if (err == 0 && file->fd >= 0) {
                size_t left = file->left / SHA256_BLOCK;
                blocks = left < blocks ? left : blocks;
                states[count] = &file->state;
                data[count] = file->at;
                ready[count++] = file;
            }
        }
        if (err == 0 && count == 0) {
            break;
        }
        if (err == 0) {
            sha256_go_on(&small->kernel, states, data, count, blocks);
            for (uint32_t i = 0; i < count; i++) {
                file_advance(ready[i], blocks);
            }
        }
    }
    return err;
}
