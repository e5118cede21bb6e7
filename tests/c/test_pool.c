/* The memory of a pool, children and host in one process: what the kernel refuses,
 * what others do in between, what strays leave. Built and run as test_core.c is. */
#include "check.h"

#include "base/cdef.h"
#include "host/call.h"
#include "host/host.h"
#include "host/open.h"
#include "host/pool.h"
#include "shared/pool.h"
#include "shared/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 64 << 10, LARGE = 700000, ITEMS = 2000 };

/* --- What the linker puts in the place of libc's ------------------------------ */

static off_t most_backed = INT64_MAX; /* bytes that can be had in one go */
static int refusal = ENOSPC;
static int interruptions;      /* so often it is interrupted first */
static void (*meanwhile)(void); /* what another does then, once */
static void (*before_zeros)(void);
static bool zeros_refused, writes_refused, no_holes_known;
static unsigned seeks;

int __real_fallocate(int fd, int mode, off_t at, off_t size);
int __wrap_fallocate(int fd, int mode, off_t at, off_t size);
ssize_t __real_pwritev(int fd, const struct iovec *parts, int count, off_t at);
ssize_t __wrap_pwritev(int fd, const struct iovec *parts, int count, off_t at);
ssize_t __real_pwrite(int fd, const void *from, size_t size, off_t at);
ssize_t __wrap_pwrite(int fd, const void *from, size_t size, off_t at);
off_t __real_lseek(int fd, off_t at, int whence);
off_t __wrap_lseek(int fd, off_t at, int whence);

/* Do it, once. */
static void
step_in(void (**what)(void))
{
    void (*now)(void) = *what;
    *what = NULL;
    if (now != NULL) {
        now();
    }
}

int
__wrap_fallocate(int fd, int mode, off_t at, off_t size)
{
    if (mode != 0) {
        return __real_fallocate(fd, mode, at, size);
    }
    sigset_t blocked;
    CHECK(sigprocmask(SIG_SETMASK, NULL, &blocked) == 0);
    CHECK(sigismember(&blocked, SIGALRM) && sigismember(&blocked, SIGPROF));
    if (interruptions > 0) {
        interruptions--;
        errno = EINTR;
        return -1;
    }
    if (size > most_backed) {
        errno = refusal;
        return -1;
    }
    int result = __real_fallocate(fd, mode, at, size);
    step_in(&meanwhile);
    return result;
}

ssize_t
__wrap_pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    step_in(&before_zeros);
    if (zeros_refused) {
        errno = ENOSPC;
        return -1;
    }
    /* Less than was asked for, and no whole number of blocks. */
    return count > 1 ? __real_pwrite(fd, parts[0].iov_base, 1000, at)
                     : __real_pwritev(fd, parts, count, at);
}

ssize_t
__wrap_pwrite(int fd, const void *from, size_t size, off_t at)
{
    if (writes_refused && size > 1000) { /* the header is written */
        errno = ENOSPC;
        return -1;
    }
    return __real_pwrite(fd, from, size, at);
}

off_t
__wrap_lseek(int fd, off_t at, int whence)
{
    seeks++;
    if (no_holes_known && (whence == SEEK_DATA || whence == SEEK_HOLE)) {
        errno = EINVAL;
        return -1;
    }
    return __real_lseek(fd, at, whence);
}

/* --- Helpers --------------------------------------------------------------------- */

static sphttp_call *call; /* the one of a test */

static void
begin(void)
{
    CHECK(sphttp_call_open(ITEMS, 2, SPHTTP_POOL, "/tmp", &call) == 0);
}

/* A child's copy of the call. */
static sphttp_call
child(void)
{
    sphttp_call copy = *call;
    copy.child.window = (struct window){0};
    return copy;
}

/* It has ended. */
static void
leave(sphttp_call *at)
{
    struct window *window = &at->child.window;
    if (window->at != NULL) {
        CHECK(munmap(window->at + window->room - window->size,
                     window->size) == 0);
    }
    *window = (struct window){0};
}

static void
end(void)
{
    leave(call);
    call_free(call);
    most_backed = INT64_MAX;
    zeros_refused = writes_refused = no_holes_known = false;
}

static char
letter(uint32_t index)
{
    return (char)('a' + index % 26);
}

