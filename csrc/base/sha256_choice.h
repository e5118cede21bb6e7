/* Which routine goes on with so many messages at once. */
#ifndef TEP_SHA256_CHOICE_H
#define TEP_SHA256_CHOICE_H

#include "base/sha256_lanes.h"

enum { LANES_MOST = 16 };

/* A way to go on with up to `lanes` messages at once. */
struct sha256_kernel {
    const char *name;
    uint32_t lanes; /* at least 1 */
    uint8_t unit[LANES_MOST + 1]; /* of so many messages, goes on with the first */
};

/* The kernel of that name; for "" the fastest for `count` messages, found by
 * measuring, once a process, where there are several. False: this processor has
 * no such kernel. */
bool sha256_choose(struct sha256_kernel *kernel, const char *name,
                   uint32_t count);

/* Go on with `count` messages, at most `lanes`, each by as many blocks. */
void sha256_go_on(const struct sha256_kernel *kernel,
                  struct sha256_state *const state[],
                  const unsigned char *const data[], uint32_t count,
                  size_t blocks);

#endif
