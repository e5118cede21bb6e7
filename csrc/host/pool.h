/* Results in a pool's memory. */
#ifndef TEP_HOST_POOL_H
#define TEP_HOST_POOL_H

#include "host/store.h"
#include "shared/record.h"

extern const struct store pool_store;

/* Before the records of items are read that have ended since the last time;
 * with `seal`, after the end: let nobody write to the memory any more, and map
 * what has been written. 0 or -errno. */
int pool_map(struct sphttp_call *call, bool seal);

/* Find item `index`'s record at that place; all of `payload` and `header` is
 * set. */
void pool_read(struct sphttp_call *call, uint32_t index, uint64_t at,
               struct header *header, struct payload *payload);

/* So many bytes of a text from there on, a MiB at most, until the next call of this; or
 * NULL. */
const char *pool_piece(struct sphttp_call *call, const struct payload *payload,
                       uint64_t from, size_t size);

/* In a process that is to have none of it: let go. Twice is once.
 * Async-signal-safe. */
void pool_unshare(struct sphttp_call *call);

/* Forget what is mapped and what is known of it; and let go. */
void pool_forget(struct sphttp_call *call);

#endif
