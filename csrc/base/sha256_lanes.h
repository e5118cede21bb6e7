/* SHA-256 of several messages at once, where the processor has instructions
 * for it; of one alone it is OpenSSL's. */
#ifndef TEP_SHA256_LANES_H
#define TEP_SHA256_LANES_H

#include <stddef.h>
#include <stdint.h>

enum {
    SHA256_SIZE = 32,  /* of a digest, bytes */
    SHA256_BLOCK = 64, /* of what is taken at once, bytes */
    LANES_MOST = 16
};

/* What SHA-256 has made of a message so far: the words H of FIPS 180-4. */
struct sha256_state {
    uint32_t h[8];
};

/* That of an empty message. */
extern const struct sha256_state sha256_start;

/* Go on with one message, by so many whole blocks. */
void sha256_alone(struct sha256_state *state, const unsigned char *data,
                  size_t blocks);

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

/* The constants K of FIPS 180-4. */
extern const uint32_t sha256_k[64];

#endif
