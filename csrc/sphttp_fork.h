/* The ground that host, nursery and children stand on: a fork, the scratch
 * directory, a result's file in it, the wait loop. No policy is here: each
 * function takes a path, a descriptor or a number, and knows no call. All of
 * it is async-signal-safe, and allocates nothing. */
#ifndef TEP_SPHTTP_FORK_H
#define TEP_SPHTTP_FORK_H

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/safe.h"

/* --- Fork and wait --------------------------------------------------------- */

/* fork() that runs no at-fork handlers, where libc has one; see
 * bare_fork_find. */
extern pid_t (*bare_fork)(void);

/* Look for it: once a process, before the first fork. */
void bare_fork_find(void);

/* Reap every child of this process that has ended, and tell `ended` of each.
 * True: others live. False: no child is left. */
bool reap_ended(void (*ended)(void *whose, pid_t pid, int status,
                              const struct rusage *usage),
                void *whose);

/* --- The scratch directory ------------------------------------------------- */

enum { SCRATCH_SIZE = PATH_MAX + 64 }; /* of its path */

/* What there is of a scratch directory, noted as each becomes true: who makes
 * it may be killed in between, and somebody else must find it. */
struct scratch {
    _Atomic uint64_t stamp;         /* in its name; 0: not tried */
    _Atomic uint64_t device, inode; /* 0: not made */
};

/* <root>/tep_par_<owner>_<stamp> */
void scratch_path(char path[SCRATCH_SIZE], const char *root, pid_t owner,
                  uint64_t stamp);

/* Make it, mode 0700, and open it. A descriptor, or -errno and nothing is left
 * behind. */
int scratch_make(const char *root, pid_t owner, struct scratch *scratch);

/* Has it been made, and by whom it should be? */
bool scratch_made(const struct scratch *scratch);

/* Open one that somebody else has made. 0 or -errno; -ESTALE: it is
 * another. */
int scratch_open(const char *path, const struct scratch *scratch,
                 struct held *directory);

/* Remove it with all that is in it; `directory` is a descriptor of it. Gone is
 * as good as removed. 0 or -errno. */
int scratch_remove(const char *path, int directory);

/* --- The file of one result ------------------------------------------------ */

/* Write file `index` of the directory, whole. 0; or -errno, and there is no
 * file. */
int file_write(int directory, uint32_t index, const struct iovec parts[3]);

/* Open it to read, and see its size. A descriptor, -errno, or -EBADMSG: it is
 * no regular file. */
int file_open_again(int directory, uint32_t index, uint64_t *size);

/* Read so many bytes from `at` on. 0, -errno, or -EBADMSG: there are not so
 * many. */
int file_read(int fd, void *to, size_t size, uint64_t at);

/* Open a file of any name likewise. */
int file_open_named(int directory, const char *name, uint64_t *size);

/* Remove it, if there is one. */
void file_remove(int directory, uint32_t index);

#endif
