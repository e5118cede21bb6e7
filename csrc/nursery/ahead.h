/* Children of a kept call, forked ahead of their items. */
#ifndef TEP_AHEAD_H
#define TEP_AHEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "nursery/nursery.h"

/* The slot of a child that is to be forked now, while not all are taken; -1: none is. */
int64_t ahead_slot(const struct nursery *nursery);

/* The child of this hand has ended: the item that it had served, where somebody waits
 * for that; -1. */
int64_t ahead_served(const struct sphttp_call *call, uint32_t hand);

/* Does somebody wait for the end of the child that has served item `index`, and no
 * living one says that it is that? */
bool ahead_lost(const struct sphttp_call *call, uint32_t index);

#endif
