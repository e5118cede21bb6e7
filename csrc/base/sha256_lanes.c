/* Several messages at once, in the processor's SHA instructions. Each round waits for
 * the one before: with one message a processor is idle for half of the time, and
 * two to four, their instructions in turn, fill that.
 *
 * Source: FIPS 180-4, section 6.2.2. */
#include "base/sha256_lanes.h"

#include <string.h>

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

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#define SHA_INSTRUCTIONS "base/sha256_x86.inc"

bool
sha256_has_groups(void)
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

#elif defined(HAS_SHA256_GROUPS)
#include <arm_neon.h>
#include <sys/auxv.h>

#define SHA_INSTRUCTIONS "base/sha256_arm.inc"

bool
sha256_has_groups(void)
{
    const unsigned long hwcap_sha2 = 1UL << 6; /* Linux's HWCAP_SHA2 */
    return (getauxval(AT_HWCAP) & hwcap_sha2) != 0;
}
#endif

#if defined(HAS_SHA256_GROUPS)
#define LANES 2
#define GO_ON sha256_two
#include SHA_INSTRUCTIONS
#undef LANES
#undef GO_ON

#define LANES 3
#define GO_ON sha256_three
#include SHA_INSTRUCTIONS
#undef LANES
#undef GO_ON

#define LANES 4
#define GO_ON sha256_four
#include SHA_INSTRUCTIONS
#undef LANES
#undef GO_ON
#endif