/* Item `index` ends with so many letters; its offset, or -errno. */
static int64_t
commit(sphttp_call *at, uint32_t index, size_t size)
{
    char *text = malloc(size + 1);
    CHECK(text != NULL);
    memset(text, letter(index), size);
    struct header header = {
        .length = size,
        .index = index,
        .status = index % 3 == 0 ? SPHTTP_ENCODED : SPHTTP_RETURNED,
    };
    uint64_t state = store_write(at, &header, text);
    free(text);
    if ((state & ITEM_KIND) == ITEM_UNWRITTEN) {
        return -(int64_t)(state >> 3);
    }
    call->state[index] = state;
    return (int64_t)(state & ~(uint64_t)ITEM_KIND);
}

/* Has it arrived, whole? */
static bool
arrived(uint32_t index, size_t size)
{
    sphttp_result result;
    sphttp_call_result(call, index, &result);
    bool right = result.fate == (index % 3 == 0 ? SPHTTP_ENCODED
                                                : SPHTTP_RETURNED) &&
                 result.size == size;
    for (size_t i = 0; right && i < size; i++) {
        right = result.payload[i] == letter(index);
    }
    sphttp_call_drop(call, index);
    return right;
}

/* It is not the record that was written. */
static bool
refused(uint32_t index)
{
    sphttp_result result;
    sphttp_call_result(call, index, &result);
    sphttp_call_drop(call, index);
    return result.fate == SPHTTP_TAMPERED;
}

/* Bytes of it that there are. */
static int64_t
held(void)
{
    struct stat st;
    CHECK(fstat(call->memory.fd, &st) == 0);
    return (int64_t)st.st_blocks * 512;
}

static int64_t
length(void)
{
    struct stat st;
    CHECK(fstat(call->memory.fd, &st) == 0);
    return (int64_t)st.st_size;
}

/* --- Tests ------------------------------------------------------------------------ */

static size_t
some_size(uint32_t index)
{
    return index % 500 == 499 ? LARGE : index % 50 == 49 ? 20000 : index % 97;
}

static void
records_of_two_children_arrive_while_they_run_and_after(void)
{
    for (int late = 0; late < 2; late++) {
        begin();
        sphttp_call first = child(), second = child();
        for (uint32_t i = 0; i < ITEMS; i++) {
            CHECK(commit(i % 7 < 3 ? &first : &second, i, some_size(i)) >= 0);
            CHECK(pool_map(call, false) == 0);
            CHECK(late || arrived(i, some_size(i)));
        }
        leave(&first);
        leave(&second);
        CHECK(pool_map(call, true) == 0 && call->host->pool_mapping != NULL);
        for (uint32_t i = 0; i < ITEMS; i++) {
            CHECK(arrived(i, some_size(i)));
        }
        end();
    }
}

static void
what_cannot_be_backed_costs_its_record_and_no_other(void)
{
    begin();
    CHECK(commit(call, 0, 10) >= 0);
    uint64_t used = call->page->used;
    int64_t before = held();
    most_backed = 1 << 20;
    for (uint32_t i = 1; i < 100; i++) {
        refusal = i % 2 == 0 ? ENOMEM : EFBIG;
        CHECK(commit(call, i, 2 << 20) == -refusal);
    }
    CHECK(call->page->used == used && held() == before);
    for (uint32_t i = 100; i < 200; i++) {
        CHECK(commit(call, i, 5000) >= 0);
    }
    leave(call);
    CHECK(pool_map(call, true) == 0 && arrived(0, 10));
    for (uint32_t i = 100; i < 200; i++) {
        CHECK(arrived(i, 5000));
    }
    end();
}

static void
a_small_record_takes_what_little_is_left(void)
{
    begin();
    for (uint32_t i = 0; i < 60; i++) {
        CHECK(commit(call, i, 1000) >= 0);
    }
    size_t room = call->child.window.room;
    CHECK(room > 1100);
    int64_t page = sysconf(_SC_PAGESIZE);
    most_backed = 3 * page;
    /* One that leaves less room than there is now goes apart from it... */
    CHECK(commit(call, 60, 3 * (size_t)page - 200) >= 0);
    CHECK(call->child.window.room == room);
    /* ...and when that is used up, small ones share a page. */
    uint64_t used = call->page->used;
    for (uint32_t i = 61; i < 161; i++) {
        CHECK(commit(call, i, 100) >= 0);
    }
    CHECK((int64_t)(call->page->used - used) <= 100 * 160 / page * page + page);
    most_backed = 0;
    CHECK(commit(call, 161, 10000) == -refusal);
    leave(call);
    CHECK(pool_map(call, true) == 0);
    for (uint32_t i = 0; i < 161; i++) {
        CHECK(arrived(i, i < 60    ? 1000
                         : i == 60 ? 3 * (size_t)page - 200
                                   : 100));
    }
    end();
}

