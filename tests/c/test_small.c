/* A few files that the host digests itself, beside the digest of each file alone, which
 * test_lanes.c compares with oracle.h's. Built with ASan and UBSan by
 * tests/test_c_core.py. Prints a line for each test that has passed. */
#include "base/cdef.h"
#include "base/safe.h"
#include "digest/file.h"
#include "host/small.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum {
    FILES = 40,
    A_FILE = 16 << 10, /* what each counts beside its size */
    PATH_SIZE = 64,
    DIGITS = 2 * SHA256_SIZE,
    HEX_SIZE = DIGITS + 1,
    ENOUGH = 64 << 20
};

static char root[] = "/tmp/tep_small_XXXXXX";
static const char *const kernels[] = {"avx512", "sha-ni", "armv8", "alone",
                                      "portable"};
static char names[FILES * PATH_SIZE]; /* of all files, one behind the other */
static char right[FILES][HEX_SIZE], keyed[FILES][HEX_SIZE];
static size_t total; /* bytes in all files */
static uint64_t times; /* so much more is to be said where there is one lane */

/* --- What the linker puts in the place of libc's -------------------------- */

static bool interrupted; /* the next open is, by a signal */
static uint32_t kind;    /* of the file system, unless 0 */

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __real_fstatfs(int fd, struct statfs *system);
int __wrap_fstatfs(int fd, struct statfs *system);

int
__wrap_open(const char *path, int flags, ...)
{
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

int
__wrap_fstatfs(int fd, struct statfs *system)
{
    int err = __real_fstatfs(fd, system);
    if (kind != 0) {
        system->f_type = (__typeof__(system->f_type))kind;
    }
    return err;
}

/* --- Files ------------------------------------------------------------------ */

static const char *
path_of(uint32_t index)
{
    static char path[PATH_SIZE];
    (void)snprintf(path, sizeof(path), "%s/%u", root, index);
    return path;
}

/* About the ends of blocks and of what is read at once; and others. */
static size_t
size_of(uint32_t index)
{
    static const size_t sizes[] = {0,     1,     55,    56,     63,
                                   64,    65,    119,   65535,  65536,
                                   65537, 65600, 70000, 131072, 300001};
    return sizes[index * 7 % (sizeof(sizes) / sizeof(*sizes))];
}

static void
make_file(uint32_t index)
{
    static unsigned char noise[300001];
    FILE *file = fopen(path_of(index), "w");
    CHECK(file != NULL);
    for (size_t i = 0; i < size_of(index); i++) {
        noise[i] = (unsigned char)(i * 31 + i / 251 + index);
    }
    CHECK(fwrite(noise, 1, size_of(index), file) == size_of(index));
    CHECK(fclose(file) == 0);
}

static void
make_files(void)
{
    char *to = names;
    for (uint32_t i = 0; i < FILES; i++) {
        make_file(i);
        total += size_of(i);
        const char *path = path_of(i);
        CHECK(sphttp_hmac_sha256_file_hex(NULL, 0, path, right[i]) == 0);
        CHECK(sphttp_hmac_sha256_file_hex("Jefe", 4, path, keyed[i]) == 0);
        to = put_text(to, path) + 1;
    }
}

/* How many bytes the names of the first `count` take. */
static size_t
names_size(uint32_t count)
{
    const char *end = names;
    for (; count > 0; count--) {
        end += strlen(end) + 1;
    }
    return (size_t)(end - names);
}

static sphttp_small *
opened(uint32_t count, const char *kernel, uint64_t most)
{
    sphttp_small *small = NULL;
    CHECK(small_open(names, names_size(count), count, NULL, 0, kernel, most,
                     false, &small) == 0);
    return small;
}

static void
check_digests(const sphttp_small *small, uint32_t count, char (*all)[HEX_SIZE])
{
    for (uint32_t i = 0; i < count; i++) {
        CHECK(sphttp_small_codes(small)[i] == 0);
        CHECK(memcmp(sphttp_small_hex(small) + (size_t)i * DIGITS, all[i],
                     DIGITS) == 0);
    }
}

/* Go on until it is done, however often it is left. How often that was. */
static int
go_on(sphttp_small *small, int64_t until)
{
    int times = 0, err;
    while ((err = small_go_on(small, until)) == -EINTR) {
        times++;
    }
    CHECK(err == 0);
    return times;
}

/* How many files of ours are open here. */
static int
count_open(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    CHECK(folder != NULL);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char path[PATH_SIZE] = "";
        (void)!readlinkat(dirfd(folder), entry->d_name, path,
                          sizeof(path) - 1);
        count += strncmp(path, root, strlen(root)) == 0;
    }
    CHECK(closedir(folder) == 0);
    return count;
}

