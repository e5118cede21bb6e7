/* Records: how a result travels from a child to the host. One item, one file,
 * one record: header, payload, and a MAC where the host will unpickle or hand
 * it to a codec. A pool's records are the same, in memory: pool.c. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

enum { PIECE = 16 << 20 }; /* bytes, some 10 ms; what is read without a look up */

/* Of the MAC that a record of this status bears, or 0. */
static uint32_t
mac_size(uint32_t status)
{
    uint32_t kind = status & (SPHTTP_BREAK - 1);
    return kind == SPHTTP_RAISED_AS || kind == SPHTTP_ENCODED ||
                   kind == SPHTTP_ENCODED_TEXT
               ? MAC_SIZE
               : 0;
}

static int
write_all(int fd, const struct iovec *parts, int count)
{
    for (int i = 0; i < count; i++) {
        const char *from = parts[i].iov_base;
        size_t left = parts[i].iov_len;
        while (left > 0) {
            ssize_t n = write(fd, from, left);
            if (n < 0 && errno != EINTR) {
                return -errno;
            }
            if (n > 0) { /* Linux writes 2 GiB at most: the rest follows */
                from += n;
                left -= (size_t)n;
            }
        }
    }
    return 0;
}

/* 0, -errno, or -ENODATA: the file is shorter than `size`. */
static int
read_all(int fd, char *to, uint64_t size)
{
    while (size > 0) {
        ssize_t n = read(fd, to, size);
        if (n == 0) {
            return -ENODATA;
        }
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        if (n > 0) {
            to += n;
            size -= (uint64_t)n;
        }
    }
    return 0;
}

/* The MAC over header and payload, which say index, status and length. */
static int
authenticate(const struct sphttp_call *call, const struct header *header,
             const void *payload, unsigned char mac[MAC_SIZE])
{
    struct iovec parts[] = {
        {(void *)(uintptr_t)header, sizeof(*header)},
        {(void *)(uintptr_t)payload, header->length},
    };
    return hmac_sha256(call->key, KEY_SIZE, parts, 2, mac);
}

int
record_head(const struct sphttp_call *call, struct header *header,
            const void *payload, unsigned char mac[MAC_SIZE])
{
    header->pid = (uint32_t)call->self;
    header->mac_size = mac_size(header->status);
    return header->mac_size > 0 ? authenticate(call, header, payload, mac)
                                : 0;
}

static bool
status_plausible(uint32_t status)
{
    uint32_t kind = status & (SPHTTP_BREAK - 1);
    switch (status - kind) {
    case 0:
        return (kind >= SPHTTP_RETURNED && kind <= SPHTTP_NOT_TEXT) ||
               kind == SPHTTP_NO_DIGEST;
    case SPHTTP_BREAK:
    case SPHTTP_KILL:
        return kind == SPHTTP_RETURNED || kind == SPHTTP_ENCODED ||
               kind == SPHTTP_ENCODED_TEXT || kind == SPHTTP_DISCARDED;
    default:
        return false;
    }
}

bool
record_plausible(const struct header *header, uint32_t index, uint64_t room)
{
    return header->index == index && status_plausible(header->status) &&
           header->mac_size == mac_size(header->status) &&
           header->length <= room &&
           sizeof(*header) + header->length + header->mac_size <= room;
}

int
record_check(const struct sphttp_call *call, const struct header *header,
             const char *payload)
{
    unsigned char mac[MAC_SIZE];
    int err = authenticate(call, header, payload, mac);
    if (err != 0) {
        return err;
    }
    return CRYPTO_memcmp(mac, payload + header->length, MAC_SIZE) == 0
               ? 0
               : -EBADMSG;
}

int
record_fits(uint64_t end)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
                   limit.rlim_cur != RLIM_INFINITY && end > limit.rlim_cur
               ? -EFBIG
               : 0;
}

/* In one write where it can be: small results are most of them. 0 or -errno. */
static int
write_parts(int fd, struct iovec parts[3])
{
    ssize_t n = writev(fd, parts, 3);
    if (n < 0) {
        n = 0; /* the loop below meets the same error, or EINTR is over */
    }
    for (int i = 0; i < 3; i++) {
        size_t done = (size_t)n < parts[i].iov_len ? (size_t)n
                                                   : parts[i].iov_len;
        parts[i].iov_base = (char *)parts[i].iov_base + done;
        parts[i].iov_len -= done;
        n -= (ssize_t)done;
    }
    return write_all(fd, parts, 3);
}

