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

/* Open it; where no number is free, in the place of one that is to be covered. `*over`:
 * it was so. A descriptor or -errno. */
static int
open_by_all_means(const struct cover *cover, const char *path, int how,
                  bool *over)
{
    int fd = open(path, how | O_CLOEXEC);
    *over = fd < 0 && errno == EMFILE;
    for (int other = 0; fd < 0 && errno == EMFILE && other < MOST;
         other++) {
        if (!is_spared(cover, other)) {
            (void)close(other);
            fd = open(path, how | O_CLOEXEC);
        }
    }
    return fd >= 0 ? fd : -errno;
}

static void
cover_named(void *whose, const char *name)
{
    cover_one(whose, atoi(name));
}

/* Where /proc does not list them. */
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
    bool fd_over, folder_over;
    cover.fd = open_by_all_means(&cover, "/", O_PATH, &fd_over);
    if (cover.fd < 0) {
        return cover.fd;
    }
    cover.folder = open_by_all_means(&cover, "/proc/self/fd",
                                     O_RDONLY | O_DIRECTORY, &folder_over);
    if (cover.folder >= 0) {
        each_entry(cover.folder, cover_named, &cover);
    }
    else {
        cover_to_limit(&cover);
    }
    int folder = cover.folder;
    if (folder >= 0 && folder_over) {
        (void)dup3(cover.fd, folder, O_CLOEXEC);
    }
    else {
        close_end(&folder);
    }
    if (!fd_over) {
        (void)close(cover.fd);
    }
    return 0;
}
