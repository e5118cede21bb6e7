/* SHA-256 by the SHA-2 extension of ARMv8, of one message or of several at once. */
#ifndef TEP_SHA256_ARMV8_H
#define TEP_SHA256_ARMV8_H

#include "base/sha256.h"

/* Clang hides the instructions in its header, before version 16. */
#if defined(__aarch64__) && !defined(__AARCH64EB__) &&                        \
    (!defined(__clang__) || __clang_major__ >= 16)
#define WITH_ARM_SHA2

/* Where the processor has ARM_SHA2: go on with so many messages, each by as many
 * blocks. */
void sha256_armv8_one(struct sha256_state *const state[],
                      const unsigned char *const data[], size_t blocks);
void sha256_armv8_two(struct sha256_state *const state[],
                      const unsigned char *const data[], size_t blocks);
void sha256_armv8_three(struct sha256_state *const state[],
                        const unsigned char *const data[], size_t blocks);
void sha256_armv8_four(struct sha256_state *const state[],
                       const unsigned char *const data[], size_t blocks);
#endif

#endif
