/* SHA-256 of one message.
 *
 * Source: FIPS 180-4, sections 5.1.1 and 6.2. */
#include "base/sha256.h"

#include <string.h>

#include "base/processor.h"
#include "base/sha256_armv8.h"
#include "base/sha256_ni.h"
#include "base/sha256_portable.h"

const struct sha256_state sha256_start = {{
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
}};

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

void
sha256_alone(struct sha256_state *state, const unsigned char *data,
             size_t blocks)
{
#if defined(WITH_SHA_NI)
    if (processor_has(SHA_NI)) {
        sha256_ni_one(&state, &data, blocks);
        return;
    }
#elif defined(WITH_ARM_SHA2)
    if (processor_has(ARM_SHA2)) {
        sha256_armv8_one(&state, &data, blocks);
        return;
    }
#endif
    sha256_portable(state, data, blocks);
}

size_t
sha256_pad(unsigned char *to, uint64_t length)
{
    /* A one, zeros, and in the last eight bytes the length in bits. */
    size_t over = (size_t)(length % SHA256_BLOCK);
    size_t size = (over < 56 ? 1u : 2u) * SHA256_BLOCK - over;
    memset(to, 0, size);
    to[0] = 0x80;
    for (size_t i = 0; i < 8; i++) {
        to[size - 1 - i] = (unsigned char)(length * 8 >> 8 * i);
    }
    return size;
}

void
sha256_put(unsigned char digest[SHA256_SIZE], const struct sha256_state *state)
{
    for (int i = 0; i < 8; i++) {
        const uint32_t word = state->h[i];
        *digest++ = (unsigned char)(word >> 24);
        *digest++ = (unsigned char)(word >> 16);
        *digest++ = (unsigned char)(word >> 8);
        *digest++ = (unsigned char)word;
    }
}

void
sha256_add(struct sha256 *message, const void *data, size_t size)
{
    if (size == 0) {
        return; /* and `data` may be NULL, of which nothing is to be computed */
    }
    const unsigned char *from = data;
    size_t over = (size_t)(message->length % SHA256_BLOCK);
    message->length += size;
    if (over > 0 && over + size >= SHA256_BLOCK) {
        size_t more = SHA256_BLOCK - over;
        memcpy(message->block + over, from, more);
        sha256_alone(&message->state, message->block, 1);
        from += more;
        size -= more;
        over = 0;
    }
    if (over == 0) {
        size_t blocks = size / SHA256_BLOCK;
        sha256_alone(&message->state, from, blocks);
        from += blocks * SHA256_BLOCK;
        size -= blocks * SHA256_BLOCK;
    }
    memcpy(message->block + over, from, size);
}

void
sha256_end(struct sha256 *message, unsigned char digest[SHA256_SIZE])
{
    unsigned char last[2 * SHA256_BLOCK];
    size_t over = (size_t)(message->length % SHA256_BLOCK);
    memcpy(last, message->block, over);
    size_t size = over + sha256_pad(last + over, message->length);
    sha256_alone(&message->state, last, size / SHA256_BLOCK);
    sha256_put(digest, &message->state);
    explicit_bzero(last, sizeof(last)); /* it may have been a key */
}
