/* A few files that the host digests itself. What Python calls is in
 * sphttp_fork.cdef.h. */
#ifndef TEP_HOST_SMALL_H
#define TEP_HOST_SMALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cdef.h"

/* See py_small_open. 0, and `*result` is the caller's to free, or an error as there. */
int small_open(const char *paths, size_t size, uint32_t count, const char *key,
               size_t key_size, const char *kernel, uint64_t most, bool stop,
               sphttp_small **result);

/* See py_small_run; -EINTR, between two reads, also when it is `until`. */
int small_go_on(sphttp_small *small, int64_t until);

/* Under the lock, in a process that was forked meanwhile: close what is open. */
void small_after_fork(void);

#endif
