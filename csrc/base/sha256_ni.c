/* SHA-256 by the SHA extensions of x86. Written for any number of messages, and unrolled
 * by the compiler. Group g is the rounds 4g to 4g + 3. w[g % 4] is what they take
 * of the message schedule; in the first four groups, the block itself.
 *
 * Source: FIPS 180-4, section 6.2.2; Intel's Intrinsics Guide. */
#include "base/sha256_ni.h"

#if defined(WITH_SHA_NI)
#include <immintrin.h>

#define ON_SHA_NI __attribute__((target("sha,sse4.1")))

enum { MOST = 2 };

ON_SHA_NI static inline __attribute__((always_inline)) void
together(const int lanes, struct sha256_state *const state[],
         const unsigned char *const data[], size_t blocks)
{
    const __m128i big_endian =
        _mm_set_epi32(0x0c0d0e0f, 0x08090a0b, 0x04050607, 0x00010203);
    /* The instructions want the words as A, B, E, F and C, D, G, H. */
    __m128i abef[MOST], cdgh[MOST];
    const unsigned char *at[MOST];
    for (int i = 0; i < lanes; i++) {
        const __m128i *h = (const void *)state[i]->h;
        __m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128(h), 0xb1);
        __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128(h + 1), 0x1b);
        abef[i] = _mm_alignr_epi8(cdab, efgh, 8);
        cdgh[i] = _mm_blend_epi16(efgh, cdab, 0xf0);
        at[i] = data[i];
    }
    for (; blocks > 0; blocks--) {
        __m128i abef_before[MOST], cdgh_before[MOST], w[MOST][4];
        for (int i = 0; i < lanes; i++) {
            abef_before[i] = abef[i];
            cdgh_before[i] = cdgh[i];
        }
#pragma GCC unroll 16
        for (int g = 0; g < 16; g++) {
            const __m128i k = _mm_load_si128((const void *)(sha256_k + 4 * g));
#pragma GCC unroll 2
            for (int i = 0; i < lanes; i++) {
                __m128i *now = &w[i][g % 4];
                const __m128i *second = &w[i][(g + 1) % 4];
                const __m128i *third = &w[i][(g + 2) % 4];
                const __m128i *last = &w[i][(g + 3) % 4];
                if (g < 4) {
                    *now = _mm_shuffle_epi8(
                        _mm_loadu_si128((const void *)(at[i] + 16 * g)),
                        big_endian);
                }
                else {
                    *now = _mm_sha256msg2_epu32(
                        _mm_add_epi32(_mm_sha256msg1_epu32(*now, *second),
                                      _mm_alignr_epi8(*last, *third, 4)),
                        *last);
                }
                const __m128i wk = _mm_add_epi32(*now, k);
                cdgh[i] = _mm_sha256rnds2_epu32(cdgh[i], abef[i], wk);
                abef[i] = _mm_sha256rnds2_epu32(abef[i], cdgh[i],
                                                _mm_shuffle_epi32(wk, 0x0e));
            }
        }
        for (int i = 0; i < lanes; i++) {
            abef[i] = _mm_add_epi32(abef[i], abef_before[i]);
            cdgh[i] = _mm_add_epi32(cdgh[i], cdgh_before[i]);
            at[i] += SHA256_BLOCK;
        }
    }
    for (int i = 0; i < lanes; i++) {
        __m128i *h = (void *)state[i]->h;
        __m128i feba = _mm_shuffle_epi32(abef[i], 0x1b);
        __m128i dchg = _mm_shuffle_epi32(cdgh[i], 0xb1);
        _mm_storeu_si128(h, _mm_blend_epi16(feba, dchg, 0xf0));
        _mm_storeu_si128(h + 1, _mm_alignr_epi8(dchg, feba, 8));
    }
}

ON_SHA_NI void
sha256_ni_one(struct sha256_state *state, const unsigned char *data,
              size_t blocks)
{
    together(1, &state, &data, blocks);
}

ON_SHA_NI void
sha256_ni_two(struct sha256_state *const state[],
              const unsigned char *const data[], size_t blocks)
{
    together(2, state, data, blocks);
}
#endif
