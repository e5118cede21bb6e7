/* The rounds of a kept call. What Python calls is in sphttp_fork.cdef.h. */
#ifndef TEP_ROUND_H
#define TEP_ROUND_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/call.h"

/* Flags of enum sphttp_how, as of enum round_kind. */
uint64_t round_asked(int how);

/* How the host is to be woken: HOST_SLEEPS; HOST_NAPS, for as long as it takes; or
 * HOST_WAITS_IDLE. */
uint32_t round_listens(struct sphttp_call *call);

/* Would that have woken it by now, or is the round over? */
bool round_is_due(struct sphttp_call *call, uint32_t listens);

/* After a look at what has ended: is the round over? */
bool round_is_over(struct sphttp_call *call);

#endif
