/* What was open in a process that goes on as another: descriptors are covered, and not
 * closed. An object of the host's that is freed in a child closes the number that it
 * had, which would else be another file's by then. Async-signal-safe. */
#include "base/cover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/safe.h"

enum { MOST = 1 << 20 }; /* numbers that are tried, one by one */

struct cover {
    const int *spared; /* in order, so many: */
    size_t count;
    const int *own; /* two */
    int fd;     /* one that can be used for nothing */
    int folder; /* what lists those that are open; or -1 */
};

static int
by_number(const void *left, const void *right)
{
    const int *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

static bool
is_spared(const struct cover *cover, int fd)
{
    return fd <= STDERR_FILENO || fd == cover->own[0] || fd == cover->own[1] ||
           fd == cover->fd || fd == cover->folder ||
           bsearch(&fd, cover->spared, cover->count, sizeof(fd), by_number) !=
               NULL;
}

static void
cover_one(const struct cover *cover, int fd)
{
    /* Above the limit nothing can be put; nor will anything new be there. */
    if (!is_spared(cover, fd) && dup3(cover->fd, fd, O_CLOEXEC) < 0) {
        (void)close(fd);
    }
}

static void
cover_named(void *whose, const char *name)
{
    cover_one(whose, atoi(name));
}

/* Where /proc does not list them, or there is no number left to look there. */
static void
cover_to_limit(const struct cover *cover)
{
    struct rlimit limit;
    int end = MOST;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max < MOST) {
        end = (int)limit.rlim_max;
    }
    for (int fd = STDERR_FILENO + 1; fd < end; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) {
            cover_one(cover, fd);
        }
    }
}

int
cover_all_but(const int *spared, size_t count, const int own[2])
{
    struct cover cover = {spared, count, own, -1, -1};
    cover.fd = open("/", O_PATH | O_CLOEXEC);
    if (cover.fd < 0) {
        return -errno;
    }
    cover.folder = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (cover.folder >= 0) {
        each_entry(cover.folder, cover_named, &cover);
    }
    else {
        cover_to_limit(&cover);
    }
    close_end(&cover.folder);
    close_end(&cover.fd);
    return 0;
}
