/* What a worker has started, and has left running: a round that ends well does not end
 * it, so no later round may. The child sees what is below it. What has lost its parent
 * is below the nursery: only where the child has reaped some need that be counted. */
#include "child/below.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* One number for what stands in `file` of the folder `tasks`, whoever is listed first;
 * UINT64_MAX: it cannot be read. */
static uint64_t
sum_of(int tasks, const char *thread)
{
    char path[300], text[512];
    (void)put_text(put_text(path, thread), "/children");
    int fd = openat(tasks, path, O_RDONLY | O_CLOEXEC);
    uint64_t sum = 0, pid = 0;
    ssize_t n;
    if (fd < 0) {
        return UINT64_MAX;
    }
    while ((n = read(fd, text, sizeof(text))) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            bool digit = text[i] >= '0' && text[i] <= '9';
            sum += digit ? 0 : pid * pid * pid;
            pid = digit ? pid * 10 + (uint64_t)(text[i] - '0') : 0;
        }
    }
    (void)close(fd);
    return n < 0 ? UINT64_MAX : sum;
}

/* One number for all children of this process; UINT64_MAX: they cannot be listed. */
static uint64_t
sum_below(void)
{
    DIR *tasks = opendir("/proc/self/task");
    uint64_t sum = tasks == NULL ? UINT64_MAX : 0;
    struct dirent *thread;
    while (sum != UINT64_MAX && (thread = readdir(tasks)) != NULL) {
        if (thread->d_name[0] != '.') {
            uint64_t more = sum_of(dirfd(tasks), thread->d_name);
            sum = more == UINT64_MAX ? more : sum + more;
        }
    }
    if (tasks != NULL) {
        (void)closedir(tasks);
    }
    return sum;
}

/* What it has cost to be those that were reaped: it grows with each. */
static uint64_t
cost_of_reaped(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_CHILDREN, &usage);
    return (uint64_t)(usage.ru_minflt + usage.ru_majflt) +
           (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

/* Where children are reaped unseen, their cost is not known. */
static bool
is_deaf(void)
{
    struct sigaction action;
    return sigaction(SIGCHLD, NULL, &action) == 0 &&
           (action.sa_handler == SIG_IGN ||
            (action.sa_flags & SA_NOCLDWAIT) != 0);
}

void
below_look(struct sphttp_call *call, int when)
{
    struct child *child = &call->child;
    siginfo_t info;
    bool none = waitid(P_ALL, 0, &info,
                       WEXITED | WNOHANG | WNOWAIT | __WALL) != 0 &&
                errno == ECHILD;
    uint64_t below = none ? 0 : when == BELOW_LAST ? 1 : sum_below();
    uint64_t reaped = cost_of_reaped();
    /* What its setup has started is not left behind while the child lives. */
    if (below != 0 && when != BELOW_FIRST &&
        (below != child->below || below == UINT64_MAX)) {
        call->page->strangers = 1;
    }
    if (reaped != child->reaped || (when != BELOW_FIRST && is_deaf())) {
        call->page->reaped = 1;
    }
    child->unlooked = false;
    child->below = below;
    child->reaped = reaped;
}
