/* The host's side of a call. What Python calls is in sphttp_fork.cdef.h. */
#ifndef TEP_HOST_CALL_H
#define TEP_HOST_CALL_H

#include <stdbool.h>

#include "shared/call.h"

/* Fork the nursery: SPHTTP_STARTED, SPHTTP_CHILD or SPHTTP_FAILED. The at-fork
 * hooks of the interpreter are the caller's business. */
sphttp_event call_fork(struct sphttp_call *call);

/* Has it no nursery, nor anything that it has heard of and has yet to
 * collect? */
bool call_is_to_fork(const struct sphttp_call *call);

/* Wait for the end, collect, send the nursery off: SPHTTP_ENDED,
 * SPHTTP_SIGNALS, SPHTTP_NEWS, SPHTTP_FAILED; SPHTTP_FORK_AGAIN: the nursery
 * was lost, and items are left. */
sphttp_event call_finish(struct sphttp_call *call);

/* `err`, 0 or -errno, as an event. */
sphttp_event event_of(int err);

/* See py_call_close in sphttp_fork.cdef.h. */
void call_close(struct sphttp_call *call);

#endif
