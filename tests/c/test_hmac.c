/* SHA-256 of one message by each of its routines, and HMAC, beside the vectors of NIST and
 * the oracle. Built with ASan and UBSan by tests/test_c_core.py, for ARM by
 * .ci/test-arm. Prints a line for each test that has passed.
 *
 *   test_hmac oracle    print the oracle's digests, for Python to look at */
#include "base/hmac.h"
#include "base/processor.h"
#include "base/sha256_armv8.h"
#include "base/sha256_ni.h"
#include "base/sha256_portable.h"

#include "check.h"
#include "oracle.h"

enum {
    SIZES_END = 300, /* of a message that is tried with every length, bytes */
    BLOCKS_END = 40,
    KEYS_END = 200
};

typedef void routine(struct sha256_state *state, const unsigned char *data,
                     size_t blocks);

static routine *routines[3] = {sha256_alone, sha256_portable};
static size_t routine_count = 2;
static unsigned char noise[1 << 16];

/* Exactly so many bytes, for whoever reads on behind them to be caught. */
static unsigned char *
copy_of(const void *data, size_t size)
{
    unsigned char *copy = malloc(size > 0 ? size : 1);
    CHECK(copy != NULL);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    return copy;
}

/* The digest of what the oracle would have padded, by this routine. */
static void
digest_by(routine *go_on, unsigned char digest[SHA256_SIZE],
          const void *data, size_t size)
{
    unsigned char end[2 * SHA256_BLOCK];
    size_t over = size % SHA256_BLOCK;
    struct sha256_state state = sha256_start;
    unsigned char *copy = copy_of(data, size);
    go_on(&state, copy, size / SHA256_BLOCK);
    memcpy(end, copy + size - over, over);
    go_on(&state, end, (over + sha256_pad(end + over, size)) / SHA256_BLOCK);
    sha256_put(digest, &state);
    free(copy);
}

static void
every_routine_has_the_digest_of_every_length(void)
{
    for (size_t i = 0; i < routine_count; i++) {
        for (size_t size = 0; size <= BLOCKS_END * SHA256_BLOCK;
             size += size < SIZES_END ? 1 : 31) {
            unsigned char right[SHA256_SIZE], digest[SHA256_SIZE];
            oracle_digest(right, noise + size, size, NULL, 0);
            digest_by(routines[i], digest, noise + size, size);
            CHECK(memcmp(digest, right, SHA256_SIZE) == 0);
        }
    }
}

/* Eight blocks and more are treated in another way than fewer. */
static void
every_routine_goes_on_by_any_number_of_blocks(void)
{
    for (size_t i = 0; i < routine_count; i++) {
        for (size_t blocks = 0; blocks <= BLOCKS_END; blocks++) {
            unsigned char *copy = copy_of(noise, blocks * SHA256_BLOCK);
            struct sha256_state state = {{1, 2, 3, 4, 5, 6, 7, 8}};
            struct sha256_state right = state;
            oracle_find_constants();
            for (size_t k = 0; k < blocks; k++) {
                oracle_block(right.h, noise + k * SHA256_BLOCK);
            }
            routines[i](&state, copy, blocks);
            CHECK(memcmp(&state, &right, sizeof(state)) == 0);
            free(copy);
        }
    }
}

static void
to_bytes(unsigned char *to, const char *hex)
{
    for (; *hex != '\0'; hex += 2) {
        unsigned int byte;
        CHECK(sscanf(hex, "%2x", &byte) == 1);
        *to++ = (unsigned char)byte;
    }
}

/* 100,000 digests, each of the three before it.
 * Source: NIST's SHAVS, section 6.4, and its SHA256Monte.rsp. */
static void
every_routine_stands_the_monte_carlo_test_of_nist(void)
{
    for (size_t i = 0; i < routine_count; i++) {
        unsigned char last[4 * SHA256_SIZE], right[SHA256_SIZE];
        unsigned char *digest = last + 3 * SHA256_SIZE;
        to_bytes(digest, "6d1e72ad03ddeb5de891e572e2396f8d"
                         "a015d899ef0e79503152d6010a3fe691");
        for (int count = 0; count < 100; count++) {
            for (int k = 0; k < 3; k++) {
                memcpy(last + k * SHA256_SIZE, digest, SHA256_SIZE);
            }
            for (int k = 0; k < 1000; k++) {
                digest_by(routines[i], digest, last, 3 * SHA256_SIZE);
                memmove(last, last + SHA256_SIZE, 3 * SHA256_SIZE);
            }
            if (count == 0) {
                to_bytes(right, "e93c330ae5447738c8aa85d71a6c80f2"
                                "a58381d05872d26bdd39f1fcd4f2b788");
                CHECK(memcmp(digest, right, SHA256_SIZE) == 0);
            }
        }
        to_bytes(right, "6a912ba4188391a78e6f13d88ed2d14e"
                        "13afce9db6f7dcbf4a48c24f3db02778");
        CHECK(memcmp(digest, right, SHA256_SIZE) == 0);
    }
}

