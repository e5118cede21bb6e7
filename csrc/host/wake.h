/* Waking a host that waits, for a signal; stopping for a moment one that
 * works. */
#ifndef TEP_WAKE_H
#define TEP_WAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/call.h"

/* Make the pipe that Python's wake-up descriptor is to be. 0 or -errno. */
int wake_open(struct sphttp_call *call);
void wake_close(struct sphttp_call *call);

/* Empty the pipe, for it has done its work: to wake this thread. Was there
 * anything? */
bool forward_signals(struct sphttp_call *call);

/* Python goes on waiting for this thread. */
void turn_begin(struct sphttp_call *call);

/* After `work`, in bytes that were gone through: has Python waited for so long
 * that it must be let on? */
bool turn_over(struct sphttp_call *call, uint64_t work);

/* After `work`, in a function that does not hold the GIL: might Python have
 * signals to handle? */
bool signals_due(struct sphttp_call *call, uint64_t work);

#endif
