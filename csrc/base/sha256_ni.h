/* SHA-256 by the SHA extensions of x86, of one message or of several at once. */
#ifndef TEP_SHA256_NI_H
#define TEP_SHA256_NI_H

#include "base/sha256.h"

#if defined(__x86_64__)
#define WITH_SHA_NI

/* Where the processor has SHA_NI: go on with so many messages, each by as many
 * blocks. */
void sha256_ni_one(struct sha256_state *const state[],
                   const unsigned char *const data[], size_t blocks);
void sha256_ni_two(struct sha256_state *const state[],
                   const unsigned char *const data[], size_t blocks);
void sha256_ni_three(struct sha256_state *const state[],
                     const unsigned char *const data[], size_t blocks);
void sha256_ni_four(struct sha256_state *const state[],
                    const unsigned char *const data[], size_t blocks);
#endif

#endif
