/* What a worker has started, and has left running. */
#ifndef TEP_BELOW_H
#define TEP_BELOW_H

#include "shared/call.h"

/* In a kept child before its first item, that has nothing more to do, or that is about
 * to end: has it left processes behind since the last time? Tell the host. */
enum { BELOW_FIRST, BELOW_IDLE, BELOW_LAST };
void below_look(struct sphttp_call *call, int when);

#endif
