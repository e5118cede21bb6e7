/* SHA-256 of one message, in plain C. The message schedule needs no more than the block
 * itself: where there are eight blocks, the compiler makes their schedules at
 * once, in vectors of whatever kind the processor has.
 *
 * Source: FIPS 180-4, section 6.2.2. */
#include "base/sha256_portable.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))

INLINE uint32_t
ror(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

INLINE uint32_t
word_at(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 |
           (uint32_t)at[2] << 8 | at[3];
}

/* Word t of the schedule of block i stands in w[t * blocks + i]. */
INLINE void
make_schedules(uint32_t *w, const unsigned char *data, const size_t blocks)
{
    for (size_t t = 0; t < 16; t++) {
        for (size_t i = 0; i < blocks; i++) {
            w[t * blocks + i] = word_at(data + i * SHA256_BLOCK + 4 * t);
        }
    }
    for (size_t t = 16; t < 64; t++) {
#pragma GCC unroll 1 /* else gcc has no loop left to make a vector of */
        for (size_t i = 0; i < blocks; i++) {
            const uint32_t w15 = w[(t - 15) * blocks + i];
            const uint32_t w2 = w[(t - 2) * blocks + i];
            w[t * blocks + i] =
                w[(t - 16) * blocks + i] + w[(t - 7) * blocks + i] +
                (ror(w15, 7) ^ ror(w15, 18) ^ w15 >> 3) +
                (ror(w2, 17) ^ ror(w2, 19) ^ w2 >> 10);
        }
    }
}

INLINE void
go_on(struct sha256_state *state, const uint32_t *w, const size_t blocks)
{
    uint32_t a = state->h[0], b = state->h[1], c = state->h[2];
    uint32_t d = state->h[3], e = state->h[4], f = state->h[5];
    uint32_t g = state->h[6], h = state->h[7];
    for (size_t from = 0; from < 64; from += 16) {
#pragma GCC unroll 16
        for (size_t t = from; t < from + 16; t++) {
            const uint32_t t1 = h + (ror(e, 6) ^ ror(e, 11) ^ ror(e, 25)) +
                                (g ^ (e & (f ^ g))) + sha256_k[t] +
                                w[t * blocks];
            const uint32_t t2 = (ror(a, 2) ^ ror(a, 13) ^ ror(a, 22)) +
                                (b ^ ((a ^ b) & (b ^ c)));
            h = g;
            g = f;
            f = e;
            e = d + t1;
            d = c;
            c = b;
            b = a;
            a = t1 + t2;
        }
    }
    const uint32_t after[8] = {a, b, c, d, e, f, g, h};
    for (int i = 0; i < 8; i++) {
        state->h[i] += after[i];
    }
}

void
sha256_portable(struct sha256_state *state, const unsigned char *data,
                size_t blocks)
{
    enum { MANY = 8 };
    uint32_t w[64 * MANY];
    size_t used = blocks >= MANY ? sizeof(w) : sizeof(w) / MANY;
    for (; blocks >= MANY; blocks -= MANY, data += MANY * SHA256_BLOCK) {
        make_schedules(w, data, MANY);
        for (size_t i = 0; i < MANY; i++) {
            go_on(state, w + i, MANY);
        }
    }
    for (; blocks > 0; blocks--, data += SHA256_BLOCK) {
        make_schedules(w, data, 1);
        go_on(state, w, 1);
    }
    explicit_bzero(w, used); /* it may have been a key */
}
