/* The memory of the shared page and of the ledger. */
#ifndef TEP_LAYOUT_H
#define TEP_LAYOUT_H

#include "shared/call.h"

/* Lay both out, for a call that knows its numbers: with `files` in two memory files,
 * which the caller closes, also after an error; one that was not made is below 0.
 * 0 or -errno. */
int layout_open(struct sphttp_call *call, int files[2]);

/* In the nursery of a nest: map those two. 0 or -errno. */
int layout_attach(struct sphttp_call *call, const int files[2]);

/* Let go of both. Twice is once. */
void layout_close(struct sphttp_call *call);

/* In the nursery: no child shall have the ledger. */
void layout_keep_ledger(const struct sphttp_call *call);

#endif
