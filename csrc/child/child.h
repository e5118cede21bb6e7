/* A child that is through with an item. What Python calls is in
 * sphttp_fork.cdef.h. */
#ifndef TEP_CHILD_H
#define TEP_CHILD_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/call.h"

/* See sphttp_child_commit; without what follows. True: the item failed. */
bool child_commit(struct sphttp_call *call, uint32_t index, int status,
                  const void *payload, size_t size, int64_t now);

/* This hand is through with its item, and begins the next now. How to take
 * it. */
int child_turn(struct sphttp_call *call, int64_t now);

#endif
