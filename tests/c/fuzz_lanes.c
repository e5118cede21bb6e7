/* Two messages, cut anywhere and gone on with together or alone: whichever way
 * that was, each must have OpenSSL's digest. With clang a libFuzzer target:
 *
 *   clang -std=c11 -D_GNU_SOURCE -DWITH_LIBFUZZER -g -O1 \
 *       -fsanitize=fuzzer,address,undefined -Icsrc csrc/sha256_lanes.c \
 *       tests/c/fuzz_lanes.c -lcrypto -o build/fuzz_lanes
 *
 * Else a program that makes so many random inputs: fuzz_lanes 20000. */
#include "sha256_lanes.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

enum { LENGTH_SIZE = 8 }; /* of what ends a padding, bytes */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct message {
    unsigned char *memory;   /* malloc: whoever reads on behind it is caught */
    const unsigned char *at; /* in it, and so many blocks are left */
    size_t blocks;
    struct sha256_state state;
};

/* A message with its padding; `skew` bytes off what malloc would align.
 * Source: FIPS 180-4, section 5.1.1. */
static struct message
message_of(const uint8_t *data, size_t size, size_t skew)
{
    size_t blocks = (size + 1 + LENGTH_SIZE + SHA256_BLOCK - 1) / SHA256_BLOCK;
    unsigned char *memory = calloc(1, skew + blocks * SHA256_BLOCK);
    if (memory == NULL) {
        abort();
    }
    unsigned char *at = memory + skew;
    unsigned char *last = at + blocks * SHA256_BLOCK - 1;
    memcpy(at, data, size);
    at[size] = 0x80;
    for (size_t i = 0; i < LENGTH_SIZE; i++) {
        last[-(ptrdiff_t)i] = (unsigned char)((uint64_t)size * 8 >> 8 * i);
    }
    return (struct message){memory, at, blocks, sha256_start};
}

static void
advance(struct message *message, size_t blocks)
{
    message->at += blocks * SHA256_BLOCK;
    message->blocks -= blocks;
}

static void
go_on_both(const struct sha256_kernel *kernel, struct message *first,
           struct message *second, size_t most)
{
    struct sha256_state *states[] = {&first->state, &second->state};
    const unsigned char *data[] = {first->at, second->at};
    size_t blocks = first->blocks < most ? first->blocks : most;
    blocks = second->blocks < blocks ? second->blocks : blocks;
    for (uint32_t lane = 0; lane < 2; lane += kernel->lanes) {
        kernel->go_on(states + lane, data + lane, blocks);
    }
    advance(first, blocks);
    advance(second, blocks);
}

static void
go_on_alone(struct message *message, size_t most)
{
    size_t blocks = message->blocks < most ? message->blocks : most;
    sha256_alone(&message->state, message->at, blocks);
    advance(message, blocks);
}

/* See that it has the digest of those bytes, and let go of it. */
static void
end(struct message *message, const uint8_t *data, size_t size)
{
    unsigned char right[SHA256_SIZE];
    if (message->blocks != 0 ||
        EVP_Digest(data, size, right, NULL, EVP_sha256(), NULL) != 1) {
        abort();
    }
    for (int i = 0; i < SHA256_SIZE; i++) {
        if (right[i] !=
            (message->state.h[i / 4] >> (24 - i % 4 * 8) & 0xff)) {
            abort();
        }
    }
    free(message->memory);
}

/* Each step is a byte: who goes on, and by how many blocks at most. */
static void
digest_both(const struct sha256_kernel *kernel, const uint8_t *steps,
            size_t count, const uint8_t *data, size_t cut, size_t size,
            uint8_t skews)
{
    struct message left = message_of(data, cut, skews % 16);
    struct message right = message_of(data + cut, size - cut, skews / 16);
    for (size_t i = 0; i < count; i++) {
        size_t most = steps[i] / 4 % 16;
        switch (steps[i] % 4) {
        case 0:
            go_on_both(kernel, &left, &right, most);
            break;
        case 1:
            go_on_both(kernel, &right, &left, most);
            break;
        case 2:
            go_on_alone(&left, most);
            break;
        default:
            go_on_alone(&right, most);
            break;
        }
    }
    go_on_both(kernel, &left, &right, SIZE_MAX);
    go_on_alone(&left, SIZE_MAX);
    go_on_alone(&right, SIZE_MAX);
    end(&left, data, cut);
    end(&right, data + cut, size - cut);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { HEAD = 4 };
    static const char *const names[] = {"sha-ni", "armv8", "openssl"};
    if (size < HEAD) {
        return 0;
    }
    size_t left = size - HEAD;
    size_t count = left < data[0] % 32u ? left : data[0] % 32u;
    const uint8_t *steps = data + HEAD, *text = steps + count;
    left -= count;
    size_t cut = (data[1] * (size_t)256 + data[2]) % (left + 1);
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        const struct sha256_kernel *kernel = sha256_kernel(names[i]);
        if (kernel != NULL) {
            digest_both(kernel, steps, count, text, cut, left, data[3]);
        }
    }
    return 0;
}

#ifndef WITH_LIBFUZZER
int
main(int count, char **arguments)
{
    static uint8_t data[4096];
    long left = count > 1 ? atol(arguments[1]) : 1000;
    for (; left > 0; left--) {
        size_t size = (size_t)rand() % (sizeof(data) + 1);
        for (size_t i = 0; i < size; i++) {
            data[i] = (uint8_t)rand();
        }
        (void)LLVMFuzzerTestOneInput(data, size);
    }
    return 0;
}
#endif
