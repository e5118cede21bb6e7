/* A host that its terminal stops. */
#ifndef TEP_TERMINAL_H
#define TEP_TERMINAL_H

#include "shared/call.h"

/* Under the forks' lock: the call is open; it is over. Leaving twice is
 * once. */
void terminal_enter(struct sphttp_call *call);
void terminal_leave(struct sphttp_call *call);

/* In a fork of the host, where none is open. Async-signal-safe. */
void terminal_forget(void);

#endif
