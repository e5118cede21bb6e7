/* A child takes items into its hands, and commits them: protocol B. */
#ifndef TEP_HAND_H
#define TEP_HAND_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/call.h"

/* Pool: take the next free item; wait until one may be taken, unless TAKE_NOW.
 * At TAKE_QUICK some may be set aside for this hand. Its index; -1: none; or
 * SPHTTP_RAISED_IDLE: call->child.await_turn gave up. */
enum { TAKE_QUICK = 1, TAKE_NOW = 2 };
int64_t hand_take(struct sphttp_call *call, int how);

/* Kept: take the first, for which the child may have waited since it was forked. */
int64_t hand_take_first(struct sphttp_call *call);

/* Kept: this child does nothing more but exit, and nobody need wait for that. False: it
 * has an item in hand that is not committed, or is no child of the call. */
bool hand_leave(struct sphttp_call *call);

/* Pool: take item `index`, whoever's turn it is; false: it is not free. */
bool hand_take_this(struct sphttp_call *call, uint32_t index);

/* Move an item of this child's from running to `state`; false: it has been
 * given up. */
bool hand_commit(struct sphttp_call *call, uint32_t index, uint64_t state);

#endif
