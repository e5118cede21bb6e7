/* The ground: fork, the scratch directory and the files of results in it, the wait
 * loop, and the small things that Python asks for. It calls only what is
 * async-signal-safe, since a nursery was forked among threads, and it allocates
 * nothing. */
#include "sphttp_fork.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cdef.h"
#include "base/hmac.h"

enum { NAME_SIZE = 12 }; /* of a result's file */

/* --- Fork and wait ------------------------------------------------------------ */

pid_t (*bare_fork)(void) = fork;

void
bare_fork_find(void)
{
    /* Looked up, for glibc has it since 2.34 only. */
    void *found = dlsym(RTLD_DEFAULT, "_Fork");
    if (found != NULL) {
        *(void **)&bare_fork = found;
    }
}

bool
reap_ended(void (*ended)(void *whose, pid_t pid, int status,
                         const struct rusage *usage),
           void *whose)
{
    for (;;) {
        int status;
        struct rusage usage;
        pid_t pid = wait4(-1, &status, WNOHANG, &usage);
        if (pid <= 0) {
            return pid == 0;
        }
        ended(whose, pid, status, &usage);
    }
}

/* --- The scratch directory ---------------------------------------------- */

void
scratch_path(char path[SCRATCH_SIZE], const char *root, pid_t owner,
             uint64_t stamp)
{
    char *end = put_text(path, root);
    end = put_decimal(put_text(end, "/tep_par_"), (uint64_t)owner);
    (void)put_decimal(put_text(end, "_"), stamp);
}

/* Open what has just been made, and see that it is ours. A descriptor or -errno. */
static int
open_own(const char *path, struct scratch *scratch)
{
    int fd = above_streams(
        open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (fd < 0) {
        return fd;
    }
    int err = 0;
    struct stat st; /* the mode once more: an ACL may have changed it */
    if (fchmod(fd, 0700) != 0 || fstat(fd, &st) != 0) {
        err = -errno;
    }
    /* Where the root has no sticky bit, the name may have changed hands. */
    else if (st.st_uid != geteuid() || (st.st_mode & 0777) != 0700) {
        err = -EPERM;
    }
    if (err != 0) {
        (void)close(fd);
        return err;
    }
    scratch->device = (uint64_t)st.st_dev;
    scratch->inode = (uint64_t)st.st_ino;
    return fd;
}

int
scratch_make(const char *root, pid_t owner, struct scratch *scratch)
{
    char path[SCRATCH_SIZE];
    int err, tries = 0;
    for (;;) {
        uint64_t stamp = (uint64_t)now_ns();
        scratch_path(path, root, owner, stamp);
        scratch->stamp = stamp; /* before: the host must find it */
        /* mkdir, never "open or create": what is there already, whatever it
         * is, somebody planted. */
        mode_t mask = umask(0077); /* the host's may forbid to read it */
        err = mkdir(path, 0700) == 0 ? 0 : -errno;
        (void)umask(mask);
        if (err == 0) {
            break;
        }
        scratch->stamp = 0;
        if (err != -EEXIST || ++tries == 100) {
            return err;
        }
    }
    int fd = open_own(path, scratch);
    if (fd < 0) {
        (void)rmdir(path);
    }
    return fd;
}

bool
scratch_made(const struct scratch *scratch)
{
    return scratch->inode != 0;
}

int
scratch_open(const char *path, const struct scratch *scratch,
             struct held *directory)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (!held_set(directory, fd)) {
        return -errno;
    }
    if (directory->device != scratch->device ||
        directory->inode != scratch->inode) {
        held_close(directory);
        return -ESTALE;
    }
    return 0;
}

static void sweep(int fd, int depth);

