/* What was open in a process that goes on as another. */
#ifndef TEP_COVER_H
#define TEP_COVER_H

#include <stddef.h>

/* Put a descriptor that can be used for nothing in the place of each that is open, but
 * 0 to 2, `spared` of them, in order, and the two of `own`: whoever uses one is told
 * EBADF, and whoever closes one closes nothing that is new. 0 or -errno. */
int cover_all_but(const int *spared, size_t count, const int own[2]);

#endif
