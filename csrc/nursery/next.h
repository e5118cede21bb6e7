/* What a nursery begins next. */
#ifndef TEP_NEXT_H
#define TEP_NEXT_H

#include "nursery/nursery.h"

/* A free slot while a child may be forked, and nursery->index is its item, unless it takes
 * one itself; else -1. */
int64_t next_slot(struct nursery *nursery);

#endif
