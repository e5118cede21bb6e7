/* A page that makes no sense. */
#ifndef TEP_STRAYS_H
#define TEP_STRAYS_H

#include <stdbool.h>
#include <stdint.h>

#include "nursery/nursery.h"

/* Pool: enough of children that end with nothing in hand while items are free?
 * They have scribbled over what they had, or over which items are whose. Each
 * may have done so once; but they may also free again what they had, for
 * ever. */
bool strays_spent(const struct nursery *nursery);

/* What is in the hand of a child that has ended, 1 + its index, or 0. A stray
 * may have emptied the hand, and a host that lets items start would wait for
 * that item. */
uint32_t strays_item_left(const struct sphttp_call *call, uint32_t hand,
                          int status);

/* Pool: are there items that nobody knows of any more, since somebody has
 * scribbled on the count of what is set aside? Then it begins anew. */
bool strays_find_forgotten(struct nursery *nursery);

/* Pool: may an item begin that was passed over, since somebody has scribbled on that
 * count, while the next must wait for the host? Then it begins anew. */
void strays_find_held(struct sphttp_call *call);

/* Let the host hear of items that have ended, and nobody knows how: it may
 * wait for that before it lets others start. */
void strays_settle(struct nursery *nursery);

#endif
