/* A child finds an item that was fed. */
#ifndef TEP_ITEM_H
#define TEP_ITEM_H

#include <stddef.h>
#include <stdint.h>

#include "shared/call.h"

/* See what there is already of the memory that items will be in. */
void item_get_ready(struct sphttp_call *call);

/* The item of this cell, until another is asked for: 0, text; 1, a pickle; or -errno. */
int item_find(struct sphttp_call *call, uint32_t cell, const char **at,
              size_t *size);

#endif
