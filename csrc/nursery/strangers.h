/* Processes below a nursery that are no children of its call. */
#ifndef TEP_STRANGERS_H
#define TEP_STRANGERS_H

#include "nursery/nursery.h"

/* What a child has left behind, and was not reaped by it, has become this process's:
 * is there any? Tell the host, which waits for that. */
void strangers_count(const struct nursery *nursery);

#endif
