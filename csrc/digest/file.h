/* A file to its digest. What Python calls is in sphttp_fork.cdef.h. */
#ifndef TEP_DIGEST_FILE_H
#define TEP_DIGEST_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cdef.h"
#include "base/hmac.h"

enum {
    READ_SIZE = 64 << 10, /* bytes; what is read at once */
    BUFFER_SIZE = READ_SIZE + 2 * SHA256_BLOCK, /* with the padding at its end */
    LARGE_SIZE = 1 << 20, /* bytes; a file of so many is large */
    VIEW_SIZE = 2 << 20, /* bytes; what of a file is mapped at once: a huge page */
    FOLDER_USES = 64 /* files; then it is opened anew */
};

/* What is computed. */
struct algorithm {
    bool keyed; /* else plain SHA-256 */
    struct hmac_key key; /* else both begin as SHA-256 does */
};

/* The folder of the file before: where many share one, they are opened from there. */
struct folder {
    int fd;           /* -1: it is not held */
    const char *path; /* of that file, and of it so many bytes name the folder */
    size_t size;
    uint32_t uses; /* since it was opened */
};

/* A file that is being digested. */
struct file {
    int fd;                 /* -1: none is */
    uint64_t size;          /* bytes, as it was opened */
    uint64_t total;         /* bytes that have been read */
    bool ended;             /* all is in the buffer, the padding too */
    unsigned char *place;   /* of a view, set already; NULL: nothing is mapped */
    bool viewed;            /* there is one, from... */
    uint64_t from;          /* ...here on in the file */
    bool lost;              /* of which something could not be had */
    struct sha256_state state, before; /* now, and where the view began */
    unsigned char *buffer;  /* BUFFER_SIZE bytes */
    const unsigned char *at; /* in one of both; so many bytes are to be digested */
    size_t left;
};

/* Without a key it is plain SHA-256. */
void algorithm_init(struct algorithm *algorithm, const char *key,
                    size_t key_size);

/* Open it, if it is a regular one; `buffer` and `place` are set already. `folder` may be
 * NULL; else `path` stays where it is until the next one. 0, -errno, or
 * SPHTTP_NOT_A_FILE. */
int file_open(struct file *file, const struct algorithm *algorithm,
              const char *path, struct folder *folder);
/* The bytes that it has, by its name; 0: it is no regular one, or there is none. */
uint64_t file_bytes(const char *path, struct folder *folder);

void file_close(struct file *file);

/* Less than a block is left: read on, or with `map`, where that can be, look
 * through a view. 0, -EINTR: once more, or -errno. Then there is a block, or
 * the file has ended and nothing is left. */
int file_fill(struct file *file, const struct algorithm *algorithm, bool map);

/* Reserve places for views of so many files, one behind the other. NULL: there is
 * no room. */
unsigned char *file_places(uint32_t count);

/* It has gone on by so many blocks. */
void file_advance(struct file *file, size_t blocks);

/* The digest of a file of which nothing is left, in hexadecimal. */
void file_hex(const struct file *file, const struct algorithm *algorithm,
              char *hex);

/* See py_hmac_sha256_file_hex; -EINTR after `most` bytes more. */
int file_go_on(sphttp_file **file, const char *key, size_t key_size,
               const char *path, uint64_t most, char *hex);

#endif
