/* What is different in the nursery of a kept call. */
#ifndef TEP_NEST_H
#define TEP_NEST_H

#include <stdbool.h>
#include <stdint.h>

#include "nursery/nursery.h"

/* Shall no child be forked any more, and is it all over when the last has ended? */
bool nest_stopped(const struct nursery *nursery);

/* Note in the ledger what the stop word says; let idle children end, if the nest can
 * serve no other round. */
void nest_note_stop(struct nursery *nursery);

/* The child in `slot` has ended, and what it had in hand is not settled yet. */
void nest_note_death(const struct nursery *nursery, uint32_t slot, int status);

/* Its item is settled: its hand is nobody's. `gone`: all have expected that. */
void nest_clear_hand(struct sphttp_call *call, uint32_t hand, bool gone);

/* Shall children that have no item end, since no other round will be? */
bool nest_leaves(const struct sphttp_call *call);

/* May children have anything to do? */
bool nest_is_busy(const struct nursery *nursery);

/* How often the clocks are to be looked at, where one runs for so long, or longer. */
int64_t nest_look_every(const struct nursery *nursery, int64_t clock_ns);

/* Is an item free, and every child idle? Somebody has scribbled: let it be found. */
void nest_look_for_lost(struct nursery *nursery);

/* The nursery is about to look whether it has anything to do: shall the host tell it if
 * that changes? And then, that it sleeps until then. */
void nest_expect(struct nursery *nursery);
void nest_sleeps(struct nursery *nursery, int64_t until);

#endif