/* --- Tests ------------------------------------------------------------------ */

static void
every_kernel_digests_any_number_of_files(void)
{
    for (size_t k = 0; k < sizeof(kernels) / sizeof(*kernels); k++) {
        for (uint32_t count = 1; count <= FILES; count++) {
            sphttp_small *small;
            if (sphttp_sha256_kernel(kernels[k]) == NULL) {
                continue;
            }
            small = opened(count, kernels[k], ENOUGH);
            CHECK(go_on(small, INT64_MAX) == 0);
            check_digests(small, count, right);
            sphttp_small_free(small);
            CHECK(small_open(names, names_size(count), count, "Jefe", 4,
                             kernels[k], ENOUGH, true, &small) == 0);
            CHECK(go_on(small, INT64_MAX) == 0);
            check_digests(small, count, keyed);
            sphttp_small_free(small);
        }
    }
    CHECK(count_open() == 0);
}

static void
what_is_no_list_of_so_many_names_is_refused(void)
{
    sphttp_small *small = NULL;
    size_t size = names_size(3);
    const struct {
        size_t size;
        uint32_t count;
        const char *kernel;
    } wrong[] = {{size, 2, ""},     {size, 4, ""}, {size - 1, 3, ""},
                 {0, 1, ""},        {1, 0, ""},    {size, 3, "magic"}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        CHECK(small_open(names, wrong[i].size, wrong[i].count, NULL, 0,
                         wrong[i].kernel, ENOUGH, false, &small) == -EINVAL);
    }
    CHECK(small == NULL);
    sphttp_small_free(NULL);
}

/* Signals are handled then. */
static void
it_is_left_when_it_is_time_between_two_reads(void)
{
    sphttp_small *small = opened(FILES, "", ENOUGH);
    for (int i = 0; i < FILES - 1; i++) { /* each is looked at */
        CHECK(small_go_on(small, 0) == -EINTR && count_open() == 0);
    }
    CHECK(small_go_on(small, 0) == -EINTR && count_open() == 1);
    CHECK(go_on(small, 0) >= FILES - 1); /* and read */
    check_digests(small, FILES, right);
    sphttp_small_free(small);
    static const char missing[] = "/nowhere\0/nowhere\0/nowhere";
    CHECK(small_open(missing, sizeof(missing), 3, NULL, 0, "", ENOUGH, false,
                     &small) == 0);
    CHECK(go_on(small, 0) == 2 + 3); /* each is looked at, and tried */
    sphttp_small_free(small);
}

static void
an_interrupted_open_is_gone_on_with(void)
{
    sphttp_small *small = opened(3, "", ENOUGH);
    interrupted = true;
    CHECK(go_on(small, INT64_MAX) == 1);
    check_digests(small, 3, right);
    sphttp_small_free(small);
}

static void
what_is_left_in_the_midst_of_it_is_closed(void)
{
    sphttp_small *small = opened(FILES, "", ENOUGH);
    while (count_open() == 0) {
        CHECK(small_go_on(small, 0) == -EINTR);
    }
    sphttp_small_free(small);
    CHECK(count_open() == 0);
}

static void
files_are_small_up_to_so_many_bytes(void)
{
    uint64_t most = times * (total + FILES * A_FILE);
    sphttp_small *small = opened(FILES, "", most);
    CHECK(small_go_on(small, INT64_MAX) == 0);
    sphttp_small_free(small);
    small = opened(FILES, "", most - 1);
    CHECK(small_go_on(small, INT64_MAX) == SPHTTP_NOT_SMALL);
    sphttp_small_free(small);
    small = opened(FILES, "", times * FILES * A_FILE);
    CHECK(small_go_on(small, INT64_MAX) == SPHTTP_NOT_SMALL);
    sphttp_small_free(small);
    CHECK(small_open(names, names_size(FILES), FILES, NULL, 0, "",
                     times * FILES * A_FILE - 1, false,
                     &small) == SPHTTP_NOT_SMALL);
}

