/* HMAC-SHA256 of what is in memory. */
#ifndef TEP_HMAC_H
#define TEP_HMAC_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#include "base/sha256.h"

enum { MAC_SIZE = SHA256_SIZE };

/* A key, made ready: where the inner and the outer hash go on from. As secret as
 * the key itself. */
struct hmac_key {
    struct sha256_state inner, outer; /* the inner one, behind SHA256_BLOCK bytes */
};

void hmac_prepare(struct hmac_key *prepared, const void *key, size_t size);

/* The inner hash has this digest: make the MAC of it. */
void hmac_end(const struct hmac_key *prepared, unsigned char digest[MAC_SIZE]);

/* The MAC of the parts in turn. */
void hmac_sha256(const void *key, size_t key_size, const struct iovec *parts,
                 int count, unsigned char mac[MAC_SIZE]);

/* Are these the same? How long that takes says nothing of where they differ. */
bool hmac_same(const void *mac, const void *other);

#endif
