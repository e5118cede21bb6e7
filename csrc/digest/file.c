/* A file to its digest, without Python. What is read is kept in a buffer, so that
 * memory does not grow with the file. */
#include "digest/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/safe.h"

/* --- What is computed ----------------------------------------------------------- */

void
algorithm_init(struct algorithm *algorithm, const char *key, size_t key_size)
{
    algorithm->keyed = key != NULL;
    algorithm->key = (struct hmac_key){sha256_start, sha256_start};
    if (key != NULL) {
        hmac_prepare(&algorithm->key, key, key_size);
    }
}

/* --- One file --------------------------------------------------------------------- */

/* The name below the folder, which is held from the second file in it on, for some
 * files: another folder may get its name meanwhile. NULL: no folder is. */
static const char *
name_in(struct folder *folder, const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t size = slash != NULL ? (size_t)(slash - path) : 0;
    if (size == 0 || slash[1] == '\0' || size + strlen(slash) >= PATH_MAX) {
        return NULL; /* and what is too long for the system is so in each place */
    }
    if (folder->path == NULL || folder->size != size ||
        memcmp(folder->path, path, size) != 0) {
        close_end(&folder->fd);
    }
    else if (folder->fd >= 0 && ++folder->uses == FOLDER_USES) {
        close_end(&folder->fd);
    }
    else if (folder->fd < 0) {
        char name[PATH_MAX];
        memcpy(name, path, size);
        name[size] = '\0';
        folder->fd = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
        folder->uses = 0;
    }
    folder->path = path;
    folder->size = size;
    return folder->fd >= 0 ? slash + 1 : NULL;
}

uint64_t
file_bytes(const char *path, struct folder *folder)
{
    const char *name = name_in(folder, path);
    struct stat st;
    int done = name != NULL ? fstatat(folder->fd, name, &st, 0)
                            : stat(path, &st);
    return done == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
}

/* A descriptor or -1. */
static int
open_path(const char *path, struct folder *folder)
{
    /* O_NONBLOCK: a FIFO without a writer, or a file of /proc that waits for
     * something to say, must not be waited for. */
    const int how = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    const char *name = folder != NULL ? name_in(folder, path) : NULL;
    if (name != NULL) {
        int fd = openat(folder->fd, name, how);
        if (fd >= 0) {
            return fd;
        }
        /* Another folder may have its name by now; or it was one descriptor too
         * many. */
        close_end(&folder->fd);
    }
    return open(path, how);
}

int
file_open(struct file *file, const struct algorithm *algorithm,
          const char *path, struct folder *folder)
{
    int fd = open_path(path, folder);
    struct stat st;
    if (fd < 0 && errno == EWOULDBLOCK && stat(path, &st) == 0 &&
        S_ISREG(st.st_mode)) {
        /* Somebody has a lease on it, and has just been told to end that. */
        const struct timespec soon = {0, 10000000};
        (void)nanosleep(&soon, NULL);
        return -EINTR;
    }
    if (fd < 0) {
        /* What open says of a socket, and of a device that is not there. */
        return errno == ENXIO || errno == ENODEV ? SPHTTP_NOT_A_FILE : -errno;
    }
    int err = fstat(fd, &st) != 0    ? -errno
              : S_ISREG(st.st_mode) ? 0
              : S_ISDIR(st.st_mode) ? -EISDIR
                                    : SPHTTP_NOT_A_FILE;
    if (err != 0) {
        (void)close(fd);
        return err;
    }
    if (st.st_size > READ_SIZE) {
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    }
    *file = (struct file){
        .fd = fd,
        .size = (uint64_t)st.st_size,
        .state = algorithm->key.inner,
        .buffer = file->buffer,
        .place = file->place,
        .at = file->buffer,
    };
    return 0;
}

/* Nothing is there, and nobody else is given the place. */
static void *
reserve(void *at, size_t size)
{
    return mmap(at, size, PROT_NONE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
                    (at != NULL ? MAP_FIXED : 0),
                -1, 0);
}

unsigned char *
file_places(uint32_t count)
{
    void *found = reserve(NULL, ((size_t)count + 1) * VIEW_SIZE);
    if (found == MAP_FAILED) {
        return NULL;
    }
    return (unsigned char *)found + (-(uintptr_t)found & (VIEW_SIZE - 1));
}

/* Let go of the view. Where the place cannot be kept, somebody else may get it: then
 * nothing is mapped there any more. */
static void
drop_view(struct file *file)
{
    if (reserve(file->place, VIEW_SIZE) == MAP_FAILED) {
        file->place = NULL;
    }
    file->viewed = false;
}

/* Let go of the view, and go on by reading: behind it, or with `again` from where
 * it began. 0 or -errno. */
static int
leave_view(struct file *file, bool again)
{
    drop_view(file);
    file->at = file->buffer;
    if (again) {
        file->total = file->from;
        file->state = file->before;
        file->size = 0; /* it is not what it was: no further view */
    }
    return lseek(file->fd, (off_t)file->total, SEEK_SET) < 0 ? -errno : 0;
}

