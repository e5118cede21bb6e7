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
 *   alone     1        any other processor; and on all of them, whichever message
 *                      has no other beside it
 *   portable  1        the same in plain C, whatever the processor has */
#include "base/sha256_lanes.h"

#include <stdbool.h>
#include <string.h>

#include "base/processor.h"
#include "base/sha256_armv8.h"
#include "base/sha256_ni.h"
#include "base/sha256_portable.h"
#include "base/sha256_wide.h"

static void
each_alone(struct sha256_state *const state[],
           const unsigned char *const data[], uint32_t count, size_t blocks)
{
    for (uint32_t i = 0; i < count; i++) {
        sha256_alone(state[i], data[i], blocks);
    }
}

static void
each_portable(struct sha256_state *const state[],
              const unsigned char *const data[], uint32_t count,
              size_t blocks)
{
    for (uint32_t i = 0; i < count; i++) {
        sha256_portable(state[i], data[i], blocks);
    }
}

#if defined(WITH_SHA_NI)
#define TWO_AT_ONCE sha256_ni_two
#elif defined(WITH_ARM_SHA2)
#define TWO_AT_ONCE sha256_armv8_two
#endif

#if defined(TWO_AT_ONCE)
static void
pairs(struct sha256_state *const state[], const unsigned char *const data[],
      uint32_t count, size_t blocks)
{
    for (; count >= 2; count -= 2, state += 2, data += 2) {
        TWO_AT_ONCE(state, data, blocks);
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
        unsigned int wants; /* enum feature */
    } known[] = {
#if defined(WITH_SHA_NI)
        {{"avx512", 16, vectors_or_pairs}, AVX512 | SHA_NI},
        {{"avx512", 16, vectors_or_alone}, AVX512},
        {{"sha-ni", 2, pairs}, SHA_NI},
#elif defined(WITH_ARM_SHA2)
        {{"armv8", 2, pairs}, ARM_SHA2},
#endif
        {{"alone", 1, each_alone}, 0},
        {{"portable", 1, each_portable}, 0},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        const struct sha256_kernel *kernel = &known[i].kernel;
        if ((*name == '\0' || strcmp(name, kernel->name) == 0) &&
            processor_has(known[i].wants)) {
            return kernel;
        }
    }
    return NULL;
}
