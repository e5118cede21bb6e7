/* Processes that workers of a nest have left behind. */
#ifndef TEP_HOST_STRANGERS_H
#define TEP_HOST_STRANGERS_H

#include <stdbool.h>

#include "shared/call.h"

/* A round is over: are there any below a child? Then the nest can serve no other. */
bool strangers_left(struct sphttp_call *nest);

/* There may be some below the nursery: ask it. False: no child has reaped any. */
bool strangers_ask(struct sphttp_call *nest);

/* What has it answered? True: there are some, or nobody knows. */
bool strangers_found(struct sphttp_call *nest);

/* A nest is closed that has any: let them live. */
void strangers_spare(struct sphttp_call *nest);

#endif
