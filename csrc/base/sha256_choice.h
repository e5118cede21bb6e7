/* Which routine is the fastest for several messages. */
#ifndef TEP_SHA256_CHOICE_H
#define TEP_SHA256_CHOICE_H

#include "base/sha256_lanes.h"

/* As sha256_named; but for "" and several messages the fastest, found by measuring,
 * once a process. */
bool sha256_choose(struct sha256_kernel *kernel, const char *name,
                   uint32_t count);

/* In a process that has just been forked: another thread may have been about to note
 * what it found, and is not here. */
void sha256_choice_after_fork(void);

#endif
