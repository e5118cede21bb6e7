/* Seeing a nursery off. */
#ifndef TEP_FAREWELL_H
#define TEP_FAREWELL_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/call.h"

/* Poll one descriptor until `end`, of now_ns, whatever signals arrive. True: it
 * is ready. */
bool poll_until(int fd, short events, int64_t end);

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
