/* The items that are in the hands of children, as the nursery gives them
 * up. */
#ifndef TEP_HANDS_H
#define TEP_HANDS_H

#include <stdint.h>

#include "shared/call.h"

/* What is in a hand, 1 + its index, or 0. */
uint32_t hand_item(const struct sphttp_call *call, uint32_t hand);

/* Take `item`, of hand_item, out of that hand: it becomes ITEM_LOST, _LATE,
 * _CUT, or _FREE again. Its index; -1: it was there no longer. */
int64_t hand_give_up(struct sphttp_call *call, uint32_t hand, uint32_t item,
                     uint64_t kind);

/* The same, if it still is item `number`: where that was looked at before, another
 * may be in its cell. */
int64_t hand_give_up_number(struct sphttp_call *call, uint32_t hand,
                            uint32_t item, uint64_t number, uint64_t kind);

/* Pool: note in its report who has begun `item`, of hand_item. */
void hand_note_begun(struct sphttp_call *call, uint32_t hand, uint32_t item);

/* What becomes of `item`, of hand_item, whose child has died: ITEM_LOST, _FREE
 * where it is to be tried again, _CUT in a call that is cut short. */
uint64_t hand_kind_of_lost(const struct sphttp_call *call, uint32_t item);

#endif
