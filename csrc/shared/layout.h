/* The memory of the shared page and of the ledger. */
#ifndef TEP_LAYOUT_H
#define TEP_LAYOUT_H

#include "shared/call.h"

/* Lay both out, for a call that knows its numbers. 0 or -errno. */
int layout_open(struct sphttp_call *call);

/* Let go of both. Twice is once. */
void layout_close(struct sphttp_call *call);

/* In the nursery: no child shall have the ledger. */
void layout_keep_ledger(const struct sphttp_call *call);

#endif
