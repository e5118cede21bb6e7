/* Results in the files of the scratch directory. */
#ifndef TEP_FILES_H
#define TEP_FILES_H

#include "host/store.h"

extern const struct store files_store;

/* What a nursery has left of a scratch directory: open it where that has been
 * made. Of one that was killed before it could say more than its stamp, remove
 * it. 0 or -errno. */
int files_take_over(struct sphttp_call *call);

/* Remove the open directory, also from under children that are just dying with a
 * nursery that was lost. 0, -errno; or with `pause` -EINTR: Python may have signals to
 * handle, and then it goes on from there. */
int files_clear(struct sphttp_call *call, bool pause);

#endif
