/* Several messages at once. Each round of SHA-256 waits for the one before: with SHA
 * instructions a processor is idle for half of the time, and two messages, their
 * instructions in turn, fill that. Wide vectors do without those instructions,
 * and are as quick for sixteen messages as for one.
 *
 *   name      lanes    for
 *   avx512    2 to 16  x86 with AVX-512: Intel's from Skylake-X on, Zen 4; fewer
 *                      than 7 in pairs as below, where there is that too
 *   sha-ni    2        x86 with the SHA extensions: Zen, Ice Lake and later
 *   armv8     2        ARMv8 with the SHA-2 extension
 *   openssl   1        any other processor; and on all of them, whichever message
 *                      has no other beside it
 *
 * Source: FIPS 180-4, section 6.2.2; Intel's and Arm's descriptions of the
 * instructions. */
#include "base/sha256_lanes.h"

#include "base/sha256_wide.h"

#include <stdbool.h>
#include <string.h>

/* Clang hides the instructions in its header, before version 16. */
#if defined(__aarch64__) && !defined(__AARCH64EB__) &&                        \
    (!defined(__clang__) || __clang_major__ >= 16)
#define HAS_ARM_NEON
#endif

/* Deprecated, not removed in OpenSSL 4, and the one way to go on from a state that
 * was reached elsewhere: EVP keeps its own to itself. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

const struct sha256_state sha256_start = {{
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
}};

void
sha256_alone(struct sha256_state *state, const unsigned char *data,
             size_t blocks)
{
    SHA256_CTX context = {.md_len = SHA256_SIZE};
    memcpy(context.h, state->h, sizeof(state->h));
    /* Whole blocks are not kept back; and it has no way to fail. */
    (void)SHA256_Update(&context, data, blocks * SHA256_BLOCK);
    memcpy(state->h, context.h, sizeof(state->h));
}

static void
each_alone(struct sha256_state *const state[],
           const unsigned char *const data[], uint32_t count, size_t blocks)
{
    for (uint32_t i = 0; i < count; i++) {
        sha256_alone(state[i], data[i], blocks);
    }
}

_Alignas(16) const uint32_t sha256_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
    0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
    0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
    0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
    0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
    0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

/* The kernels below are written for any number of lanes, and unrolled by the
 * compiler. Group g is the rounds 4g to 4g + 3. w[g % 4] is what they take of the
 * message schedule; in the first four groups, the block itself. */

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

static bool
has_sha_ni(void)
{
    enum { UNKNOWN, NO, YES };
    static _Atomic int known; /* to ask costs 25 us in a virtual machine */
    if (known == UNKNOWN) {
        unsigned int a, b, c, d;
        bool has = __builtin_cpu_supports("sse4.1") != 0 &&
                   __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 &&
                   (b & bit_SHA) != 0;
        known = has ? YES : NO;
    }
    return known == YES;
}

__attribute__((target("sha,sse4.1"))) static void
two_at_once(struct sha256_state *const state[],
            const unsigned char *const data[], size_t blocks)
{
    enum { LANES = 2 };
    const __m128i big_endian =
        _mm_set_epi32(0x0c0d0e0f, 0x08090a0b, 0x04050607, 0x00010203);
    /* The instructions want the words as A, B, E, F and C, D, G, H. */
    __m128i abef[LANES], cdgh[LANES];
    const unsigned char *at[LANES];
    for (int i = 0; i < LANES; i++) {
        const __m128i *h = (const void *)state[i]->h;
        __m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128(h), 0xb1);
        __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128(h + 1), 0x1b);
        abef[i] = _mm_alignr_epi8(cdab, efgh, 8);
        cdgh[i] = _mm_blend_epi16(efgh, cdab, 0xf0);
        at[i] = data[i];
    }
    for (; blocks > 0; blocks--) {
        const __m128i abef_before[LANES] = {abef[0], abef[1]};
        const __m128i cdgh_before[LANES] = {cdgh[0], cdgh[1]};
        __m128i w[LANES][4];
#pragma GCC unroll 16
        for (int g = 0; g < 16; g++) {
            const __m128i k = _mm_load_si128((const void *)(sha256_k + 4 * g));
#pragma GCC unroll 2
            for (int i = 0; i < LANES; i++) {
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
        for (int i = 0; i < LANES; i++) {
            abef[i] = _mm_add_epi32(abef[i], abef_before[i]);
            cdgh[i] = _mm_add_epi32(cdgh[i], cdgh_before[i]);
            at[i] += SHA256_BLOCK;
        }
    }
    for (int i = 0; i < LANES; i++) {
        __m128i *h = (void *)state[i]->h;
        __m128i feba = _mm_shuffle_epi32(abef[i], 0x1b);
        __m128i dchg = _mm_shuffle_epi32(cdgh[i], 0xb1);
        _mm_storeu_si128(h, _mm_blend_epi16(feba, dchg, 0xf0));
        _mm_storeu_si128(h + 1, _mm_alignr_epi8(dchg, feba, 8));
    }
}

static bool
has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") != 0 &&
           __builtin_cpu_supports("avx512bw") != 0 &&
           __builtin_cpu_supports("avx512vl") != 0;
}

