/* SHA-256 of several messages at once, and HMAC of files, beside oracle.h's.
 * Built with ASan and UBSan by tests/test_c_core.py, for ARM by .ci/test-arm.
 * Prints a line for each test that has passed.
 *
 *   test_lanes kernels    print those that this processor has, and no more
 *   test_lanes SEED       with the random numbers of a run that has failed */
#include "base/cdef.h"
#include "base/sha256_choice.h"
#include "digest/child.h"
#include "digest/file.h"
#include "host/call.h"
#include "host/open.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>


enum {
    LENGTH_SIZE = 8,  /* of what ends a padding, bytes */
    SHORTS_END = 4096,
    LONGS_END = 100000,
    KEYS_END = 200,
    FILE_END = (2 << 20) + 70000,
    HEX_SIZE = 2 * SHA256_SIZE + 1
};

static char root[] = "/tmp/tep_lanes_XXXXXX";
static uint64_t seed;
static unsigned char noise[FILE_END + KEYS_END]; /* for messages and keys */
static struct sha256_kernel kernels[6]; /* by name, and the one that is measured */
static const char *wanted[6]; /* their names as they are asked for */
static size_t kernel_count;

#define CHECK(condition)                                                      \
    do {                                                                      \
        if (!(condition)) {                                                   \
            fprintf(stderr, "%s:%d: %s (seed %" PRIu64 ")\n", __FILE__,       \
                    __LINE__, #condition, seed);                              \
            _exit(1);                                                         \
        }                                                                     \
    } while (0)

#include "check.h"
#include "oracle.h"

/* --- What the linker puts in the place of libc's -------------------------- */

static bool interrupted;        /* the next open is, by a signal */
static const char *to_cut = ""; /* a file that is cut when it is mapped... */
static off_t cut_to; /* ...to so many bytes; -1: nothing can be seen of it */
static const char *hanging = ""; /* a file whose disk does not answer */

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
void *__real_mmap(void *at, size_t size, int rights, int flags, int fd,
                  off_t offset);
void *__wrap_mmap(void *at, size_t size, int rights, int flags, int fd,
                  off_t offset);

int __real_stat(const char *path, struct stat *st);
int __wrap_stat(const char *path, struct stat *st);

static void
hang_with(const char *path)
{
    while (strcmp(path, hanging) == 0) {
        (void)pause();
    }
}

int
__wrap_stat(const char *path, struct stat *st)
{
    hang_with(path);
    return __real_stat(path, st);
}

int
__wrap_open(const char *path, int flags, ...)
{
    hang_with(path);
    va_list more;
    va_start(more, flags);
    int mode = (flags & O_CREAT) != 0 ? va_arg(more, int) : 0;
    va_end(more);
    if (interrupted) {
        interrupted = false;
        errno = EINTR;
        return -1;
    }
    return __real_open(path, flags, mode);
}

int __real_openat(int folder, const char *path, int flags, ...);
int __wrap_openat(int folder, const char *path, int flags, ...);
static int from_folders; /* files that were opened from where they are */

int
__wrap_openat(int folder, const char *path, int flags, ...)
{
    const char *slash = strrchr(hanging, '/');
    if (slash != NULL && strcmp(path, slash + 1) == 0) {
        hang_with(hanging);
    }
    from_folders++;
    return __real_openat(folder, path, flags);
}

void *
__wrap_mmap(void *at, size_t size, int rights, int flags, int fd, off_t offset)
{
    char link[64], path[PATH_MAX] = "";
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    if (fd >= 0 && readlink(link, path, sizeof(path) - 1) > 0 &&
        strcmp(path, to_cut) == 0) {
        if (cut_to < 0) { /* as where a disk cannot be read */
            offset = SECOND / READ_SIZE * READ_SIZE;
        }
        else {
            CHECK(truncate(path, cut_to) == 0);
        }
    }
    return __real_mmap(at, size, rights, flags, fd, offset);
}

/* --- Messages ------------------------------------------------------------ */

/* A number below `end`. Source: Vigna's splitmix64. */
static size_t
random_below(size_t end)
{
    static uint64_t state;
    if (state == 0) {
        state = seed;
    }
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (size_t)((z ^ (z >> 31)) % end);
}

struct message {
    unsigned char *memory;   /* malloc: whoever reads on behind it is caught */
    const unsigned char *at; /* in it, and so many blocks are left */
    size_t blocks;
    struct sha256_state state;
};

/* A message with its padding, not written by the library. Where it begins need
 * not be aligned: nobody has promised a kernel that.
 * Source: FIPS 180-4, section 5.1.1. */
static struct message
begin(const void *data, size_t size)
{
    size_t skew = size % 16;
    size_t zeros = (55 - size) % SHA256_BLOCK; /* SIZE_MAX + 1 is a multiple */
    size_t whole = size + 1 + zeros + LENGTH_SIZE;
    CHECK(whole % SHA256_BLOCK == 0);
    unsigned char *memory = malloc(skew + whole);
    CHECK(memory != NULL);
    unsigned char *to = memory + skew;
    memcpy(to, data, size);
    to += size;
    *to++ = 0x80;
    memset(to, 0, zeros);
    to += zeros;
    for (int bits = 56; bits >= 0; bits -= 8) {
        *to++ = (unsigned char)((uint64_t)size * 8 >> bits);
    }
    return (struct message){
        .memory = memory,
        .at = memory + skew,
        .blocks = whole / SHA256_BLOCK,
        .state = sha256_start,
    };
}

/* Those of the group go on by `most` blocks, or what there is for all. */
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
    sha256_go_on(kernel, states, data, count, blocks);
    for (uint32_t i = 0; i < count; i++) {
        group[i]->at += blocks * SHA256_BLOCK;
        group[i]->blocks -= blocks;
    }
}

