/* The ground: what a nursery and its host do to the scratch directory, and the
 * small things that Python asks for. It calls only what is async-signal-safe,
 * since a nursery was forked among threads, and it allocates nothing. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* --- The scratch directory ---------------------------------------------- */

void
scratch_path(const struct sphttp_call *call, char path[SCRATCH_SIZE])
{
    char *end = put_text(path, call->root);
    end = put_decimal(put_text(end, "/tep_par_"), (uint64_t)call->owner);
    (void)put_decimal(put_text(end, "_"), call->stamp);
}

int
scratch_make(struct sphttp_call *call)
{
    char path[SCRATCH_SIZE];
    int err, tries = 0;
    for (;;) {
        call->stamp = (uint64_t)now_ns();
        scratch_path(call, path);
        call->ledger->stamp = call->stamp; /* before: the host must find it */
        /* mkdir, never "open or create": what is there already, whatever it
         * is, somebody planted. */
        mode_t mask = umask(0077); /* the host's may forbid to read it */
        err = mkdir(path, 0700) == 0 ? 0 : -errno;
        (void)umask(mask);
        if (err == 0) {
            break;
        }
        call->ledger->stamp = 0;
        if (err != -EEXIST || ++tries == 100) {
            return err;
        }
    }
    int fd = above_streams(
        open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (fd < 0) {
        err = fd;
        goto fail;
    }
    struct stat st; /* the mode once more: an ACL may have changed it */
    if (fchmod(fd, 0700) != 0 || fstat(fd, &st) != 0) {
        err = -errno;
        goto fail;
    }
    /* Where the root has no sticky bit, the name may have changed hands. */
    if (st.st_uid != geteuid() || (st.st_mode & 0777) != 0700) {
        err = -EPERM;
        goto fail;
    }
    call->ledger->device = (uint64_t)st.st_dev;
    call->ledger->inode = (uint64_t)st.st_ino;
    return fd;

fail:
    if (fd >= 0) {
        (void)close(fd);
    }
    (void)rmdir(path);
    return err;
}

/* Empty the directory behind `fd`; its folders too, `depth` deep. */
static void
sweep(int fd, int depth)
{
    struct entry { /* of getdents64; opendir would allocate */
        uint64_t inode;
        int64_t offset;
        unsigned short length;
        unsigned char type;
        char name[];
    };
    bool removed = true;
    while (removed && lseek(fd, 0, SEEK_SET) == 0) {
        _Alignas(struct entry) char buffer[2048];
        long n;
        removed = false;
        while ((n = syscall(SYS_getdents64, fd, buffer, sizeof(buffer))) > 0) {
            for (long at = 0; at < n;) {
                const struct entry *entry = (void *)(buffer + at);
                at += entry->length;
                if (strcmp(entry->name, ".") == 0 ||
                    strcmp(entry->name, "..") == 0) {
                    continue;
                }
                if (unlinkat(fd, entry->name, 0) == 0) {
                    removed = true;
                    continue;
                }
                int below = openat(fd, entry->name,
                                   O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
                                       O_CLOEXEC);
                if (below < 0) {
                    continue;
                }
                if (depth > 0) {
                    sweep(below, depth - 1);
                }
                (void)close(below);
                if (unlinkat(fd, entry->name, AT_REMOVEDIR) == 0) {
                    removed = true;
                }
            }
        }
    }
}

int
scratch_remove(const struct sphttp_call *call)
{
    char path[SCRATCH_SIZE];
    scratch_path(call, path);
    if (rmdir(path) == 0 || errno == ENOENT) {
        return 0; /* the host has taken each record away as it read it */
    }
    sweep(call->directory.fd, 32);
    return rmdir(path) == 0 || errno == ENOENT ? 0 : -errno;
}

/* --- What else Python asks for ----------------------------------------------- */

int
sphttp_hmac_sha256_hex(const char *key, size_t key_size, const char *message,
                       size_t message_size, char *hex)
{
    unsigned char mac[MAC_SIZE];
    struct iovec part = {(void *)(uintptr_t)message, message_size};
    int err = hmac_sha256(key, key_size, &part, 1, mac);
    if (err != 0) {
        return err;
    }
    put_hex(hex, mac);
    return 0;
}

void
sphttp_exit(int status)
{
    _exit(status);
}

int
sphttp_getpid(void)
{
    return getpid();
}
