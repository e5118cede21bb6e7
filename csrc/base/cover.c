/* What was open in a process that goes on as another: descriptors are covered, and not
 * closed. An object of the host's that is freed in a child closes the number that it
 * had, which would else be another file's by then. Async-signal-safe. */
#include "base/cover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/safe.h"

enum { MOST = 1 << 20 }; /* where nobody says how many there may be */

static int
by_number(const void *left, const void *right)
{
    const int *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

/* All numbers are below it: of a process that was just forked, the size of its table.
 * Not a list of those that are open: the kernel would make a file of each. */
static int
table_size(void)
{
    static const char word[] = "\nFDSize:\t";
    char text[1024];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
    close_end(&fd);
    text[n > 0 ? n : 0] = '\0';
    const char *at = strstr(text, word);
    if (at != NULL) {
        return atoi(at + sizeof(word) - 1);
    }
    struct rlimit limit; /* there is no /proc, or no number left to look there */
    bool below = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max < MOST;
    return below ? (int)limit.rlim_max : MOST;
}

int
cover_all_but(const int *spared, size_t count, const int own[2])
{
    int size = table_size();
    int cover = open("/", O_PATH | O_CLOEXEC);
    if (cover < 0) {
        return -errno;
    }
    for (int fd = STDERR_FILENO + 1; fd < size; fd++) {
        if (fd == own[0] || fd == own[1] || fd == cover ||
            fcntl(fd, F_GETFD) < 0 ||
            (count > 0 &&
             bsearch(&fd, spared, count, sizeof(fd), by_number) != NULL)) {
            continue;
        }
        if (dup3(cover, fd, O_CLOEXEC) < 0) {
            (void)close(fd); /* above the limit, where nothing new will be */
        }
    }
    (void)close(cover);
    return 0;
}
