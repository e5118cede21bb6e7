/* HMAC-SHA256 of what is in memory.
 *
 * Source: RFC 2104, section 2. */
#include "base/hmac.h"

#include <string.h>

/* The state after the block that the key makes with `pad`. */
static struct sha256_state
after_key(const unsigned char key[SHA256_BLOCK], unsigned char pad)
{
    unsigned char block[SHA256_BLOCK];
    struct sha256_state state = sha256_start;
    for (int i = 0; i < SHA256_BLOCK; i++) {
        block[i] = key[i] ^ pad;
    }
    sha256_alone(&state, block, 1);
    explicit_bzero(block, sizeof(block));
    return state;
}

void
hmac_prepare(struct hmac_key *prepared, const void *key, size_t size)
{
    unsigned char block[SHA256_BLOCK] = {0};
    if (size > sizeof(block)) {
        struct sha256 whole = {.state = sha256_start};
        sha256_add(&whole, key, size);
        sha256_end(&whole, block);
        explicit_bzero(&whole, sizeof(whole));
    }
    else if (size > 0) { /* else it may be NULL */
        memcpy(block, key, size);
    }
    prepared->inner = after_key(block, 0x36);
    prepared->outer = after_key(block, 0x5c);
    explicit_bzero(block, sizeof(block));
}

void
hmac_end(const struct hmac_key *prepared, unsigned char digest[MAC_SIZE])
{
    struct sha256 outer = {prepared->outer, .length = SHA256_BLOCK};
    sha256_add(&outer, digest, SHA256_SIZE);
    sha256_end(&outer, digest);
}

void
hmac_sha256(const void *key, size_t key_size, const struct iovec *parts,
            int count, unsigned char mac[MAC_SIZE])
{
    struct hmac_key prepared;
    hmac_prepare(&prepared, key, key_size);
    struct sha256 inner = {prepared.inner, .length = SHA256_BLOCK};
    for (int i = 0; i < count; i++) {
        sha256_add(&inner, parts[i].iov_base, parts[i].iov_len);
    }
    sha256_end(&inner, mac);
    hmac_end(&prepared, mac);
    explicit_bzero(&prepared, sizeof(prepared));
    explicit_bzero(&inner, sizeof(inner));
}

bool
hmac_same(const void *mac, const void *other)
{
    /* volatile: each byte is looked at, whatever those before it were */
    const volatile unsigned char *a = mac, *b = other;
    unsigned int differ = 0;
    for (int i = 0; i < MAC_SIZE; i++) {
        differ |= (unsigned int)(a[i] ^ b[i]);
    }
    return differ == 0;
}
