/* HMAC-SHA256, and SHA-256, of what is in memory. */
#ifndef TEP_HMAC_H
#define TEP_HMAC_H

#include <stddef.h>
#include <sys/uio.h>

#include "base/sha256_lanes.h"

enum { MAC_SIZE = SHA256_SIZE };

/* Fetch what HMAC needs, once a process, before any fork. 0 or -EIO. */
int hmac_prepare(void);

/* HMAC-SHA256 over the parts in turn. 0, -EIO or -EOVERFLOW. */
int hmac_sha256(const void *key, size_t key_size, const struct iovec *parts,
                int count, unsigned char mac[MAC_SIZE]);

/* The SHA-256 of a message. 0 or -EIO. */
int sha256_digest(const void *message, size_t size,
                  unsigned char digest[SHA256_SIZE]);

#endif
