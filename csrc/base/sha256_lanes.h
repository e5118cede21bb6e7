/* SHA-256 of several messages at once. */
#ifndef TEP_SHA256_LANES_H
#define TEP_SHA256_LANES_H

#include <stdbool.h>

#include "base/sha256.h"

enum { LANES_MOST = 16, UNITS_MOST = 8 };

/* What a routine consists of. Each kind has those before it in its stead, for numbers of
 * messages that it does not know. */
enum unit_kind { PORTABLE, ONE, GROUPS, WIDE };

/* What goes on with exactly so many messages. */
struct sha256_unit {
    uint32_t lanes;
    enum unit_kind kind;
    void (*go_on)(struct sha256_state *const state[],
                  const unsigned char *const data[], size_t blocks);
};

/* All that were compiled; behind them one with no lanes. */
extern const struct sha256_unit sha256_units[UNITS_MOST];

/* Can this processor run it? */
bool sha256_unit_usable(const struct sha256_unit *unit);

/* A way to go on with up to `lanes` messages at once: the routine of a name. */
struct sha256_kernel {
    const char *name;
    uint32_t lanes; /* at least 1 */
    uint8_t unit[LANES_MOST + 1]; /* of so many messages, goes on with the first */
};

/* The routine of that name; for "" the first that this processor can run. False: it
 * can run none of that name. */
bool sha256_named(struct sha256_kernel *kernel, const char *name);

/* The name of the routine that has these units as its last kind. */
const char *sha256_name_of(enum unit_kind kind);

/* Go on with `count` messages, at most `lanes`, each by as many blocks. */
void sha256_go_on(const struct sha256_kernel *kernel,
                  struct sha256_state *const state[],
                  const unsigned char *const data[], uint32_t count,
                  size_t blocks);

#endif