static void
go_on_alone(struct message *message, size_t most)
{
    size_t blocks = message->blocks < most ? message->blocks : most;
    sha256_alone(&message->state, message->at, blocks);
    message->at += blocks * SHA256_BLOCK;
    message->blocks -= blocks;
}

/* All together until one has ended, then the others; the last one, alone. */
static void
go_on_to_the_end(const struct sha256_kernel *kernel,
                 struct message messages[], uint32_t count)
{
    struct message *group[LANES_MOST];
    uint32_t going;
    do {
        going = 0;
        for (uint32_t i = 0; i < count; i++) {
            if (messages[i].blocks > 0) {
                group[going++] = &messages[i];
            }
        }
        if (going == 1) {
            go_on_alone(group[0], SIZE_MAX);
        }
        else if (going > 1) {
            go_on(kernel, group, going, SIZE_MAX);
        }
    } while (going > 1);
}

/* See that its digest is that, and let go of it. */
static void
end_with(struct message *message, const char *right)
{
    char hex[HEX_SIZE];
    CHECK(message->blocks == 0);
    for (size_t i = 0; i < 8; i++) {
        (void)snprintf(hex + 8 * i, 9, "%08" PRIx32, message->state.h[i]);
    }
    CHECK(strcmp(hex, right) == 0);
    free(message->memory);
}

static void
end_as_the_oracle(struct message *message, const void *data, size_t size)
{
    char right[HEX_SIZE];
    oracle_hex(right, NULL, 0, data, size);
    end_with(message, right);
}

/* --- Kernels ------------------------------------------------------------- */

static void
kernels_are_found_by_name(void)
{
    struct sha256_kernel kernel;
    CHECK(!sha256_choose(&kernel, "nonsense", 1));
    CHECK(!sha256_choose(&kernel, "sha-n", LANES_MOST));
    CHECK(sha256_choose(&kernel, "alone", LANES_MOST) && kernel.lanes == 1);
    CHECK(sphttp_sha256_kernel("nonsense") == NULL);
    for (size_t i = 0; i < kernel_count; i++) {
        CHECK(kernels[i].lanes >= 1 && kernels[i].lanes <= LANES_MOST);
        CHECK(strcmp(sphttp_sha256_kernel(wanted[i]), kernels[i].name) == 0);
    }
}

/* What is measured is kept. */
static void
a_kernel_is_chosen_once(void)
{
    struct sha256_kernel first = kernels[kernel_count - 1], second;
    CHECK(sha256_choose(&second, "", LANES_MOST));
    CHECK(strcmp(first.name, second.name) == 0);
    CHECK(first.lanes == second.lanes);
    CHECK(memcmp(first.unit, second.unit, sizeof(first.unit)) == 0);
    CHECK(sha256_choose(&second, "", 1)); /* is this one, too */
    CHECK(memcmp(first.unit, second.unit, sizeof(first.unit)) == 0);
}