void
file_close(struct file *file)
{
    if (file->viewed) {
        drop_view(file);
    }
    close_end(&file->fd);
}

/* Map what comes next, if that is in a whole view. Not the beginning: what cannot be
 * read, such as a device's memory in /sys, shows there.
 *
 * A view begins at a multiple of its size, in the file and in memory, and is mapped
 * as it is looked at. A huge page of the page cache is mapped by one fault then:
 * files that were written or read in large pieces have those. Measured on Zen 5 by
 * benchmarks/views.sh: with huge pages a fifth less time of the CPU than with reads
 * of READ_SIZE, with small pages as much, and always less than where all of a view
 * is mapped in advance. */
static bool
open_view(struct file *file)
{
    uint64_t over = file->total % VIEW_SIZE;
    uint64_t end = file->total - over + VIEW_SIZE;
    if (file->place == NULL || file->left > 0 || file->total == 0 ||
        file->total % READ_SIZE != 0 || file->size < end) {
        return false;
    }
    if (mmap(file->place, VIEW_SIZE, PROT_READ, MAP_SHARED | MAP_FIXED,
             file->fd, (off_t)(end - VIEW_SIZE)) == MAP_FAILED) {
        drop_view(file); /* it may have been given up */
        file->size = 0;
        return false;
    }
    file->before = file->state;
    file->viewed = true;
    file->from = file->total;
    file->at = file->place + over;
    file->left = VIEW_SIZE - over;
    file->total = end;
    return true;
}

int
file_fill(struct file *file, const struct algorithm *algorithm, bool map)
{
    if (file->ended) {
        return 0;
    }
    if (file->viewed) {
        struct stat st;
        if (fstat(file->fd, &st) != 0) {
            return -errno;
        }
        /* Behind a new end within its page there were zeros to be seen. */
        bool shrunk = (uint64_t)st.st_size < file->total;
        int err = leave_view(file, shrunk || file->lost);
        if (err != 0) {
            return err;
        }
    }
    if (map && open_view(file)) {
        return 0;
    }
    memmove(file->buffer, file->at, file->left);
    file->at = file->buffer;
    while (!file->ended && file->left < READ_SIZE) {
        size_t room = READ_SIZE - file->left;
        ssize_t n = read(file->fd, file->buffer + file->left, room);
        if (n < 0) {
            return -errno;
        }
        file->left += (size_t)n;
        file->total += (size_t)n;
        /* Less than was asked for, and all that it had when it was opened: one read
         * the less. What says that it has nothing, in /proc, is read until there is
         * nothing. */
        file->ended = n == 0 || ((size_t)n < room && file->size > 0 &&
                                 file->total >= file->size);
    }
    if (file->ended) {
        uint64_t length = file->total + (algorithm->keyed ? SHA256_BLOCK : 0);
        file->left += sha256_pad(file->buffer + file->left, length);
    }
    return 0;
}

void
file_advance(struct file *file, size_t blocks)
{
    file->at += blocks * SHA256_BLOCK;
    file->left -= blocks * SHA256_BLOCK;
}

void
file_hex(const struct file *file, const struct algorithm *algorithm, char *hex)
{
    unsigned char digest[SHA256_SIZE];
    sha256_put(digest, &file->state);
    if (algorithm->keyed) {
        hmac_end(&algorithm->key, digest);
    }
    put_hex(hex, digest);
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
        explicit_bzero(file, sizeof(*file)); /* much of it follows from the key */
        free(file);
    }
}

/* 0, and `*result` is the caller's to free, or -errno. */
static int
open_first(sphttp_file **result, const char *key, size_t key_size,
           const char *path)
{
    sphttp_file *file = calloc(1, sizeof(*file));
    if (file == NULL) {
        return -ENOMEM;
    }
    file->file.fd = -1;
    file->file.buffer = file->buffer;
    algorithm_init(&file->algorithm, key, key_size);
    int err = file_open(&file->file, &file->algorithm, path, NULL);
    if (err == 0) {
        *result = file;
    }
    else {
        sphttp_file_free(file);
    }
    return err;
}

int
file_go_on(sphttp_file **result, const char *key, size_t key_size,
           const char *path, uint64_t most, char *hex)
{
    int err = *result == NULL ? open_first(result, key, key_size, path) : 0;
    if (err != 0) {
        return err;
    }
    struct file *file = &(*result)->file;
    uint64_t end = file->total + most;
    for (;;) {
        /* Not through views: a host must not die with a file that shrinks. */
        err = file_fill(file, &(*result)->algorithm, false);
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
    int err;
    do {
        err = file_go_on(&file, key, key_size, path, UINT64_MAX / 2, hex);
    } while (err == -EINTR);
    sphttp_file_free(file);
    return err;
}