int
record_write(const struct sphttp_call *call, struct header *header,
             const void *payload)
{
    unsigned char mac[MAC_SIZE];
    int err = record_head(call, header, payload, mac);
    if (err == 0) {
        err = record_fits(sizeof(*header) + header->length + header->mac_size);
    }
    if (err != 0) {
        return err;
    }
    if (!held_still(&call->directory)) {
        return -EBADF; /* the worker has closed it */
    }
    char name[NAME_SIZE];
    (void)put_decimal(name, header->index);
    /* O_EXCL: what somebody planted there is not ours to write to. */
    int fd = openat(call->directory.fd, name,
                    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                    0600);
    if (fd < 0) {
        return -errno;
    }
    struct iovec parts[] = {
        {header, sizeof(*header)},
        {(void *)(uintptr_t)payload, header->length},
        {mac, header->mac_size},
    };
    err = write_parts(fd, parts);
    /* A full disk or a quota may be reported here only. */
    if (close(fd) != 0 && err == 0) {
        err = -errno;
    }
    if (err != 0) {
        (void)unlinkat(call->directory.fd, name, 0);
    }
    return err;
}

/* Read a record's payload, from where the last time ended. 0, -errno, or -EINTR:
 * there is more. */
static int
read_pieces(struct sphttp_call *call, int fd, struct payload *payload)
{
    off_t at = (off_t)(sizeof(struct header) + payload->got);
    if (lseek(fd, at, SEEK_SET) < 0) {
        return -errno;
    }
    while (payload->got < payload->wanted) {
        size_t left = payload->wanted - payload->got;
        size_t piece = left < PIECE ? left : PIECE;
        int err = read_all(fd, payload->record + payload->got, piece);
        if (err != 0) {
            return err;
        }
        payload->got += piece;
        if (payload->got < payload->wanted && signals_due(call, piece)) {
            return -EINTR;
        }
    }
    return 0;
}

/* 0, -errno, -EBADMSG: this is not what record_write wrote; or -EINTR: there is
 * more. */
static int
read_record(struct sphttp_call *call, int fd, uint32_t index,
            struct payload *payload)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return -errno;
    }
    struct header header;
    if (!S_ISREG(st.st_mode) || read_all(fd, (char *)&header, sizeof(header)) ||
        !record_plausible(&header, index, (uint64_t)st.st_size)) {
        return -EBADMSG;
    }
    uint64_t size = header.length + header.mac_size;
    if (sizeof(header) + size != (uint64_t)st.st_size) {
        return -EBADMSG;
    }
    /* Read, not mapped: a file that shrinks under a mapping kills the host. */
    if (payload->record == NULL) {
        payload->record = malloc(size > 0 ? size : 1);
        payload->wanted = size;
    }
    if (payload->record == NULL) {
        return -ENOMEM;
    }
    if (payload->wanted != size) {
        return -EBADMSG; /* somebody has changed it meanwhile */
    }
    int err = read_pieces(call, fd, payload);
    if (err == 0 && header.mac_size > 0) {
        err = record_check(call, &header, payload->record);
    }
    if (err != 0) {
        return err == -ENODATA ? -EBADMSG : err;
    }
    payload->fate = (int)header.status;
    payload->text = payload->record;
    payload->size = header.length;
    return 0;
}

/* A descriptor or -errno. */
static int
open_to_read(const struct sphttp_call *call, const char *name)
{
    /* O_NONBLOCK: what a child put in the file's place may be a FIFO. */
    int fd = openat(call->directory.fd, name,
                    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    return fd >= 0 ? fd : -errno;
}

bool
record_read(struct sphttp_call *call, uint32_t index,
            struct payload *payload)
{
    char name[NAME_SIZE];
    (void)put_decimal(name, index);
    int fd = open_to_read(call, name);
    if (fd == -EACCES && fchmodat(call->directory.fd, name, 0600, 0) == 0) {
        fd = open_to_read(call, name); /* it was its child's umask */
    }
    int err = fd < 0 ? fd : read_record(call, fd, index, payload);
    if (fd >= 0) {
        (void)close(fd);
    }
    if (err != 0 && err != -EINTR) {
        payload_fail(payload, err);
    }
    return err != -EINTR;
}

void
record_remove(const struct sphttp_call *call, uint32_t index)
{
    char name[NAME_SIZE];
    (void)put_decimal(name, index);
    if (held_still(&call->directory)) {
        (void)unlinkat(call->directory.fd, name, 0);
    }
}

void
payload_fail(struct payload *payload, int err)
{
    free(payload->record);
    *payload = (struct payload){
        .fate = err == -EBADMSG || err == -ELOOP ? SPHTTP_TAMPERED
                                                 : SPHTTP_UNREAD,
        .error = -err,
    };
}
