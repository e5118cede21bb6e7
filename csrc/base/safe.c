/* Small things that are safe after a fork among threads: libc's way to do them
 * would allocate, lock, or take more system calls. */
#include "base/safe.h"

#include "base/cdef.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { AT_EXEC = 4 }; /* CLOSE_RANGE_CLOEXEC, which glibc has since 2.34 only */

void
put_hex(char *to, const unsigned char digest[SHA256_SIZE])
{
    for (int i = 0; i < SHA256_SIZE; i++) {
        *to++ = "0123456789abcdef"[digest[i] >> 4];
        *to++ = "0123456789abcdef"[digest[i] & 15];
    }
    *to = '\0';
}

int64_t
now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * SECOND + now.tv_nsec;
}

char *
put_decimal(char *to, uint64_t value)
{
    char digits[21] = "";
    char *first = &digits[20];
    do {
        *--first = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return put_text(to, first);
}

char *
put_text(char *to, const char *text)
{
    while ((*to = *text++) != '\0') {
        to++;
    }
    return to;
}

int
sphttp_is_alone(void)
{
    /* There is nothing to leave in a process of one thread; in one of more it cannot
     * be left. So the kernel knows without /proc, where a process that has a look
     * gets a folder of its own. */
    if (unshare(CLONE_THREAD) == 0) {
        return 1;
    }
    if (errno == EINVAL) {
        return 0;
    }
    /* A sandbox may refuse that. The link count of the folder: two, and one for each
     * thread. */
    struct stat st;
    return stat("/proc/self/task", &st) == 0 && st.st_nlink == 3;
}

void
reset_handlers(void)
{
    for (int number = 1; number < NSIG; number++) {
        struct sigaction action;
        if (number == SIGSEGV || number == SIGBUS || number == SIGILL ||
            number == SIGFPE || number == SIGABRT ||
            sigaction(number, NULL, &action) != 0 ||
            action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN) {
            continue;
        }
        (void)signal(number, SIG_DFL);
    }
}

/* --- Descriptors ---------------------------------------------------------------- */

void
close_end(int *fd)
{
    int open = *fd;
    *fd = -1; /* first: a process that another thread forks meanwhile closes it, too */
    if (open >= 0) {
        (void)close(open);
    }
}

int
above_streams(int fd)
{
    if (fd > STDERR_FILENO) {
        return fd;
    }
    if (fd < 0) {
        return -errno;
    }
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int err = -errno;
    (void)close(fd);
    return copy >= 0 ? copy : err;
}

int
open_pipe(int ends[2], int flags)
{
    if (pipe2(ends, flags | O_CLOEXEC) != 0) {
        ends[0] = ends[1] = -1;
        return -errno;
    }
    ends[0] = above_streams(ends[0]);
    ends[1] = above_streams(ends[1]);
    int err = ends[0] < 0 ? ends[0] : ends[1] < 0 ? ends[1] : 0;
    if (err != 0) {
        close_end(&ends[0]);
        close_end(&ends[1]);
    }
    return err;
}

int
open_process(pid_t pid)
{
    int fd = above_streams((int)syscall(SYS_pidfd_open, pid, 0));
    return fd >= 0 ? fd : -1;
}

bool
held_set(struct held *held, int fd)
{
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        *held = (struct held){.fd = -1};
        return false;
    }
    *held = (struct held){fd, (uint64_t)st.st_dev, (uint64_t)st.st_ino};
    return true;
}

bool
held_still(const struct held *held)
{
    struct stat st;
    return held->fd >= 0 && fstat(held->fd, &st) == 0 &&
           (uint64_t)st.st_dev == held->device &&
           (uint64_t)st.st_ino == held->inode;
}

void
held_close(struct held *held)
{
    if (held_still(held)) {
        (void)close(held->fd);
    }
    held->fd = -1;
}

static void
close_between(unsigned int first, unsigned int last)
{
    struct rlimit limit; /* for a kernel before 5.9 */
    if (syscall(SYS_close_range, first, last, 0) == 0 ||
        getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return;
    }
    for (rlim_t fd = first; fd <= last && fd < limit.rlim_cur; fd++) {
        (void)close((int)fd);
    }
}

void
close_at_exec(int first)
{
    struct rlimit limit; /* for a kernel before 5.11 */
    if (syscall(SYS_close_range, (unsigned int)first, ~0U, AT_EXEC) == 0 ||
        getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return;
    }
    for (rlim_t fd = (rlim_t)first; fd < limit.rlim_cur; fd++) {
        (void)fcntl((int)fd, F_SETFD, FD_CLOEXEC);
    }
}

void
close_all_but(int spared)
{
    if (spared > 0) {
        close_between(0, (unsigned int)spared - 1);
    }
    close_between((unsigned int)spared + 1, ~0U);
}
