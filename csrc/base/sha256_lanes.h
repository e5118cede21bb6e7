/* SHA-256 of several messages at once, where the processor has instructions
 * for it. */
#ifndef TEP_SHA256_LANES_H
#define TEP_SHA256_LANES_H

#include "base/sha256.h"

enum { LANES_MOST = 16 };

/* A way to go on with `count` messages at once, each by as many blocks. */
struct sha256_kernel {
    const char *name;
    uint32_t lanes; /* the most that `count` may be; at least 1 */
    void (*go_on)(struct sha256_state *const state[],
                  const unsigned char *const data[], uint32_t count,
                  size_t blocks);
};

/* The routine of that name, or for "" the best there is. NULL: this processor
 * has no such routine. */
const struct sha256_kernel *sha256_kernel(const char *name);

#endif
