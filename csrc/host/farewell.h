/* Seeing a nursery off. */
#ifndef TEP_FAREWELL_H
#define TEP_FAREWELL_H

#include <stdbool.h>

#include "shared/call.h"

/* Let the nursery end: by itself after a goodbye, when all went well; else it
 * kills what is below it. */
void dismiss_nursery(struct sphttp_call *call, bool goodbye);

/* See the dismissed nursery off. One that does not end is killed. */
void end_nursery(struct sphttp_call *call);

/* Those whose end the nursery did not see; in a pool also what they had in
 * hand. */
void await_orphans(struct sphttp_call *call);

/* Would call_close have to wait? */
bool call_lingers(const struct sphttp_call *call);

#endif