static bool
has_both(void)
{
    return has_avx512() && has_sha_ni();
}

#elif defined(HAS_ARM_NEON)
#include <arm_neon.h>
#include <sys/auxv.h>

static bool
has_sha2(void)
{
    const unsigned long hwcap_sha2 = 1UL << 6; /* Linux's HWCAP_SHA2 */
    return (getauxval(AT_HWCAP) & hwcap_sha2) != 0;
}

__attribute__((target("+crypto"))) static void
two_at_once(struct sha256_state *const state[],
            const unsigned char *const data[], size_t blocks)
{
    enum { LANES = 2 };
    uint32x4_t abcd[LANES], efgh[LANES];
    const unsigned char *at[LANES];
    for (int i = 0; i < LANES; i++) {
        abcd[i] = vld1q_u32(state[i]->h);
        efgh[i] = vld1q_u32(state[i]->h + 4);
        at[i] = data[i];
    }
    for (; blocks > 0; blocks--) {
        const uint32x4_t abcd_before[LANES] = {abcd[0], abcd[1]};
        const uint32x4_t efgh_before[LANES] = {efgh[0], efgh[1]};
        uint32x4_t w[LANES][4];
#pragma GCC unroll 16
        for (int g = 0; g < 16; g++) {
            const uint32x4_t k = vld1q_u32(sha256_k + 4 * g);
#pragma GCC unroll 2
            for (int i = 0; i < LANES; i++) {
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
        for (int i = 0; i < LANES; i++) {
            abcd[i] = vaddq_u32(abcd[i], abcd_before[i]);
            efgh[i] = vaddq_u32(efgh[i], efgh_before[i]);
            at[i] += SHA256_BLOCK;
        }
    }
    for (int i = 0; i < LANES; i++) {
        vst1q_u32(state[i]->h, abcd[i]);
        vst1q_u32(state[i]->h + 4, efgh[i]);
    }
}
#endif

#if defined(__x86_64__) || defined(HAS_ARM_NEON)
static void
pairs(struct sha256_state *const state[], const unsigned char *const data[],
      uint32_t count, size_t blocks)
{
    for (; count >= 2; count -= 2, state += 2, data += 2) {
        two_at_once(state, data, blocks);
    }
    each_alone(state, data, count, blocks);
}
#endif

#if defined(__x86_64__)
/* So many messages in vectors of eight words or sixteen: in what is left of the last
 * one, the work is for nobody. */
static void
in_vectors(struct sha256_state *const state[],
           const unsigned char *const data[], uint32_t count, size_t blocks)
{
    uint32_t words = count > 8 ? 16 : 8;
    struct sha256_state nobodys[16];
    struct sha256_state *states[16];
    const unsigned char *from[16];
    for (uint32_t i = 0; i < words; i++) {
        nobodys[i] = sha256_start;
        states[i] = i < count ? state[i] : &nobodys[i];
        from[i] = data[i < count ? i : 0];
    }
    (words == 16 ? sha256_sixteen : sha256_eight)(states, from, blocks);
}

static void
vectors_or_pairs(struct sha256_state *const state[],
                 const unsigned char *const data[], uint32_t count,
                 size_t blocks)
{
    /* A vector of eight takes as long as three pairs, one of sixteen as long as
     * four and a half: measured on Granite Rapids. */
    uint32_t wide = count > 10 ? count : count > 8 ? 8 : count > 6 ? count : 0;
    if (wide > 0) {
        in_vectors(state, data, wide, blocks);
    }
    pairs(state + wide, data + wide, count - wide, blocks);
}

static void
vectors_or_alone(struct sha256_state *const state[],
                 const unsigned char *const data[], uint32_t count,
                 size_t blocks)
{
    if (count > 1) {
        in_vectors(state, data, count, blocks);
    }
    else {
        each_alone(state, data, count, blocks);
    }
}
#endif

const struct sha256_kernel *
sha256_kernel(const char *name)
{
    static const struct {
        struct sha256_kernel kernel;
        bool (*usable)(void);
    } known[] = {
#if defined(__x86_64__)
        {{"avx512", 16, vectors_or_pairs}, has_both},
        {{"avx512", 16, vectors_or_alone}, has_avx512},
        {{"sha-ni", 2, pairs}, has_sha_ni},
#elif defined(HAS_ARM_NEON)
        {{"armv8", 2, pairs}, has_sha2},
#endif
        {{"openssl", 1, each_alone}, NULL},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        const struct sha256_kernel *kernel = &known[i].kernel;
        if ((*name == '\0' || strcmp(name, kernel->name) == 0) &&
            (known[i].usable == NULL || known[i].usable())) {
            return kernel;
        }
    }
    return NULL;
}
