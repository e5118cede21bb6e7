/* SHA-256 and HMAC as their standards write them down, for tests to compare with. Nothing
 * of csrc is in it. tests/test_c_core.py compares it with hashlib and hmac.
 *
 * Source: FIPS 180-4, sections 4.1.2, 4.2.2, 5 and 6.2; RFC 2104, section 2. */
#ifndef TEP_ORACLE_H
#define TEP_ORACLE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first 32 bits of the fractional part of a prime's square root or cube root: the
 * largest r with r^power <= prime * 2^(32 * power), without its whole part. */
static uint32_t
oracle_root(uint32_t prime, int power)
{
    uint64_t root = 0;
    for (uint64_t bit = UINT64_C(1) << 36; bit > 0; bit >>= 1) {
        __extension__ unsigned __int128 product = 1, most = prime;
        for (int i = 0; i < power; i++) {
            product *= root | bit;
            most <<= 32;
        }
        root |= product <= most ? bit : 0;
    }
    return (uint32_t)root;
}

static uint32_t oracle_k[64], oracle_start[8];

static void
oracle_find_constants(void)
{
    uint32_t prime = 2;
    for (int i = oracle_k[0] != 0 ? 64 : 0; i < 64; prime++) {
        uint32_t divisor = 2;
        while (prime % divisor != 0) {
            divisor++;
        }
        if (divisor == prime) {
            if (i < 8) {
                oracle_start[i] = oracle_root(prime, 2);
            }
            oracle_k[i++] = oracle_root(prime, 3);
        }
    }
}

/* Else nothing would be as slow as this. */
#define ORACLE_UNCHECKED __attribute__((no_sanitize("address", "undefined")))

ORACLE_UNCHECKED static inline uint32_t
oracle_rotr(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

ORACLE_UNCHECKED static void
oracle_block(uint32_t hash[8], const unsigned char *block)
{
    uint32_t w[64], v[8];
    for (int t = 0; t < 64; t++) {
        if (t < 16) {
            w[t] = (uint32_t)block[4 * t] << 24 |
                   (uint32_t)block[4 * t + 1] << 16 |
                   (uint32_t)block[4 * t + 2] << 8 | block[4 * t + 3];
        }
        else {
            uint32_t x = w[t - 15], y = w[t - 2];
            w[t] = (oracle_rotr(y, 17) ^ oracle_rotr(y, 19) ^ y >> 10) +
                   w[t - 7] +
                   (oracle_rotr(x, 7) ^ oracle_rotr(x, 18) ^ x >> 3) +
                   w[t - 16];
        }
    }
    memcpy(v, hash, sizeof(v));
    for (int t = 0; t < 64; t++) { /* a is v[-t mod 8], b the next one, and so on */
        uint32_t a = v[(64 - t) % 8], b = v[(65 - t) % 8], c = v[(66 - t) % 8];
        uint32_t e = v[(68 - t) % 8], f = v[(69 - t) % 8], g = v[(70 - t) % 8];
        uint32_t *h = &v[(71 - t) % 8];
        *h += (oracle_rotr(e, 6) ^ oracle_rotr(e, 11) ^ oracle_rotr(e, 25)) +
              ((e & f) ^ (~e & g)) + oracle_k[t] + w[t];
        v[(67 - t) % 8] += *h;
        *h += (oracle_rotr(a, 2) ^ oracle_rotr(a, 13) ^ oracle_rotr(a, 22)) +
              ((a & b) ^ (a & c) ^ (b & c));
    }
    for (int i = 0; i < 8; i++) {
        hash[i] += v[i];
    }
}

/* The digest of one part and, behind it, another. */
static void
oracle_digest(unsigned char digest[32], const void *first, size_t first_size,
              const void *second, size_t second_size)
{
    uint64_t size = (uint64_t)first_size + second_size;
    size_t whole = (size_t)(size + 9 + 63) / 64 * 64;
    unsigned char *text = calloc(1, whole);
    uint32_t hash[8];
    oracle_find_constants();
    if (text == NULL) {
        abort();
    }
    if (first_size > 0) {
        memcpy(text, first, first_size);
    }
    if (second_size > 0) {
        memcpy(text + first_size, second, second_size);
    }
    text[size] = 0x80;
    for (int i = 0; i < 8; i++) {
        text[whole - 1 - (size_t)i] = (unsigned char)(size * 8 >> 8 * i);
    }
    memcpy(hash, oracle_start, sizeof(hash));
    for (size_t at = 0; at < whole; at += 64) {
        oracle_block(hash, text + at);
    }
    for (int i = 0; i < 32; i++) {
        digest[i] = (unsigned char)(hash[i / 4] >> (24 - i % 4 * 8));
    }
    free(text);
}

static void
oracle_hmac(unsigned char mac[32], const void *key, size_t key_size,
            const void *data, size_t size)
{
    unsigned char inner[64] = {0}, outer[64];
    if (key_size > 64) {
        oracle_digest(inner, key, key_size, NULL, 0);
    }
    else if (key_size > 0) {
        memcpy(inner, key, key_size);
    }
    for (int i = 0; i < 64; i++) {
        outer[i] = inner[i] ^ 0x5c;
        inner[i] ^= 0x36;
    }
    oracle_digest(mac, inner, 64, data, size);
    oracle_digest(mac, outer, 64, mac, 32);
}

/* The HMAC of the data in hexadecimal; without a key its SHA-256. */
static inline void
oracle_hex(char hex[65], const void *key, size_t key_size, const void *data,
           size_t size)
{
    unsigned char digest[32];
    if (key == NULL) {
        oracle_digest(digest, data, size, NULL, 0);
    }
    else {
        oracle_hmac(digest, key, key_size, data, size);
    }
    for (size_t i = 0; i < sizeof(digest); i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    }
}

#endif
