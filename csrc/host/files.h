/* Results in the files of the scratch directory. */
#ifndef TEP_FILES_H
#define TEP_FILES_H

#include "host/store.h"

extern const struct store files_store;

/* What a nursery has left of a scratch directory: open it where that has been
 * made. Of one that was killed before it could say more than its stamp, remove
 * it. 0 or -errno. */
int files_take_over(struct sphttp_call *call);

/* In the host: remove it, unless it is gone already. */
void files_remove(struct sphttp_call *call);

#endif
