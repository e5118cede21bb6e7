/* SHA-256 of one message. */
#ifndef TEP_SHA256_H
#define TEP_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum {
    SHA256_SIZE = 32, /* of a digest, bytes */
    SHA256_BLOCK = 64 /* of what is taken at once, bytes */
};

/* What SHA-256 has made of a message so far: the words H of FIPS 180-4. */
struct sha256_state {
    uint32_t h[8];
};

/* That of an empty message. */
extern const struct sha256_state sha256_start;

/* The constants K of FIPS 180-4. */
extern const uint32_t sha256_k[64];

/* Go on with one message, by so many whole blocks, as fast as this processor
 * can. */
void sha256_alone(struct sha256_state *state, const unsigned char *data,
                  size_t blocks);

/* Write what ends a message of `length` bytes, up to the end of a block.
 * Returns how many bytes that takes. */
size_t sha256_pad(unsigned char *to, uint64_t length);

void sha256_put(unsigned char digest[SHA256_SIZE],
                const struct sha256_state *state);

/* A message that comes in parts, all of them in memory. */
struct sha256 {
    struct sha256_state state;
    uint64_t length; /* bytes, by now */
    unsigned char block[SHA256_BLOCK]; /* of those, what is no whole block */
};

void sha256_add(struct sha256 *message, const void *data, size_t size);
void sha256_end(struct sha256 *message, unsigned char digest[SHA256_SIZE]);

#endif
