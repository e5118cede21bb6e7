/* SHA-256, block by block: of one message, and of several at once where the processor
 * has instructions for it. */
#ifndef TEP_SHA256_LANES_H
#define TEP_SHA256_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SHA256_SIZE = 32, /* of a digest, bytes */
    SHA256_BLOCK = 64 /* of what is taken at once, bytes */
};

/* What SHA-256 has made of a message so far: the words H of FIPS 180-4. */
struct sha256_state {
    uint32_t h[8];
};

/* That of an empty message. */
extern const struct sha256_state sha256_start;

/* The constants K of FIPS 180-4. */
extern const uint32_t sha256_k[64];

/* Go on with one message, by so many whole blocks. */
void sha256_alone(struct sha256_state *state, const unsigned char *data,
                  size_t blocks);

/* Clang hides ARM's instructions in its header, before version 16. */
#if defined(__x86_64__) || (defined(__aarch64__) && !defined(__AARCH64EB__) && \
                            (!defined(__clang__) || __clang_major__ >= 16))
#define HAS_SHA256_GROUPS

/* Has the processor SHA instructions? */
bool sha256_has_groups(void);

/* Go on with exactly so many messages, each by as many blocks. */
void sha256_two(struct sha256_state *const state[],
                const unsigned char *const data[], size_t blocks);
void sha256_three(struct sha256_state *const state[],
                  const unsigned char *const data[], size_t blocks);
void sha256_four(struct sha256_state *const state[],
                 const unsigned char *const data[], size_t blocks);
#endif

#endif
