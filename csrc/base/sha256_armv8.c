/* SHA-256 by the SHA-2 extension of ARMv8. Written for any number of messages, and unrolled
 * by the compiler, as sha256_ni.c is.
 *
 * Source: FIPS 180-4, section 6.2.2; Arm's description of the instructions. */
#include "base/sha256_armv8.h"

#if defined(WITH_ARM_SHA2)
#include <arm_neon.h>

#define ON_ARM_SHA2 __attribute__((target("+crypto")))

enum { MOST = 2 };

ON_ARM_SHA2 static inline __attribute__((always_inline)) void
together(const int lanes, struct sha256_state *const state[],
         const unsigned char *const data[], size_t blocks)
{
    uint32x4_t abcd[MOST], efgh[MOST];
    const unsigned char *at[MOST];
    for (int i = 0; i < lanes; i++) {
        abcd[i] = vld1q_u32(state[i]->h);
        efgh[i] = vld1q_u32(state[i]->h + 4);
        at[i] = data[i];
    }
    for (; blocks > 0; blocks--) {
        uint32x4_t abcd_before[MOST], efgh_before[MOST], w[MOST][4];
        for (int i = 0; i < lanes; i++) {
            abcd_before[i] = abcd[i];
            efgh_before[i] = efgh[i];
        }
#pragma GCC unroll 16
        for (int g = 0; g < 16; g++) {
            const uint32x4_t k = vld1q_u32(sha256_k + 4 * g);
#pragma GCC unroll 2
            for (int i = 0; i < lanes; i++) {
                uint32x4_t *now = &w[i][g % 4];
                if (g < 4) {
                    *now = vreinterpretq_u32_u8(
                        vrev32q_u8(vld1q_u8(at[i] + 16 * g)));
                }
                else {
                    *now = vsha256su1q_u32(
                        vsha256su0q_u32(*now, w[i][(g + 1) % 4]),
                        w[i][(g + 2) % 4], w[i][(g + 3) % 4]);
                }
                const uint32x4_t wk = vaddq_u32(*now, k);
                const uint32x4_t abcd_then = abcd[i];
                abcd[i] = vsha256hq_u32(abcd[i], efgh[i], wk);
                efgh[i] = vsha256h2q_u32(efgh[i], abcd_then, wk);
            }
        }
        for (int i = 0; i < lanes; i++) {
            abcd[i] = vaddq_u32(abcd[i], abcd_before[i]);
            efgh[i] = vaddq_u32(efgh[i], efgh_before[i]);
            at[i] += SHA256_BLOCK;
        }
    }
    for (int i = 0; i < lanes; i++) {
        vst1q_u32(state[i]->h, abcd[i]);
        vst1q_u32(state[i]->h + 4, efgh[i]);
    }
}

ON_ARM_SHA2 void
sha256_armv8_one(struct sha256_state *state, const unsigned char *data,
                 size_t blocks)
{
    together(1, &state, &data, blocks);
}

ON_ARM_SHA2 void
sha256_armv8_two(struct sha256_state *const state[],
                 const unsigned char *const data[], size_t blocks)
{
    together(2, state, data, blocks);
}
#endif
