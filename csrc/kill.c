/* The end of everything below a nursery, whatever it does to stay: daemons,
 * stopped processes, trees that grow while they are cut down. Async-signal-safe. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Open for reading; also where the last descriptor is gone: no child will be
 * forked any more that could inherit the higher limit. */
static int
open_by_all_means(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct rlimit limit;
    if (fd < 0 && errno == EMFILE && getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
        fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    return fd;
}

/* Is this child of ours the nursery of a call that one of our children made?
 * It sees that its host is dead, and cleans up after itself. Also where that
 * cannot be told. */
static bool
is_nursery(pid_t pid)
{
    char path[40];
    char *end = put_decimal(put_text(path, "/proc/"), (uint64_t)pid);
    (void)put_text(end, "/comm");
    int fd = open_by_all_means(path);
    if (fd < 0) {
        return errno != ENOENT && errno != ESRCH;
    }
    char name[sizeof(NURSERY_NAME)];
    ssize_t n = read(fd, name, sizeof(name));
    (void)close(fd);
    return n == (ssize_t)sizeof(name) && name[n - 1] == '\n' &&
           memcmp(name, NURSERY_NAME, sizeof(name) - 1) == 0;
}

void
kill_with_group(pid_t pid)
{
    (void)kill(-pid, SIGKILL);
    (void)kill(pid, SIGKILL);
}

int
kill_children(int whom)
{
    int fd = open_by_all_means("/proc/thread-self/children");
    if (fd < 0) {
        return -errno;
    }
    int nurseries = 0;
    pid_t pid = 0;
    char buffer[512];
    ssize_t n;
    while ((n = read(fd, buffer, sizeof(buffer))) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            if (buffer[i] >= '0' && buffer[i] <= '9') {
                pid = pid * 10 + (buffer[i] - '0');
                continue;
            }
            if (pid > 0 && !(whom & KILL_NURSERIES) && is_nursery(pid)) {
                nurseries++;
            }
            else if (pid > 0 && (whom & KILL_OTHERS)) {
                kill_with_group(pid);
            }
            pid = 0;
        }
    }
    (void)close(fd);
    return nurseries;
}

void
kill_slots(const struct sphttp_call *call)
{
    for (uint32_t i = 0; i < call->alive; i++) {
        if (call->pids[i] > 0) {
            kill_with_group(call->pids[i]);
        }
    }
}

_Noreturn void
end_everything(struct sphttp_call *call)
{
    int64_t begun = now_ns();
    for (;;) {
        int whom = now_ns() < begun + SECOND ? KILL_OTHERS
                                             : KILL_OTHERS | KILL_NURSERIES;
        bool listed = kill_children(whom) >= 0;
        if (!listed) {
            kill_slots(call);
        }
        pid_t pid;
        bool reaped = false;
        while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
            reaped = true;
        }
        if (pid < 0 || (!listed && now_ns() > begun + SECOND)) {
            break; /* none left; or strangers that nobody can name */
        }
        if (!reaped) {
            (void)nanosleep(&(struct timespec){0, 5000000}, NULL);
        }
    }
    if (call->directory >= 0) {
        (void)scratch_remove(call);
    }
    _exit(0);
}