static void
a_routine_for_one_file_at_a_time_has_half_of_that(void)
{
    uint64_t most = 2 * (total + FILES * A_FILE);
    sphttp_small *small = opened(FILES, "alone", most);
    CHECK(small_go_on(small, INT64_MAX) == 0);
    sphttp_small_free(small);
    small = opened(FILES, "alone", most - 1);
    CHECK(small_go_on(small, INT64_MAX) == SPHTTP_NOT_SMALL);
    sphttp_small_free(small);
}

static void
what_says_that_it_is_empty_and_is_not_is_for_children(void)
{
    static const char path[] = "/proc/version";
    sphttp_small *small;
    CHECK(small_open(path, sizeof(path), 1, NULL, 0, "", ENOUGH, false,
                     &small) == 0);
    CHECK(small_go_on(small, INT64_MAX) == SPHTTP_NOT_SMALL);
    sphttp_small_free(small);
}

static void
what_is_on_another_machine_is_for_children(void)
{
    static const uint32_t kinds[] = {0x6969, 0xff534d42, 0x65735546};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        sphttp_small *small = opened(3, "", ENOUGH);
        kind = kinds[i];
        CHECK(small_go_on(small, INT64_MAX) == SPHTTP_NOT_SMALL);
        sphttp_small_free(small);
    }
    kind = 0xef53; /* ext4 */
    sphttp_small *small = opened(3, "", ENOUGH);
    CHECK(small_go_on(small, INT64_MAX) == 0);
    sphttp_small_free(small);
    kind = 0;
    CHECK(count_open() == 0);
}

/* The one that has 300,001 bytes, when something of it has been read. */
static sphttp_small *
in_the_midst_of(uint32_t *index, uint64_t most)
{
    for (*index = 0; size_of(*index) != 300001;) {
        ++*index;
    }
    sphttp_small *small;
    const char *path = path_of(*index);
    static char name[PATH_SIZE];
    size_t size = (size_t)(put_text(name, path) - name) + 1;
    CHECK(small_open(name, size, 1, NULL, 0, "", most, false, &small) == 0);
    CHECK(small_go_on(small, 0) == -EINTR);
    CHECK(count_open() == 1);
    return small;
}

static void
a_file_that_shrinks_has_the_digest_of_what_there_was(void)
{
    for (off_t to = 0; to <= 200000; to += 50000) {
        uint32_t index;
        char hex[HEX_SIZE];
        sphttp_small *small = in_the_midst_of(&index, ENOUGH);
        off_t size = to > READ_SIZE ? to : READ_SIZE;
        CHECK(truncate(path_of(index), size) == 0);
        CHECK(sphttp_hmac_sha256_file_hex(NULL, 0, path_of(index), hex) == 0);
        CHECK(truncate(path_of(index), to) == 0);
        (void)go_on(small, INT64_MAX);
        CHECK(memcmp(sphttp_small_hex(small), hex, DIGITS) == 0);
        sphttp_small_free(small);
        make_file(index);
    }
}

static void
a_file_that_grows_too_large_is_for_children(void)
{
    uint32_t index;
    sphttp_small *small = in_the_midst_of(&index, times * 400000);
    CHECK(truncate(path_of(index), 400000) == 0);
    (void)go_on(small, INT64_MAX);
    sphttp_small_free(small);
    make_file(index);
    small = in_the_midst_of(&index, times * 400000);
    CHECK(truncate(path_of(index), 500000) == 0);
    CHECK(small_go_on(small, INT64_MAX) == SPHTTP_NOT_SMALL);
    sphttp_small_free(small);
    make_file(index);
    CHECK(count_open() == 0);
}

