/* SHA-256 of exactly eight or sixteen messages at once, on x86 with
 * AVX-512. */
#ifndef TEP_SHA256_WIDE_H
#define TEP_SHA256_WIDE_H

#include "base/sha256.h"

#if defined(__x86_64__)
#define WITH_AVX512

/* Where the processor has AVX512. */
void sha256_eight(struct sha256_state *const state[],
                  const unsigned char *const data[], size_t blocks);
void sha256_sixteen(struct sha256_state *const state[],
                    const unsigned char *const data[], size_t blocks);
#endif

#endif