static sphttp_call rival;

static void
let_rival_take(void)
{
    CHECK(commit(&rival, 1, 60000) >= 0);
}

static void
who_is_slower_takes_what_comes_next(void)
{
    for (size_t size = 100; size <= LARGE; size += LARGE - 100) {
        begin();
        rival = child();
        meanwhile = let_rival_take;
        CHECK(commit(call, 0, size) == PAGE); /* of which the rival has had one */
        CHECK(meanwhile == NULL);
        CHECK(commit(&rival, 2, 3000) >= 0);
        leave(&rival);
        leave(call);
        CHECK(pool_map(call, true) == 0);
        CHECK(arrived(0, size) && arrived(1, 60000) && arrived(2, 3000));
        end();
    }
}

/* As where a rival's greater demand for the same is refused. */
static void
undo_backing(void)
{
    CHECK(__real_fallocate(call->memory.fd,
                           FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                           LARGE) == 0);
}

static void
a_store_never_meets_what_is_not_there(void)
{
    begin();
    before_zeros = undo_backing;
    CHECK(commit(call, 0, 100) == 0);
    CHECK(before_zeros == NULL && held() == PAGE);
    before_zeros = undo_backing;
    end();
    begin(); /* and where it cannot be had again */
    zeros_refused = true;
    CHECK(commit(call, 0, 100) == 0 && call->child.window.at == NULL);
    CHECK(held() == sysconf(_SC_PAGESIZE));
    CHECK((int64_t)call->page->used == held());
    before_zeros = NULL;
    CHECK(pool_map(call, true) == 0 && arrived(0, 100));
    end();
}

static void
what_could_not_be_written_is_given_back(void)
{
    begin();
    CHECK(commit(call, 0, 100) >= 0);
    uint64_t used = call->page->used;
    int64_t before = held();
    writes_refused = true;
    for (uint32_t i = 1; i < 20; i++) {
        CHECK(commit(call, i, LARGE) == -ENOSPC);
        CHECK(call->page->used == used && held() == before);
    }
    writes_refused = false;
    CHECK(commit(call, 1, LARGE) == (int64_t)used);
    leave(call);
    CHECK(pool_map(call, true) == 0);
    CHECK(arrived(0, 100) && arrived(1, LARGE));
    end();
}

static void
an_interrupted_take_is_gone_on_with(void)
{
    begin();
    interruptions = 5;
    CHECK(commit(call, 0, 100) >= 0 && interruptions == 0);
    sigset_t blocked;
    CHECK(sigprocmask(SIG_SETMASK, NULL, &blocked) == 0);
    CHECK(!sigismember(&blocked, SIGALRM));
    end();
}

