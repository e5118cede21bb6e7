/* The nursery's clocks. */
#ifndef TEP_LIMITS_H
#define TEP_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "nursery/nursery.h"

/* See what each child has in hand, or does at its end, and since when. */
void limits_look(const struct nursery *nursery);

/* The clocks have stood still for so long. */
void limits_shift(struct sphttp_call *call, int64_t ns);

/* Kill the children whose items, or whose ends, are over their time; at the
 * deadline, stop the call. */
void limits_enforce(struct nursery *nursery);

/* When there may be something to enforce, by now_ns; INT64_MAX: never. */
int64_t limits_next(const struct nursery *nursery);

/* The call is cut short: give up what is in hand, and kill every child, with
 * what it started; nurseries below them not with `spare_nurseries`. False:
 * /proc does not say whether these were all. */
bool limits_cut(struct sphttp_call *call, bool spare_nurseries);

#endif
