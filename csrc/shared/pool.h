/* The memory that a pool's records are in, as children write to it. */
#ifndef TEP_POOL_H
#define TEP_POOL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "shared/record.h"

/* Make the memory, before the fork. 0 or -errno. */
int pool_open(struct sphttp_call *call);

/* Make what pool_enter needs, before the fork. 0 or -errno. */
int pool_prepare(struct sphttp_call *call);

/* Let go of both. Twice is once. Async-signal-safe. */
void pool_close(struct sphttp_call *call);

/* In a child, before its first item. */
void pool_enter(struct sphttp_call *call);

/* Is this process such a child itself, not one that it has forked? */
bool pool_entered(const struct sphttp_call *call);

/* Have the kernel find memory for [from, to) of a memory file; whoever's it is, what
 * is in it stays. 0, or -errno and none was found; -EFBIG: past RLIMIT_FSIZE. */
int pool_back(int fd, uint64_t from, uint64_t to);

/* Let the kernel have the pages that lie in there. False: it refused. */
bool pool_punch(int fd, uint64_t at, uint64_t size);

/* In a child: have room for small records; what cannot be had is asked for again. */
void pool_get_ready(struct sphttp_call *call);

/* In a child: put a record there, its header first. Its offset, a multiple of 8, or
 * -errno. */
int64_t pool_write(struct sphttp_call *call, const struct iovec parts[3]);

#endif