static void
past_a_limit_on_files_is_an_error_and_no_signal(void)
{
    begin();
    pid_t pid = bare_fork(); /* which drops nothing */
    if (pid == 0) {
        CHECK(signal(SIGXFSZ, SIG_DFL) != SIG_ERR);
        struct rlimit limit = {200000, 200000};
        CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
        CHECK(commit(call, 0, 300000) == -EFBIG);
        CHECK(commit(call, 1, LARGE) == -EFBIG);
        for (uint32_t i = 2; i < 100; i++) {
            CHECK(commit(call, i, 1500) >= 0);
        }
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(pool_map(call, true) == 0);
    for (uint32_t i = 2; i < 100; i++) {
        CHECK(arrived(i, 1500));
    }
    end();
}

static void
a_stray_count_is_mended_by_who_takes_next(void)
{
    static const uint64_t strays[] = {
        0, 1, 8, 4096, PAGE, PAGE + 8, LARGE, 1 << 20, 1 << 30,
        UINT64_C(1) << 40, INT64_MAX, UINT64_C(1) << 63, UINT64_MAX - 7,
        UINT64_MAX,
    };
    uint32_t kinds = sizeof(strays) / sizeof(*strays);
    begin();
    for (uint32_t i = 0; i < 10 * kinds; i++) {
        sphttp_call one = child();
        size_t size = i % 3 == 0 ? LARGE : i % 3 == 1 ? 300000 : 10;
        CHECK(commit(&one, i, size) >= 0);
        leave(&one);
        call->page->used = i % 7 == 6 ? (uint64_t)length() - 3
                                      : strays[i / 3 % kinds];
    }
    CHECK(length() < 10 * kinds * (2 << 20));
    CHECK(pool_map(call, true) == 0);
    for (uint32_t i = 0; i < 10 * kinds; i++) {
        CHECK(arrived(i, i % 3 == 0 ? LARGE : i % 3 == 1 ? 300000 : 10));
    }
    end();
}

static void
no_memory_is_found_for_a_file_that_a_child_has_made_huge(void)
{
    begin();
    CHECK(commit(call, 0, 100) >= 0);
    CHECK(ftruncate(call->memory.fd, INT64_MAX) == 0);
    CHECK(commit(call, 1, 70000) >= 0); /* the count is as good as before */
    call->page->used = 1;
    CHECK(commit(call, 2, LARGE) == -EFBIG);
    CHECK(commit(call, 3, 100) >= 0); /* there is room for it */
    leave(call);
    CHECK(pool_map(call, true) == 0);
    CHECK(arrived(0, 100) && arrived(1, 70000) && arrived(3, 100));
    end();
}

/* Records in every place that is none: the host refuses them, and finds no memory
 * for what it looks at. */
static void
look_astray(void)
{
    static const uint64_t places[] = {
        1 << 20, (1 << 20) - 8, (1 << 30) - 8, 1 << 30, (1 << 30) + 4096,
        UINT64_C(1) << 40, INT64_MAX - 7, UINT64_C(1) << 63, UINT64_MAX - 7,
    };
    int64_t before = held();
    for (uint32_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
        call->state[100 + i] = places[i] | ITEM_DONE;
        CHECK(refused(100 + i));
    }
    CHECK(refused(2) && refused(3) && arrived(0, 100) && arrived(1, 100));
    CHECK(held() == before);
}

static void
holes_are_not_looked_at(void)
{
    for (int seal = 0; seal < 2; seal++) {
        begin();
        CHECK(commit(call, 0, 100) >= 0);
        /* Far off, behind a hole; and two whose lengths lead into one, and on. */
        struct header header = {.length = 100, .index = 1, .status = 1};
        char text[100];
        memset(text, letter(1), sizeof(text));
        off_t far = UINT64_C(1) << 32;
        CHECK(pwrite(call->memory.fd, &header, sizeof(header), far) > 0);
        CHECK(pwrite(call->memory.fd, text, 100, far + (off_t)sizeof(header)) > 0);
        call->state[1] = (uint64_t)far | ITEM_DONE;
        CHECK(pwrite(call->memory.fd, text, 100, far + (4 << 20)) > 0);
        header = (struct header){.length = 1 << 20, .index = 2, .status = 1};
        CHECK(pwrite(call->memory.fd, &header, sizeof(header), far + 1024) > 0);
        call->state[2] = (uint64_t)(far + 1024) | ITEM_DONE;
        header = (struct header){.length = INT64_MAX, .index = 3, .status = 1};
        CHECK(pwrite(call->memory.fd, &header, sizeof(header), far + 2048) > 0);
        call->state[3] = (uint64_t)(far + 2048) | ITEM_DONE;
        /* Backed, and never written. */
        CHECK(__real_fallocate(call->memory.fd, 0, 1 << 30, 1 << 20) == 0);
        leave(call);
        CHECK(pool_map(call, seal) == 0);
        CHECK((call->host->pool_mapping != NULL) == seal);
        look_astray();
        end();
    }
}

static void
who_still_has_it_mapped_changes_nothing(void)
{
    begin();
    for (uint32_t i = 0; i < 100; i++) {
        CHECK(commit(call, i, some_size(i)) >= 0);
    }
    CHECK(pool_map(call, true) == 0); /* it cannot be sealed */
    CHECK(call->host->pool_mapping == NULL);
    call_close(call); /* the results are looked at all the same */
    for (uint32_t i = 0; i < 100; i++) {
        CHECK(arrived(i, some_size(i)));
    }
    end();
}

static void
where_nothing_was_written_there_is_no_record(void)
{
    begin();
    CHECK(ftruncate(call->memory.fd, 1 << 20) == 0);
    CHECK(pool_map(call, true) == 0);
    call_close(call);
    call->state[0] = ITEM_DONE;
    call->state[1] = 4096 | ITEM_DONE;
    CHECK(refused(0) && refused(1));
    end();
}

static void
a_kernel_that_knows_of_no_holes_will_do(void)
{
    begin();
    no_holes_known = true;
    for (uint32_t i = 0; i < 100; i++) {
        CHECK(commit(call, i, 5000) >= 0);
        CHECK(pool_map(call, false) == 0 && arrived(i, 5000));
    }
    leave(call);
    CHECK(pool_map(call, true) == 0);
    for (uint32_t i = 0; i < 100; i++) {
        CHECK(arrived(i, 5000));
    }
    call->state[0] = (UINT64_C(1) << 40) | ITEM_DONE;
    CHECK(refused(0));
    end();
}

static void
what_has_been_walked_over_is_not_walked_over_again(void)
{
    begin();
    for (uint32_t i = 0; i < ITEMS; i++) {
        CHECK(commit(call, i, 1000) >= 0);
    }
    seeks = 0;
    CHECK(pool_map(call, false) == 0);
    for (uint32_t i = 0; i < ITEMS; i++) {
        CHECK(arrived(ITEMS - 1 - i, 1000));
    }
    CHECK(seeks < 20);
    leave(call);
    CHECK(pool_map(call, true) == 0);
    seeks = 0;
    for (uint32_t i = 0; i < ITEMS; i++) {
        CHECK(arrived(i, 1000));
    }
    CHECK(seeks == 0);
    end();
    begin(); /* with a hole behind each */
    seeks = 0;
    for (uint32_t i = 0; i < 200; i++) {
        struct header header = {.index = i, .status = SPHTTP_RETURNED};
        CHECK(pwrite(call->memory.fd, &header, sizeof(header), i << 20) > 0);
        call->state[i] = (uint64_t)i << 20 | ITEM_DONE;
        sphttp_result result;
        CHECK(pool_map(call, false) == 0);
        sphttp_call_result(call, i, &result);
        CHECK(result.fate == SPHTTP_RETURNED && result.size == 0);
        sphttp_call_drop(call, i);
    }
    CHECK(seeks < 1000);
    end();
}

static void
extents_are_what_has_been_written(void)
{
    enum { PLACES = 64 };
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    for (unsigned seed = 0; seed < 200; seed++) {
        srand(seed);
        int fd = memfd_create("extents", MFD_CLOEXEC);
        CHECK(fd >= 0 && ftruncate(fd, (off_t)(PLACES * page)) == 0);
        bool there[PLACES + 1] = {false};
        struct extents extents = {0};
        for (int step = 0; step < 100; step++) {
            uint64_t place = (uint64_t)rand() % PLACES;
            CHECK(__real_pwrite(fd, "x", 1, (off_t)(place * page)) == 1);
            there[place] = true;
            uint64_t from = (uint64_t)rand() % (PLACES * page);
            uint64_t end = from - from % page;
            while (there[end / page]) {
                end += page;
            }
            uint64_t room = end > from ? end - from : 0;
            CHECK(extents_room(&extents, from) <= room);
            CHECK(extents_learn(&extents, fd, from, from + room) == 0);
            CHECK(extents_room(&extents, from) == room);
            for (size_t i = 1; i < extents.count; i++) {
                CHECK(extents.list[i - 1].to < extents.list[i].from);
            }
        }
        extents_forget(&extents);
        (void)close(fd);
    }
}

int
main(void)
{
    static const struct test tests[] = {
        TEST(records_of_two_children_arrive_while_they_run_and_after),
        TEST(what_cannot_be_backed_costs_its_record_and_no_other),
        TEST(a_small_record_takes_what_little_is_left),
        TEST(who_is_slower_takes_what_comes_next),
        TEST(a_store_never_meets_what_is_not_there),
        TEST(what_could_not_be_written_is_given_back),
        TEST(an_interrupted_take_is_gone_on_with),
        TEST(past_a_limit_on_files_is_an_error_and_no_signal),
        TEST(a_stray_count_is_mended_by_who_takes_next),
        TEST(no_memory_is_found_for_a_file_that_a_child_has_made_huge),
        TEST(holes_are_not_looked_at),
        TEST(who_still_has_it_mapped_changes_nothing),
        TEST(where_nothing_was_written_there_is_no_record),
        TEST(a_kernel_that_knows_of_no_holes_will_do),
        TEST(what_has_been_walked_over_is_not_walked_over_again),
        TEST(extents_are_what_has_been_written),
    };
    run_tests(tests, sizeof(tests) / sizeof(*tests));
    return 0;
}