static void
a_message_may_be_cut_anywhere(void)
{
    for (size_t size = 0; size <= SIZES_END; size++) {
        unsigned char right[SHA256_SIZE], digest[SHA256_SIZE];
        oracle_digest(right, noise, size, NULL, 0);
        for (size_t cut = 0; cut <= size; cut++) {
            struct sha256 message = {.state = sha256_start};
            size_t second = (size - cut) / 3;
            sha256_add(&message, noise, cut);
            sha256_add(&message, noise + cut, second);
            sha256_add(&message, NULL, 0);
            sha256_add(&message, noise + cut + second, size - cut - second);
            sha256_end(&message, digest);
            CHECK(memcmp(digest, right, SHA256_SIZE) == 0);
        }
    }
}

static void
check_mac(size_t key_size, size_t size)
{
    unsigned char right[MAC_SIZE], mac[MAC_SIZE];
    unsigned char *key = copy_of(noise + 1000 + key_size, key_size);
    unsigned char *text = copy_of(noise + size, size);
    struct iovec parts[] = {{text, size / 3},
                            {text + size / 3, size - size / 3}};
    oracle_hmac(right, key, key_size, text, size);
    hmac_sha256(key_size > 0 ? key : NULL, key_size, parts, 2, mac);
    CHECK(memcmp(mac, right, MAC_SIZE) == 0);
    free(text);
    free(key);
}

static void
a_key_and_a_message_of_any_length_have_their_mac(void)
{
    for (size_t key_size = 0; key_size <= KEYS_END; key_size++) {
        for (size_t size = 0; size <= SIZES_END; size += 1 + size / 5) {
            check_mac(key_size, size);
        }
    }
    for (size_t size = 0; size <= SIZES_END; size++) {
        check_mac(SHA256_BLOCK - 1 + size % 3, size);
    }
}

static void
a_key_made_ready_is_used_again(void)
{
    struct hmac_key key;
    hmac_prepare(&key, noise, 77);
    for (size_t size = 0; size <= SIZES_END; size++) {
        unsigned char right[MAC_SIZE], mac[MAC_SIZE];
        struct sha256 inner = {key.inner, .length = SHA256_BLOCK};
        oracle_hmac(right, noise, 77, noise + size, size);
        sha256_add(&inner, noise + size, size);
        sha256_end(&inner, mac);
        hmac_end(&key, mac);
        CHECK(memcmp(mac, right, MAC_SIZE) == 0);
    }
}

static void
a_mac_that_differs_in_one_bit_is_another(void)
{
    for (int bit = 0; bit < 8 * MAC_SIZE; bit++) {
        unsigned char *mac = copy_of(noise, MAC_SIZE);
        CHECK(hmac_same(mac, noise));
        mac[bit / 8] ^= (unsigned char)(1 << bit % 8);
        CHECK(!hmac_same(mac, noise) && !hmac_same(noise, mac));
        free(mac);
    }
}

/* ------------------------------------------------------------------------- */

/* As tests/test_c_core.py has them: byte i of the message of so many bytes is i * 7 plus
 * their number, and of the key i * 5 plus theirs. */
static void
print_oracle(void)
{
    for (size_t size = 0; size <= SIZES_END; size++) {
        unsigned char text[SIZES_END], key[SIZES_END];
        size_t key_size = size % KEYS_END;
        char hex[2 * SHA256_SIZE + 1];
        for (size_t i = 0; i < SIZES_END; i++) {
            text[i] = (unsigned char)(i * 7 + size);
            key[i] = (unsigned char)(i * 5 + key_size);
        }
        oracle_hex(hex, NULL, 0, text, size);
        printf("%s ", hex);
        oracle_hex(hex, key, key_size, text, size);
        printf("%s\n", hex);
    }
}

#if defined(WITH_SHA_NI)
static void
ni_one(struct sha256_state *state, const unsigned char *data, size_t blocks)
{
    sha256_ni_one(&state, &data, blocks);
}
#elif defined(WITH_ARM_SHA2)
static void
armv8_one(struct sha256_state *state, const unsigned char *data, size_t blocks)
{
    sha256_armv8_one(&state, &data, blocks);
}
#endif

int
main(int count, char **arguments)
{
    static const struct test tests[] = {
        TEST(every_routine_has_the_digest_of_every_length),
        TEST(every_routine_goes_on_by_any_number_of_blocks),
        TEST(every_routine_stands_the_monte_carlo_test_of_nist),
        TEST(a_message_may_be_cut_anywhere),
        TEST(a_key_and_a_message_of_any_length_have_their_mac),
        TEST(a_key_made_ready_is_used_again),
        TEST(a_mac_that_differs_in_one_bit_is_another),
    };
    if (count > 1 && strcmp(arguments[1], "oracle") == 0) {
        print_oracle();
        return 0;
    }
#if defined(WITH_SHA_NI)
    if (processor_has(SHA_NI)) {
        routines[routine_count++] = ni_one;
    }
#elif defined(WITH_ARM_SHA2)
    if (processor_has(ARM_SHA2)) {
        routines[routine_count++] = armv8_one;
    }
#endif
    for (size_t i = 0; i < sizeof(noise); i++) {
        noise[i] = (unsigned char)(i * i * 31 + (i >> 7) * 13 + i);
    }
    run_tests(tests, sizeof(tests) / sizeof(*tests));
    return 0;
}