/* Remove a directory's entry; what is in it too, `depth` deep. False: it stays. */
static bool
sweep_entry(int fd, const char *name, int depth)
{
    if (unlinkat(fd, name, 0) == 0) {
        return true;
    }
    int below = openat(fd, name,
                       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (below < 0) {
        return false;
    }
    if (depth > 0) {
        sweep(below, depth - 1);
    }
    (void)close(below);
    return unlinkat(fd, name, AT_REMOVEDIR) == 0;
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
                if (strcmp(entry->name, ".") != 0 &&
                    strcmp(entry->name, "..") != 0) {
                    removed = sweep_entry(fd, entry->name, depth) || removed;
                }
            }
        }
    }
}

int
scratch_remove(const char *path, int directory)
{
    if (rmdir(path) == 0 || errno == ENOENT) {
        return 0; /* the host has taken each record away as it read it */
    }
    sweep(directory, 32);
    return rmdir(path) == 0 || errno == ENOENT ? 0 : -errno;
}

/* --- The file of one result ------------------------------------------------------ */

/* Write the parts in turn: in one write where it can be, for small results are most
 * of them. 0 or -errno. */
static int
write_all(int fd, const struct iovec parts[3])
{
    ssize_t n = writev(fd, parts, 3);
    size_t done = n > 0 ? (size_t)n : 0; /* an error the loop below meets again */
    for (int i = 0; i < 3; i++) {
        size_t skip = done < parts[i].iov_len ? done : parts[i].iov_len;
        const char *from = (const char *)parts[i].iov_base + skip;
        size_t left = parts[i].iov_len - skip;
        done -= skip;
        while (left > 0) {
            n = write(fd, from, left);
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

int
file_write(int directory, uint32_t index, const struct iovec parts[3])
{
    char name[NAME_SIZE];
    (void)put_decimal(name, index);
    /* O_EXCL: what somebody planted there is not ours to write to. */
    int fd = openat(directory, name,
                    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                    0600);
    if (fd < 0) {
        return -errno;
    }
    int err = write_all(fd, parts);
    /* A full disk or a quota may be reported here only. */
    if (close(fd) != 0 && err == 0) {
        err = -errno;
    }
    if (err != 0) {
        (void)unlinkat(directory, name, 0);
    }
    return err;
}

int
file_open_again(int directory, uint32_t index, uint64_t *size)
{
    char name[NAME_SIZE];
    (void)put_decimal(name, index);
    return file_open_named(directory, name, size);
}

int
file_open_named(int directory, const char *name, uint64_t *size)
{
    /* O_NONBLOCK: what a child put in the file's place may be a FIFO. */
    const int how = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    int fd = openat(directory, name, how);
    if (fd < 0 && errno == EACCES && fchmodat(directory, name, 0600, 0) == 0) {
        fd = openat(directory, name, how); /* it was its child's umask */
    }
    if (fd < 0) {
        return -errno;
    }
    struct stat st;
    int err = fstat(fd, &st) != 0 ? -errno
              : S_ISREG(st.st_mode) ? 0 : -EBADMSG;
    if (err != 0) {
        (void)close(fd);
        return err;
    }
    *size = (uint64_t)st.st_size;
    return fd;
}

int
file_read(int fd, void *to, size_t size, uint64_t at)
{
    while (size > 0) {
        ssize_t n = pread(fd, to, size, (off_t)at);
        if (n == 0) {
            return -EBADMSG;
        }
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        if (n > 0) {
            to = (char *)to + n;
            size -= (size_t)n;
            at += (uint64_t)n;
        }
    }
    return 0;
}

void
file_remove(int directory, uint32_t index)
{
    char name[NAME_SIZE];
    (void)put_decimal(name, index);
    (void)unlinkat(directory, name, 0);
}

/* --- What else Python asks for ----------------------------------------------- */

int
sphttp_hmac_sha256_hex(const char *key, size_t key_size, const char *message,
                       size_t message_size, char *hex)
{
    unsigned char mac[MAC_SIZE];
    struct iovec part = {(void *)(uintptr_t)message, message_size};
    if (key_size > INT_MAX) {
        return -EOVERFLOW; /* no key, but a mistake, as for hmac.digest */
    }
    hmac_sha256(key, key_size, &part, 1, mac);
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
