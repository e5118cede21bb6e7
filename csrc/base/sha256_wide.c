/* Eight messages at once, or sixteen, each in its own word of the vectors of AVX-512:
 * no instruction here knows of SHA-256, but each does its work for all of them.
 * For that many messages this is faster than a processor's SHA extensions, on
 * some twice as fast (Zen 5), on some by a little.
 *
 * Source: FIPS 180-4, section 6.2.2; Intel's Intrinsics Guide. */
#include "base/sha256_wide.h"

#include <string.h>

#if defined(WITH_AVX512)
#include <immintrin.h>

#define ON_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl")))

/* The three-operand logic is a table of the eight results, as a number. */
enum { XOR = 0x96, CHOICE = 0xca, MAJORITY = 0xe8 };

/* To the compiler, something may happen to the sum here: so it adds up what is
 * written, and not the same in another order. */
#define IN_THIS_ORDER(sum) __asm__("" : "+v"(sum))

/* Of four words, the bytes of each the other way round. */
#define BIG_ENDIAN_WORDS                                                      \
    _mm_set_epi32(0x0c0d0e0f, 0x08090a0b, 0x04050607, 0x00010203)

#define LANES 8
#define GO_ON sha256_eight
#define LOAD_BLOCKS load_eight
#define vector __m256i
#define LOAD(from) _mm256_loadu_si256((const void *)(from))
#define STORE(to, x) _mm256_storeu_si256((void *)(to), x)
#define ADD(x, y) _mm256_add_epi32(x, y)
#define ALL(word) _mm256_set1_epi32((int)(word))
#define ROR(x, n) _mm256_ror_epi32(x, n)
#define SHR(x, n) _mm256_srli_epi32(x, n)
#define LOGIC(of, x, y, z) _mm256_ternarylogic_epi32(x, y, z, of)
#include "base/sha256_vector.inc"

ON_AVX512 static inline void
load_eight(__m256i w[16], const unsigned char *const at[8])
{
    const __m256i big_endian = _mm256_broadcastsi128_si256(BIG_ENDIAN_WORDS);
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++) {
        __m256i x[8], y[8];
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            x[i] = _mm256_shuffle_epi8(LOAD(at[i] + 32 * half), big_endian);
        }
        /* Pairs of lanes, then fours, then all eight. */
#pragma GCC unroll 4
        for (int i = 0; i < 8; i += 2) {
            y[i] = _mm256_unpacklo_epi32(x[i], x[i + 1]);
            y[i + 1] = _mm256_unpackhi_epi32(x[i], x[i + 1]);
        }
#pragma GCC unroll 2
        for (int i = 0; i < 8; i += 4) {
            x[i] = _mm256_unpacklo_epi64(y[i], y[i + 2]);
            x[i + 1] = _mm256_unpackhi_epi64(y[i], y[i + 2]);
            x[i + 2] = _mm256_unpacklo_epi64(y[i + 1], y[i + 3]);
            x[i + 3] = _mm256_unpackhi_epi64(y[i + 1], y[i + 3]);
        }
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            __m256i *to = w + 8 * half + i;
            to[0] = _mm256_permute2x128_si256(x[i], x[i + 4], 0x20);
            to[4] = _mm256_permute2x128_si256(x[i], x[i + 4], 0x31);
        }
    }
}

#undef LANES
#undef GO_ON
#undef LOAD_BLOCKS
#undef vector
#undef LOAD
#undef STORE
#undef ADD
#undef ALL
#undef ROR
#undef SHR
#undef LOGIC

#define LANES 16
#define GO_ON sha256_sixteen
#define LOAD_BLOCKS load_sixteen
#define vector __m512i
#define LOAD(from) _mm512_loadu_si512((const void *)(from))
#define STORE(to, x) _mm512_storeu_si512((void *)(to), x)
#define ADD(x, y) _mm512_add_epi32(x, y)
#define ALL(word) _mm512_set1_epi32((int)(word))
#define ROR(x, n) _mm512_ror_epi32(x, n)
#define SHR(x, n) _mm512_srli_epi32(x, n)
#define LOGIC(of, x, y, z) _mm512_ternarylogic_epi32(x, y, z, of)
#include "base/sha256_vector.inc"

ON_AVX512 static inline void
load_sixteen(__m512i w[16], const unsigned char *const at[16])
{
    const __m512i big_endian = _mm512_broadcast_i32x4(BIG_ENDIAN_WORDS);
    __m512i x[16], y[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
        x[i] = _mm512_shuffle_epi8(LOAD(at[i]), big_endian);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
        y[i] = _mm512_unpacklo_epi32(x[i], x[i + 1]);
        y[i + 1] = _mm512_unpackhi_epi32(x[i], x[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
        x[i] = _mm512_unpacklo_epi64(y[i], y[i + 2]);
        x[i + 1] = _mm512_unpackhi_epi64(y[i], y[i + 2]);
        x[i + 2] = _mm512_unpacklo_epi64(y[i + 1], y[i + 3]);
        x[i + 3] = _mm512_unpackhi_epi64(y[i + 1], y[i + 3]);
    }
    /* Now x[4 * i + j] has the words j, j + 4, j + 8 and j + 12 of the lanes from
     * 4 * i on, a quarter each. */
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        const __m512i even0 = _mm512_shuffle_i32x4(x[j], x[4 + j], 0x88);
        const __m512i odd0 = _mm512_shuffle_i32x4(x[j], x[4 + j], 0xdd);
        const __m512i even1 = _mm512_shuffle_i32x4(x[8 + j], x[12 + j], 0x88);
        const __m512i odd1 = _mm512_shuffle_i32x4(x[8 + j], x[12 + j], 0xdd);
        w[j] = _mm512_shuffle_i32x4(even0, even1, 0x88);
        w[j + 8] = _mm512_shuffle_i32x4(even0, even1, 0xdd);
        w[j + 4] = _mm512_shuffle_i32x4(odd0, odd1, 0x88);
        w[j + 12] = _mm512_shuffle_i32x4(odd0, odd1, 0xdd);
    }
}
#endif