static void
each_failure_is_that_of_its_file(void)
{
    static char some[5 * PATH_SIZE];
    char fifo[PATH_SIZE], *to = put_text(some, path_of(0)) + 1;
    (void)snprintf(fifo, sizeof(fifo), "%s/fifo", root);
    CHECK(mkfifo(fifo, 0600) == 0);
    to = put_text(to, "/nowhere") + 1;
    to = put_text(to, root) + 1;
    to = put_text(to, fifo) + 1;
    to = put_text(to, path_of(4)) + 1;
    const int expected[] = {0, -ENOENT, -EISDIR, SPHTTP_NOT_A_FILE, 0};
    for (size_t k = 0; k < sizeof(kernels) / sizeof(*kernels); k++) {
        sphttp_small *small;
        if (sphttp_sha256_kernel(kernels[k]) == NULL) {
            continue;
        }
        CHECK(small_open(some, (size_t)(to - some), 5, NULL, 0, kernels[k],
                         ENOUGH, false, &small) == 0);
        CHECK(small_go_on(small, INT64_MAX) == 0);
        for (size_t i = 0; i < 5; i++) {
            CHECK(sphttp_small_codes(small)[i] == expected[i]);
        }
        const char *hex = sphttp_small_hex(small);
        CHECK(memcmp(hex, right[0], DIGITS) == 0);
        CHECK(memcmp(hex + 4 * DIGITS, right[4], DIGITS) == 0);
        sphttp_small_free(small);
    }
    sphttp_small *small;
    CHECK(small_open(some, (size_t)(to - some), 5, NULL, 0, "", ENOUGH, true,
                     &small) == 0);
    CHECK(small_go_on(small, INT64_MAX) == 0);
    CHECK(sphttp_small_codes(small)[1] == -ENOENT);
    for (size_t i = 2; i < 5; i++) {
        CHECK(sphttp_small_codes(small)[i] == SPHTTP_UNTRIED);
    }
    sphttp_small_free(small);
    CHECK(unlink(fifo) == 0);
}

static void
few_descriptors_are_enough(void)
{
    struct rlimit before, few;
    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    int next = dup(0);
    CHECK(next >= 0 && close(next) == 0);
    for (rlim_t left = 0; left <= 3; left++) {
        sphttp_small *small = opened(FILES, "", ENOUGH);
        few = (struct rlimit){(rlim_t)next + left, before.rlim_max};
        CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
        CHECK(small_go_on(small, INT64_MAX) == 0);
        CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
        for (uint32_t i = 0; i < FILES; i++) {
            CHECK(sphttp_small_codes(small)[i] == (left > 0 ? 0 : -EMFILE));
        }
        if (left > 0) {
            check_digests(small, FILES, right);
        }
        sphttp_small_free(small);
    }
}

/* A handler of Python's may have forked; and in another process nothing is left open
 * of what some thread of this one is doing. */
static void
a_fork_has_nothing_of_it_and_may_go_on(void)
{
    sphttp_small *other = opened(FILES, "", ENOUGH);
    sphttp_small *small = opened(FILES, "", ENOUGH);
    while (count_open() == 0) {
        CHECK(small_go_on(small, 0) == -EINTR);
        CHECK(small_go_on(other, 0) == -EINTR);
    }
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        CHECK(count_open() == 0);
        (void)go_on(small, 0);
        check_digests(small, FILES, right);
        CHECK(count_open() == 0);
        sphttp_small_free(small);
        sphttp_small_free(other);
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(count_open() > 0);
    (void)go_on(small, 0);
    (void)go_on(other, INT64_MAX);
    check_digests(small, FILES, right);
    check_digests(other, FILES, right);
    sphttp_small_free(other);
    sphttp_small_free(small);
    CHECK(count_open() == 0);
}

/* ------------------------------------------------------------------------- */

int
main(void)
{
    static const struct test tests[] = {
        TEST(every_kernel_digests_any_number_of_files),
        TEST(what_is_no_list_of_so_many_names_is_refused),
        TEST(it_is_left_when_it_is_time_between_two_reads),
        TEST(an_interrupted_open_is_gone_on_with),
        TEST(what_is_left_in_the_midst_of_it_is_closed),
        TEST(files_are_small_up_to_so_many_bytes),
        TEST(a_routine_for_one_file_at_a_time_has_half_of_that),
        TEST(what_says_that_it_is_empty_and_is_not_is_for_children),
        TEST(what_is_on_another_machine_is_for_children),
        TEST(a_file_that_shrinks_has_the_digest_of_what_there_was),
        TEST(a_file_that_grows_too_large_is_for_children),
        TEST(each_failure_is_that_of_its_file),
        TEST(few_descriptors_are_enough),
        TEST(a_fork_has_nothing_of_it_and_may_go_on),
    };
    CHECK(mkdtemp(root) != NULL);
    times = strcmp(sphttp_sha256_kernel(""), "alone") == 0 ? 2 : 1;
    make_files();
    run_tests(tests, sizeof(tests) / sizeof(*tests));
    for (uint32_t i = 0; i < FILES; i++) {
        CHECK(unlink(path_of(i)) == 0);
    }
    CHECK(rmdir(root) == 0);
    return 0;
}
