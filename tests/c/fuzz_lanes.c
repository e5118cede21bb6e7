/* Messages, cut anywhere and gone on with together or alone: whichever way
 * that was, each must have the digest of oracle.h. With clang a target for libFuzzer:
 *
 *   make fuzz
 *
 * Else a program that makes so many random inputs: fuzz_lanes 20000. */
#include "base/sha256_choice.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "oracle.h"

enum {
    LENGTH_SIZE = 8, /* of what ends a padding, bytes */
    HEAD_SIZE = 1 + LANES_MOST,
    STEP_SIZE = 3
};

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

/* Those of the group go on by `most` blocks, or what there is for all of them.
 * A NULL kernel: each alone. */
static void
go_on(const struct sha256_kernel *kernel, struct message *const group[],
      uint32_t count, size_t most)
{
    struct sha256_state *states[LANES_MOST] = {0};
    const unsigned char *data[LANES_MOST] = {0};
    size_t blocks = most;
    for (uint32_t i = 0; i < count; i++) {
        size_t left = group[i]->blocks;
        blocks = left < blocks ? left : blocks;
        states[i] = &group[i]->state;
        data[i] = group[i]->at;
    }
    if (kernel != NULL && count > 0) {
        sha256_go_on(kernel, states, data, count, blocks);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (kernel == NULL) {
            sha256_alone(states[i], data[i], blocks);
        }
        group[i]->at += blocks * SHA256_BLOCK;
        group[i]->blocks -= blocks;
    }
}

/* See that it has the digest of those bytes, and let go of it. */
static void
end(struct message *message, const uint8_t *data, size_t size)
{
    unsigned char right[SHA256_SIZE];
    oracle_digest(right, data, size, NULL, 0);
    if (message->blocks != 0) {
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

/* Of the messages that `mask` names and that are not at their end, at most so
 * many; with `backwards` the last ones, from the last. */
static uint32_t
pick(struct message *group[LANES_MOST], struct message messages[LANES_MOST],
     uint32_t mask, bool backwards, uint32_t most)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < LANES_MOST && count < most; i++) {
        uint32_t at = backwards ? LANES_MOST - 1 - i : i;
        if ((mask >> at & 1) != 0 && messages[at].blocks > 0) {
            group[count++] = &messages[at];
        }
    }
    return count;
}

/* Each step is three bytes: who goes on, by how many blocks at most, how. */
static void
digest_all(const struct sha256_kernel *kernel, const uint8_t *steps,
           size_t count, const uint8_t *data, const size_t cuts[])
{
    struct message messages[LANES_MOST], *group[LANES_MOST];
    for (size_t i = 0; i < LANES_MOST; i++) {
        size_t size = cuts[i + 1] - cuts[i];
        messages[i] = message_of(data + cuts[i], size, (i + size) % 16);
    }
    for (; count > 0; count--, steps += STEP_SIZE) {
        uint32_t mask = steps[0] | (uint32_t)steps[1] << 8;
        bool backwards = (steps[2] & 1) != 0, alone = (steps[2] & 6) == 6;
        uint32_t n = pick(group, messages, mask, backwards, kernel->lanes);
        go_on(alone ? NULL : kernel, group, n, steps[2] / 8);
    }
    uint32_t n;
    do {
        n = pick(group, messages, UINT32_MAX, false, kernel->lanes);
        go_on(kernel, group, n, SIZE_MAX);
    } while (n > 0);
    for (size_t i = 0; i < LANES_MOST; i++) {
        end(&messages[i], data + cuts[i], cuts[i + 1] - cuts[i]);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"avx512", "sha-ni", "armv8", "alone",
                                        "portable", ""};
    if (size < HEAD_SIZE) {
        return 0;
    }
    size_t left = size - HEAD_SIZE;
    size_t count = data[0] % 32u;
    count = left / STEP_SIZE < count ? left / STEP_SIZE : count;
    const uint8_t *steps = data + HEAD_SIZE;
    const uint8_t *text = steps + count * STEP_SIZE;
    left -= count * STEP_SIZE;
    /* Each takes a part of what the ones before it have left. */
    size_t cuts[LANES_MOST + 1] = {0};
    for (size_t i = 0; i < LANES_MOST; i++) {
        cuts[i + 1] = cuts[i] + (left - cuts[i]) * data[1 + i] / 255;
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        struct sha256_kernel kernel;
        if (sha256_choose(&kernel, names[i], LANES_MOST)) {
            digest_all(&kernel, steps, count, text, cuts);
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
        /* Else the first few messages would take it all. */
        for (size_t i = 1; i < HEAD_SIZE && i < size; i++) {
            data[i] /= 8;
        }
        (void)LLVMFuzzerTestOneInput(data, size);
    }
    return 0;
}
#endif
