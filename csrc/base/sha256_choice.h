/* Which routine is the fastest for several messages. */
#ifndef TEP_SHA256_CHOICE_H
#define TEP_SHA256_CHOICE_H

#include "base/sha256_lanes.h"

/* As sha256_named; but for "" and several messages the fastest, found by measuring,
 * once a process. */
bool sha256_choose(struct sha256_kernel *kernel, const char *name,
                   uint32_t count);

#endif