static void
a_kernel_says_how_it_goes_on(void)
{
    for (size_t i = 0; i < kernel_count; i++) {
        CHECK(sphttp_sha256_lanes(wanted[i], 0) == kernels[i].lanes);
        CHECK(sphttp_sha256_lanes(wanted[i], 1) >= 1);
        for (uint32_t count = 1; count <= kernels[i].lanes; count++) {
            uint32_t first = sphttp_sha256_lanes(wanted[i], count);
            CHECK(first >= 1 && first <= LANES_MOST);
            CHECK(sphttp_sha256_time(wanted[i], count) > 0);
        }
        CHECK(sphttp_sha256_time(wanted[i], 0) == -EINVAL);
        CHECK(sphttp_sha256_time(wanted[i], LANES_MOST + 1) == -EINVAL);
    }
    CHECK(sphttp_sha256_lanes("nonsense", 1) == 0);
    CHECK(sphttp_sha256_time("nonsense", 1) == -EINVAL);
}

/* Vectors of NIST: the examples of FIPS 180-4, short messages of the SHAVS,
 * and the additional ones beside the examples. */
struct vector {
    size_t size;
    const char *text; /* of one byte: it is repeated */
    const char *digest;
};

static const struct vector vectors[] = {
    {0, "", "e3b0c44298fc1c149afbf4c8996fb924"
            "27ae41e4649b934ca495991b7852b855"},
    {3, "abc", "ba7816bf8f01cfea414140de5dae2223"
               "b00361a396177a9cb410ff61f20015ad"},
    {56, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {112,
     "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
     "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
     "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
    {1, "\xd3",
     "28969cdfa74a12c82f3bad960b0b000aca2ac329deea5c2328ebc6f2ba9802c1"},
    {2, "\x11\xaf",
     "5ca7133fa735326081558ac312c620eeca9970d1e70a4b95533d956f072d1f98"},
    {3, "\xb4\x19\x0e",
     "dff2e73091f6c05e528896c4c831b9448653dc2ff043528f6769437bc7b975c2"},
    {4, "\x74\xba\x25\x21",
     "b16aa56be3880d18cd41e68384cf1ec8c17680c45a02b1575dc1518923ae8b0e"},
    {1, "\xbd",
     "68325720aabd7c82f30f554b313d0570c95accbb7dc4b5aae11204c08ffe732b"},
    {4, "\xc9\x8c\x8e\x55",
     "7abc22c0ae5af26ce93dbb94433a0e0b2e119d014f8e7f65bd56c61ccccd9504"},
    {55, "\0",
     "02779466cdec163811d078815c633f21901413081449002f24aa3e80f0b88ef7"},
    {56, "\0",
     "d4817aa5497628e7c77e6b606107042bbba3130888c5f47a375e6179be789fbb"},
    {57, "\0",
     "65a16cb7861335d5ace3c60718b5052e44660726da4cd13bb745381b235a1785"},
    {64, "\0",
     "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b"},
    {1000, "\0",
     "541b3e9daa09b20bf85fa273e5cbd3e80185aa4ec298e765db87742b70138a53"},
    {1000, "A",
     "c2e686823489ced2017f6059b8b239318b6364f6dcd835d0a519105a1eadd6e4"},
    {1005, "U",
     "f4d62ddec0f3dd90ea1380fa16a5ff8dc4c54b21740650f24afc4120903552b0"},
    {1000000, "a",
     "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
    {1000000, "\0",
     "d29751f2649b32ff572b5e0a9f541ea660a50f94ff0beedfb0b692b924cc8025"},
};

static struct message
begin_vector(const struct vector *vector)
{
    static unsigned char text[1000000];
    CHECK(vector->size <= sizeof(text));
    if (vector->size > 1 && vector->text[1] == '\0') {
        memset(text, vector->text[0], vector->size);
    }
    else {
        memcpy(text, vector->text, vector->size);
    }
    return begin(text, vector->size);
}

/* In groups of every size, and every one of them in every lane. */
static void
every_kernel_has_the_digests_of_nist(void)
{
    enum { VECTORS = sizeof(vectors) / sizeof(*vectors) };
    for (size_t i = 0; i < kernel_count * VECTORS; i++) {
        const struct sha256_kernel *kernel = &kernels[i / VECTORS];
        for (uint32_t count = 1; count <= kernel->lanes; count++) {
            struct message messages[LANES_MOST];
            for (uint32_t lane = 0; lane < count; lane++) {
                messages[lane] = begin_vector(&vectors[(i + lane) % VECTORS]);
            }
            if (count == 1) { /* by the kernel, not round it */
                go_on(kernel, (struct message *[]){messages}, 1, SIZE_MAX);
            }
            go_on_to_the_end(kernel, messages, count);
            for (uint32_t lane = 0; lane < count; lane++) {
                end_with(&messages[lane],
                         vectors[(i + lane) % VECTORS].digest);
            }
        }
    }
}

/* Messages that differ even where they are as long; each is longer than the
 * one before it by `step` bytes, or begins anew. */
static void
check_group(const struct sha256_kernel *kernel, uint32_t count, size_t size,
            size_t step)
{
    struct message messages[LANES_MOST];
    for (uint32_t i = 0; i < count; i++) {
        messages[i] = begin(noise + i * SHORTS_END,
                            (size + i * step) % (SHORTS_END + 1));
    }
    if (count == 1) {
        go_on(kernel, (struct message *[]){messages}, 1, SIZE_MAX);
    }
    go_on_to_the_end(kernel, messages, count);
    for (uint32_t i = 0; i < count; i++) {
        end_as_the_oracle(&messages[i], noise + i * SHORTS_END,
                       (size + i * step) % (SHORTS_END + 1));
    }
}

/* Each is in every lane, beside others of nearly its length, so that it stays
 * there to its end, and beside others that are longer and shorter. */
static void
every_length_is_right_in_every_lane(void)
{
    for (size_t i = 0; i < kernel_count; i++) {
        for (size_t size = 0; size <= SHORTS_END; size++) {
            check_group(&kernels[i], kernels[i].lanes, size, 1);
            check_group(&kernels[i], kernels[i].lanes, size, 1777);
        }
    }
}

static void
as_many_lanes_may_be_used_as_there_are_messages(void)
{
    for (size_t i = 0; i < kernel_count; i++) {
        for (uint32_t count = 1; count <= kernels[i].lanes; count++) {
            for (size_t size = 0; size <= 4 * SHA256_BLOCK; size++) {
                check_group(&kernels[i], count, size, 0);
            }
        }
    }
}

static void
no_block_changes_nothing(void)
{
    for (size_t i = 0; i < kernel_count; i++) {
        for (uint32_t count = 1; count <= kernels[i].lanes; count++) {
            struct message messages[LANES_MOST], *group[LANES_MOST];
            for (uint32_t lane = 0; lane < count; lane++) {
                group[lane] = &messages[lane];
                messages[lane] = begin("abc", 3);
                messages[lane].state.h[lane % 8] = lane;
            }
            go_on(&kernels[i], group, count, 0);
            for (uint32_t lane = 0; lane < count; lane++) {
                struct sha256_state right = sha256_start;
                right.h[lane % 8] = lane;
                CHECK(memcmp(&messages[lane].state, &right,
                             sizeof(right)) == 0);
                CHECK(messages[lane].blocks == 1);
                free(messages[lane].memory);
            }
        }
    }
}

/* All lanes may go on with the same bytes: that is one message, often. */
static void
all_lanes_may_have_the_same_data(void)
{
    for (size_t i = 0; i < kernel_count; i++) {
        uint32_t lanes = kernels[i].lanes;
        struct message messages[LANES_MOST], *group[LANES_MOST];
        struct message message = begin(noise, SHORTS_END);
        for (uint32_t lane = 0; lane < lanes; lane++) {
            messages[lane] = message;
            group[lane] = &messages[lane];
        }
        go_on(&kernels[i], group, lanes, SIZE_MAX);
        for (uint32_t lane = 1; lane < lanes; lane++) {
            CHECK(memcmp(&messages[0].state, &messages[lane].state,
                         sizeof(messages[0].state)) == 0);
        }
        end_as_the_oracle(&messages[0], noise, SHORTS_END);
    }
}

/* Some of those that have not ended, in any order. How many. */
static uint32_t
pick(struct message *group[LANES_MOST], struct message messages[LANES_MOST],
     uint32_t most)
{
    uint32_t going = 0;
    for (uint32_t i = 0; i < LANES_MOST; i++) {
        if (messages[i].blocks > 0) {
            uint32_t place = (uint32_t)random_below(going + 1);
            group[going++] = group[place];
            group[place] = &messages[i];
        }
    }
    most = going < most ? going : most;
    return most > 0 ? 1 + (uint32_t)random_below(most) : 0;
}

/* In pieces: in this lane or that, beside these or those, and alone. */
static void
a_message_goes_from_lanes_to_alone_and_back(void)
{
    enum { GROUPS = 25 };
    for (size_t i = 0; i < GROUPS * kernel_count; i++) {
        const struct sha256_kernel *kernel = &kernels[i / GROUPS];
        const unsigned char *text[LANES_MOST];
        size_t size[LANES_MOST];
        struct message messages[LANES_MOST], *group[LANES_MOST] = {0};
        for (size_t k = 0; k < LANES_MOST; k++) {
            size[k] = random_below(LONGS_END + 1);
            text[k] = noise + random_below(LONGS_END);
            messages[k] = begin(text[k], size[k]);
        }
        uint32_t count;
        while ((count = pick(group, messages, kernel->lanes)) > 0) {
            go_on(kernel, group, count, random_below(300));
            if (random_below(4) == 0) {
                go_on_alone(group[0], random_below(60));
            }
        }
        for (size_t k = 0; k < LANES_MOST; k++) {
            end_as_the_oracle(&messages[k], text[k], size[k]);
        }
    }
}

/* --- Files --------------------------------------------------------------- */

/* About the ends of blocks, of what is read at once, and of views. */
static const size_t sizes[] = {
    0,       1,       54,      55,      56,      57,      63,
    64,      65,      119,     120,     127,     128,     129,
    65535,   65536,   65537,   262143,  262144,  262145,  524288,
    1048575, 1048576, 1048577, 2097151, 2097152, 2162689, FILE_END,
};

enum {
    SIZES = sizeof(sizes) / sizeof(*sizes),
    SHORT_SIZES = 14, /* those of them before the long ones */
    PATH_SIZE = sizeof(root) + 8
};

static void
path_of(char path[PATH_SIZE], size_t index)
{
    (void)snprintf(path, PATH_SIZE, "%s/%zu", root, index);
}

/* One for each of `sizes`, all with other contents. */
static void
make_files(void)
{
    for (size_t i = 0; i < SIZES; i++) {
        char path[PATH_SIZE];
        path_of(path, i);
        FILE *file = fopen(path, "w");
        CHECK(file != NULL);
        CHECK(fwrite(noise + i, 1, sizes[i], file) == sizes[i]);
        CHECK(fclose(file) == 0);
    }
}

static void
remove_files(void)
{
    for (size_t i = 0; i < SIZES; i++) {
        char path[PATH_SIZE];
        path_of(path, i);
        CHECK(unlink(path) == 0);
    }
}

static void
check_file(size_t index, const char *key, size_t key_size)
{
    char path[PATH_SIZE], hex[HEX_SIZE], right[HEX_SIZE];
    path_of(path, index);
    CHECK(sphttp_hmac_sha256_file_hex(key, key_size, path, hex) == 0);
    oracle_hex(right, key, key_size, noise + index, sizes[index]);
    CHECK(strcmp(hex, right) == 0);
}

static void
a_file_of_any_length_has_its_digest(void)
{
    for (size_t i = 0; i < SIZES; i++) {
        check_file(i, NULL, 0);
    }
}

static void
a_key_of_any_length_is_that_of_rfc_2104(void)
{
    for (size_t key_size = 0; key_size <= KEYS_END; key_size++) {
        char *key = malloc(key_size + 1);
        CHECK(key != NULL);
        char *at = key + 1; /* ends where the memory does; 0 bytes, too */
        memcpy(at, noise + FILE_END - key_size, key_size);
        for (size_t i = 0; i < SIZES; i++) {
            /* Each key with some of the long ones: QEMU takes its time. */
            if (i < SHORT_SIZES || i % 8 == key_size % 8) {
                check_file(i, at, key_size);
            }
        }
        free(key);
    }
}

static void
what_is_no_file_has_no_digest(void)
{
    char path[PATH_SIZE], hex[HEX_SIZE];
    path_of(path, SIZES);
    CHECK(sphttp_hmac_sha256_file_hex(NULL, 0, root, hex) == -EISDIR);
    CHECK(sphttp_hmac_sha256_file_hex(NULL, 0, path, hex) == -ENOENT);
    CHECK(mkfifo(path, 0600) == 0);
    CHECK(sphttp_hmac_sha256_file_hex(NULL, 0, path, hex) ==
          SPHTTP_NOT_A_FILE);
    CHECK(unlink(path) == 0);
}

/* --- Calls --------------------------------------------------------------- */

enum { ITEMS = 3 * SIZES + 2 }; /* every file thrice; none; a directory */

/* Fork, and wait: the children end by themselves. */
static void
run(sphttp_call *call)
{
    sphttp_event event;
    do {
        CHECK(call_fork(call).kind == SPHTTP_STARTED);
        event = call_finish(call);
    } while (event.kind == SPHTTP_FORK_AGAIN);
    CHECK(event.kind == SPHTTP_ENDED);
}

static void
check_failure(sphttp_call *call, uint32_t index, int right)
{
    sphttp_result result;
    int32_t code;
    sphttp_call_result(call, index, &result);
    CHECK(result.fate == SPHTTP_NO_DIGEST && result.size == sizeof(code));
    memcpy(&code, result.payload, sizeof(code));
    CHECK(code == right);
}

/* Of a file, as the oracle has it: found once, for that takes its time. */
static const char *
right_of(size_t index, const char *key)
{
    static char found[2][SIZES][HEX_SIZE]; /* without the key, and with it */
    char *right = found[key != NULL][index];
    if (right[0] == '\0') {
        oracle_hex(right, key, key != NULL ? strlen(key) : 0, noise + index,
                   sizes[index]);
    }
    return right;
}

static void
check_call(uint32_t alive, int how, const char *key, const char *kernel)
{
    char paths[ITEMS * PATH_SIZE], *to = paths;
    for (size_t i = 0; i < ITEMS - 1; i++) {
        path_of(to, i < 3 * SIZES ? i % SIZES : SIZES);
        to += strlen(to) + 1;
    }
    memcpy(to, root, sizeof(root));
    to += sizeof(root);
    size_t key_size = key != NULL ? strlen(key) : 0;
    sphttp_call *call;
    CHECK(sphttp_call_open(ITEMS, alive, how, root, &call) == 0);
    CHECK(sphttp_call_digest(call, paths, (size_t)(to - paths), key, key_size,
                             kernel) == 0);
    run(call);
    for (uint32_t i = 0; i < 3 * SIZES; i++) {
        sphttp_result result;
        const char *right = right_of(i % SIZES, key);
        sphttp_call_result(call, i, &result);
        CHECK(result.fate == SPHTTP_RETURNED);
        CHECK(result.size == HEX_SIZE - 1);
        CHECK(memcmp(result.payload, right, HEX_SIZE - 1) == 0);
    }
    check_failure(call, 3 * SIZES, -ENOENT);
    check_failure(call, 3 * SIZES + 1, -EISDIR);
    call_free(call);
}

static void
a_call_digests_every_file_by_every_kernel(void)
{
    for (size_t i = 0; i < kernel_count; i++) {
        for (uint32_t alive = 1; alive <= 3; alive++) {
            const char *name = wanted[i];
            check_call(alive, SPHTTP_POOL | SPHTTP_LANES, NULL, name);
            check_call(alive, SPHTTP_POOL | SPHTTP_LANES, "Jefe", name);
        }
        check_call(2, SPHTTP_POOL, "Jefe", wanted[i]);
        check_call(2, 0, NULL, wanted[i]);
    }
}

/* One of `count` large files, the smallest and so in the last lane, is cut when it
 * is first mapped, or with SIZE_MAX its views show nothing: what counts is what
 * had been read of it by then, and what is left of it. */
static void
check_cut(uint32_t count, const char *kernel, size_t to)
{
    enum { VICTIM = SIZES - 2, OTHER = SIZES - 1 };
    char paths[LANES_MOST * PATH_SIZE], *end = paths, victim[PATH_SIZE];
    path_of(victim, VICTIM);
    for (uint32_t i = 0; i < count; i++) {
        path_of(end, i < count - 1 ? OTHER : VICTIM);
        end += strlen(end) + 1;
    }
    CHECK(sizes[VICTIM] > VIEW_SIZE + READ_SIZE);
    sphttp_call *call;
    CHECK(sphttp_call_open(count, 1, SPHTTP_POOL | SPHTTP_LANES, root,
                           &call) == 0);
    CHECK(sphttp_call_digest(call, paths, (size_t)(end - paths), NULL, 0,
                             kernel) == 0);
    to_cut = victim;
    cut_to = to < SIZE_MAX ? (off_t)to : -1;
    run(call);
    to_cut = "";
    for (uint32_t i = 0; i < count; i++) {
        sphttp_result result;
        const char *right = right_of(OTHER, NULL);
        char rest[HEX_SIZE];
        if (i == count - 1) {
            size_t size = to < sizes[VICTIM] ? to : sizes[VICTIM];
            oracle_hex(rest, NULL, 0, noise + VICTIM,
                       size > READ_SIZE ? size : READ_SIZE);
            right = rest;
        }
        sphttp_call_result(call, i, &result);
        CHECK(result.fate == SPHTTP_RETURNED);
        CHECK(memcmp(result.payload, right, HEX_SIZE - 1) == 0);
    }
    call_free(call);
    remove_files();
    make_files();
}

static void
a_file_that_shrinks_under_a_view_spoils_no_other(void)
{
    static const size_t cuts[] = {0,          READ_SIZE - 1,   READ_SIZE + 1,
                                  500000,     VIEW_SIZE,     VIEW_SIZE + 1,
                                  VIEW_SIZE + READ_SIZE - 100, SIZE_MAX};
    /* Not by the one that is measured: it is made of the others. */
    for (size_t i = 0; i < kernel_count - 1; i++) {
        for (uint32_t count = 2; count <= kernels[i].lanes; count++) {
            for (size_t k = 0; k < sizeof(cuts) / sizeof(*cuts); k++) {
                check_cut(count, wanted[i], cuts[k]);
            }
        }
    }
}

static void
a_file_whose_disk_does_not_answer_is_late(void)
{
    for (uint32_t alive = 1; alive <= 2; alive++) {
        char paths[SHORT_SIZES * PATH_SIZE], *end = paths, hung[PATH_SIZE];
        path_of(hung, 2);
        for (uint32_t i = 0; i < SHORT_SIZES; i++) {
            path_of(end, i);
            end += strlen(end) + 1;
        }
        sphttp_call *call;
        CHECK(sphttp_call_open(SHORT_SIZES, alive, SPHTTP_POOL, root,
                               &call) == 0);
        CHECK(sphttp_call_limit(call, SECOND / 5, 0, 0) == 0);
        CHECK(sphttp_call_digest(call, paths, (size_t)(end - paths), NULL, 0,
                                 "") == 0);
        hanging = hung;
        run(call);
        hanging = "";
        for (uint32_t i = 0; i < SHORT_SIZES; i++) {
            sphttp_result result;
            sphttp_call_result(call, i, &result);
            CHECK(result.fate == (i == 2 ? SPHTTP_LATE : SPHTTP_RETURNED));
        }
        call_free(call);
    }
}

/* A stray says that there are large files, where nobody makes a list of them. */
static void
without_lanes_no_list_of_large_files_is_looked_at(void)
{
    char path[PATH_SIZE];
    path_of(path, 2);
    sphttp_call *call;
    CHECK(sphttp_call_open(1, 1, SPHTTP_POOL, root, &call) == 0);
    CHECK(sphttp_call_digest(call, path, strlen(path) + 1, NULL, 0, "") == 0);
    call->page->large = 1;
    run(call);
    sphttp_result result;
    sphttp_call_result(call, 0, &result);
    CHECK(result.fate == SPHTTP_RETURNED);
    call_free(call);
}

static void
an_interrupted_open_is_gone_on_with(void)
{
    char path[PATH_SIZE], hex[HEX_SIZE], right[HEX_SIZE];
    path_of(path, 5);
    oracle_hex(right, NULL, 0, noise + 5, sizes[5]);
    sphttp_file *file = NULL;
    interrupted = true;
    CHECK(file_go_on(&file, NULL, 0, path, 1, hex) == -EINTR);
    CHECK(file == NULL);
    CHECK(file_go_on(&file, NULL, 0, path, SIZE_MAX / 2, hex) == 0);
    CHECK(strcmp(hex, right) == 0);
    sphttp_file_free(file);
    interrupted = true;
    CHECK(sphttp_hmac_sha256_file_hex(NULL, 0, path, hex) == 0);
    CHECK(strcmp(hex, right) == 0);
}

static int
opened(const char *path, struct folder *folder)
{
    static const struct algorithm algorithm;
    struct file file = {.fd = -1};
    int err = file_open(&file, &algorithm, path, folder);
    file_close(&file);
    return err;
}

static void
a_folder_is_held_from_its_second_file_on(void)
{
    char first[PATH_SIZE], second[PATH_SIZE], none[PATH_SIZE], other[64];
    struct folder folder = {.fd = -1};
    path_of(first, 5);
    path_of(second, 6);
    path_of(none, SIZES);
    (void)snprintf(other, sizeof(other), "%s.moved", root);
    from_folders = 0;
    CHECK(opened(first, &folder) == 0 && from_folders == 0);
    CHECK(opened(second, &folder) == 0 && from_folders == 1);
    CHECK(folder.fd >= 0);
    CHECK(opened(none, &folder) == -ENOENT && folder.fd < 0);
    CHECK(opened("/", &folder) == -EISDIR && from_folders == 2);
    CHECK(opened("/tmp/", &folder) == -EISDIR && from_folders == 2);
    /* Another folder has its name now. */
    CHECK(opened(first, &folder) == 0 && folder.fd >= 0);
    CHECK(rename(root, other) == 0 && mkdir(root, 0700) == 0);
    CHECK(close(creat(none, 0600)) == 0);
    CHECK(opened(none, &folder) == 0);
    CHECK(unlink(none) == 0 && rmdir(root) == 0 && rename(other, root) == 0);
    CHECK(folder.fd < 0);
}

static void
a_long_file_is_left_now_and_then(void)
{
    char path[PATH_SIZE], hex[HEX_SIZE], right[HEX_SIZE];
    path_of(path, SIZES - 1);
    oracle_hex(right, NULL, 0, noise + SIZES - 1, FILE_END);
    sphttp_file *file = NULL;
    int times = 0;
    while (file_go_on(&file, NULL, 0, path, 100000, hex) == -EINTR) {
        times++;
    }
    CHECK(times == 16 && strcmp(hex, right) == 0);
    sphttp_file_free(file);
}

/* ------------------------------------------------------------------------- */

static void
find_kernels(void)
{
    /* For one message nothing is measured: of the names that are usable it is the
     * first. */
    struct sha256_kernel unmeasured;
    CHECK(sha256_choose(&unmeasured, "", 1));
    static const char *const names[] = {"avx512", "sha-ni", "armv8",
                                        "alone", "portable", ""};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        struct sha256_kernel *kernel = &kernels[kernel_count];
        if (sha256_choose(kernel, names[i], LANES_MOST)) {
            CHECK(*names[i] == '\0' || strcmp(kernel->name, names[i]) == 0);
            wanted[kernel_count++] = names[i];
        }
    }
    CHECK(strcmp(unmeasured.name, kernels[0].name) == 0);
    CHECK(unmeasured.lanes == kernels[0].lanes);
}

int
main(int count, char **arguments)
{
    static const struct test tests[] = {
        TEST(kernels_are_found_by_name),
        TEST(a_kernel_is_chosen_once),
        TEST(a_kernel_says_how_it_goes_on),
        TEST(every_kernel_has_the_digests_of_nist),
        TEST(every_length_is_right_in_every_lane),
        TEST(as_many_lanes_may_be_used_as_there_are_messages),
        TEST(no_block_changes_nothing),
        TEST(all_lanes_may_have_the_same_data),
        TEST(a_message_goes_from_lanes_to_alone_and_back),
        TEST(a_file_of_any_length_has_its_digest),
        TEST(a_key_of_any_length_is_that_of_rfc_2104),
        TEST(what_is_no_file_has_no_digest),
        TEST(a_call_digests_every_file_by_every_kernel),
        TEST(a_file_that_shrinks_under_a_view_spoils_no_other),
        TEST(a_file_whose_disk_does_not_answer_is_late),
        TEST(without_lanes_no_list_of_large_files_is_looked_at),
        TEST(an_interrupted_open_is_gone_on_with),
        TEST(a_folder_is_held_from_its_second_file_on),
        TEST(a_long_file_is_left_now_and_then),
    };
    const char *argument = count > 1 ? arguments[1] : "";
    find_kernels();
    if (strcmp(argument, "kernels") == 0) {
        for (size_t i = 0; i < kernel_count; i++) {
            printf("%s\n", kernels[i].name);
        }
        return 0;
    }
    seed = strtoull(argument, NULL, 10);
    if (seed == 0) {
        seed = (uint64_t)now_ns();
    }
    for (size_t i = 0; i < sizeof(noise); i++) {
        noise[i] = (unsigned char)random_below(256);
    }
    CHECK(mkdtemp(root) != NULL);
    make_files();
    run_tests(tests, sizeof(tests) / sizeof(*tests));
    remove_files();
    CHECK(rmdir(root) == 0);
    return 0;
}
