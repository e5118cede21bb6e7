/* The pure C, nursery and all, without Python: built with ASan and UBSan by
 * tests/test_c_core.py. Prints a line for each test that has passed. */
#include "check.h"

#include "base/cdef.h"
#include "child/hand.h"
#include "host/call.h"
#include "host/host.h"
#include "host/news.h"
#include "host/open.h"
#include "nursery/hands.h"
#include "nursery/limits.h"
#include "nursery/nest.h"
#include "nursery/nursery.h"
#include "nursery/strays.h"
#include "shared/news.h"
#include "shared/record.h"
#include "shared/store.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char root[] = "/tmp/tep_core_XXXXXX";
static void *former_ledger; /* where a child had it, as a nursery's fork */

/* --- What the linker puts in the place of libc's ------------------------------ */

static size_t most_written = SIZE_MAX; /* bytes that one write may take */
static int64_t stopped_clock;          /* not 0: what the clock says, once */

ssize_t __real_write(int fd, const void *from, size_t size);
ssize_t __wrap_write(int fd, const void *from, size_t size);
ssize_t __real_writev(int fd, const struct iovec *parts, int count);
ssize_t __wrap_writev(int fd, const struct iovec *parts, int count);
int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

ssize_t
__wrap_write(int fd, const void *from, size_t size)
{
    return __real_write(fd, from, size < most_written ? size : most_written);
}

ssize_t
__wrap_writev(int fd, const struct iovec *parts, int count)
{
    if (most_written == SIZE_MAX) {
        return __real_writev(fd, parts, count);
    }
    return __wrap_write(fd, parts[0].iov_base, parts[0].iov_len);
}

int
__wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = __real_clock_gettime(clock, now);
    if (stopped_clock != 0) {
        now->tv_sec = stopped_clock / 1000000000;
        now->tv_nsec = stopped_clock % 1000000000;
        stopped_clock = 0;
    }
    return result;
}

/* --- Helpers --------------------------------------------------------------------- */

static sphttp_call *
open_call(uint32_t count, uint32_t alive, int how)
{
    sphttp_call *call;
    CHECK(sphttp_call_open(count, alive, how, root, &call) == 0);
    return call;
}

/* Fork; a child does `work`, and ends. */
static void
fork_for(sphttp_call *call, void (*work)(sphttp_call *call, uint32_t index))
{
    sphttp_event event = call_fork(call);
    if (event.kind == SPHTTP_CHILD) {
        work(call, event.index);
        _exit(99);
    }
    CHECK(event.kind == SPHTTP_STARTED);
}

/* What call_finish has come to: 0 or -errno, or SPHTTP_NEWS. */
static int
finished(sphttp_call *call)
{
    sphttp_event event = call_finish(call);
    return event.kind == SPHTTP_ENDED    ? 0
           : event.kind == SPHTTP_FAILED ? -event.error
                                         : event.kind;
}

/* Fork, and let each child do `work`; the host waits. 0 or -errno. */
static int
run(sphttp_call *call, void (*work)(sphttp_call *call, uint32_t index))
{
    int err;
    do {
        fork_for(call, work);
        err = finished(call);
    } while (err == SPHTTP_FORK_AGAIN);
    return err;
}

static sphttp_result
result_of(sphttp_call *call, uint32_t index)
{
    sphttp_result result;
    sphttp_call_result(call, index, &result);
    return result;
}

static int
entries(const char *path)
{
    char command[200];
    (void)snprintf(command, sizeof(command), "exit $(ls -A %s | wc -l)", path);
    int status = system(command);
    return WEXITSTATUS(status);
}

/* Close, and see that nothing is left. */
static void
end(sphttp_call *call)
{
    call_free(call);
    CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
    CHECK(entries(root) == 0);
}

static void
commit_number(sphttp_call *call, uint32_t index)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "item %u", index);
    sphttp_child_commit(call, index, SPHTTP_RETURNED, text, (size_t)n);
}

static void
check_numbers(sphttp_call *call, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        char text[24];
        int n = snprintf(text, sizeof(text), "item %u", i);
        sphttp_result result = result_of(call, i);
        CHECK(result.fate == SPHTTP_RETURNED);
        CHECK(result.size == (uint64_t)n);
        CHECK(memcmp(result.payload, text, result.size) == 0);
        CHECK(result.wait_status == 0 && result.attempts == 1);
        CHECK(result.started_ns > 0 && result.ended_ns > result.started_ns);
    }
}

/* --- Tests ------------------------------------------------------------------------- */

static void
every_item_has_its_result(void)
{
    sphttp_call *call = open_call(40, 40, 0);
    CHECK(run(call, commit_number) == 0);
    check_numbers(call, 40);
    sphttp_call_drop(call, 3);
    sphttp_call_drop(call, 3);
    end(call);
}

static void
no_more_children_than_allowed(void)
{
    sphttp_call *call = open_call(30, 3, 0);
    CHECK(run(call, commit_number) == 0);
    check_numbers(call, 30);
    for (uint32_t i = 0; i < 30; i++) {
        int alive = 0;
        int64_t at = result_of(call, i).started_ns;
        for (uint32_t k = 0; k < 30; k++) {
            sphttp_result other = result_of(call, k);
            alive += other.started_ns <= at && at < other.ended_ns;
        }
        CHECK(alive <= 3);
    }
    end(call);
}

static void
some_die(sphttp_call *call, uint32_t index)
{
    if (index == 1) {
        (void)raise(SIGKILL);
    }
    if (index == 2) {
        _exit(7);
    }
    commit_number(call, index);
}

static void
a_death_costs_its_item_only(void)
{
    sphttp_call *call = open_call(5, 5, 0);
    CHECK(run(call, some_die) == 0);
    CHECK(result_of(call, 0).fate == SPHTTP_RETURNED);
    CHECK(result_of(call, 1).fate == SPHTTP_DIED);
    CHECK(WTERMSIG(result_of(call, 1).wait_status) == SIGKILL);
    CHECK(result_of(call, 2).fate == SPHTTP_DIED);
    CHECK(WEXITSTATUS(result_of(call, 2).wait_status) == 7);
    CHECK(result_of(call, 4).fate == SPHTTP_RETURNED);
    end(call);
}

static void
after_a_failure_no_item_is_begun(void)
{
    sphttp_call *call = open_call(50, 1, 1);
    CHECK(run(call, some_die) == 0);
    CHECK(result_of(call, 0).fate == SPHTTP_RETURNED);
    CHECK(result_of(call, 1).fate == SPHTTP_DIED);
    CHECK(result_of(call, 2).fate == SPHTTP_NOT_BEGUN);
    CHECK(result_of(call, 49).attempts == 0);
    end(call);
}

static void
commit_large(sphttp_call *call, uint32_t index)
{
    size_t size = 5 * 1000 * 1000;
    char *text = malloc(size);
    memset(text, 'a' + (int)index, size);
    most_written = 4096 - 1;
    sphttp_child_commit(call, index, SPHTTP_RETURNED, text, size);
}

static void
short_writes_are_gone_on_with(void)
{
    sphttp_call *call = open_call(2, 2, 0);
    CHECK(run(call, commit_large) == 0);
    for (uint32_t i = 0; i < 2; i++) {
        sphttp_result result = result_of(call, i);
        CHECK(result.fate == SPHTTP_RETURNED && result.size == 5000000);
        CHECK(result.payload[0] == 'a' + (int)i);
        CHECK(result.payload[result.size - 1] == 'a' + (int)i);
    }
    end(call);
}

/* Write a good record, spoil it, commit. */
static void
commit_spoilt(sphttp_call *call, uint32_t index)
{
    char name[12];
    (void)put_decimal(name, index);
    struct header header = {
        .length = 8, .index = index, .status = SPHTTP_RAISED_AS};
    CHECK(store_write(call, &header, "a pickle") == ITEM_DONE);
    int fd = openat(call->directory.fd, name, O_RDWR);
    char mark = (char)0xff;
    switch (index) {
    case 0: /* as it is */
        break;
    case 1: /* a byte of the payload */
        CHECK(pwrite(fd, "A", 1, sizeof(header)) == 1);
        break;
    case 2: /* the index */
        CHECK(pwrite(fd, "\7", 1, offsetof(struct header, index)) == 1);
        break;
    case 3: /* a length of 2^63 and more */
        CHECK(pwrite(fd, &mark, 1, 7) == 1);
        break;
    case 4: /* cut short */
        CHECK(ftruncate(fd, sizeof(header) + 8) == 0);
        break;
    case 5: /* cut shorter than a header */
        CHECK(ftruncate(fd, 5) == 0);
        break;
    case 6: /* a status that nobody signs, with the rest as it was */
        CHECK(pwrite(fd, "\1", 1, offsetof(struct header, status)) == 1);
        break;
    case 7: /* a FIFO in its place */
        CHECK(unlinkat(call->directory.fd, name, 0) == 0);
        CHECK(mkfifoat(call->directory.fd, name, 0600) == 0);
        break;
    case 8: /* a symbolic link in its place */
        CHECK(unlinkat(call->directory.fd, name, 0) == 0);
        CHECK(symlinkat("/etc/passwd", call->directory.fd, name) == 0);
        break;
    case 9: /* nothing in its place */
        CHECK(unlinkat(call->directory.fd, name, 0) == 0);
        break;
    case 10: /* of a TiB, with holes */
        CHECK(ftruncate(fd, (off_t)1 << 40) == 0);
        break;
    default: /* a folder in its place */
        CHECK(unlinkat(call->directory.fd, name, 0) == 0);
        CHECK(mkdirat(call->directory.fd, name, 0700) == 0);
        CHECK(mkdirat(call->directory.fd, "11/below", 0700) == 0);
    }
    call->state[index] = ITEM_DONE;
    _exit(0);
}

static void
a_spoilt_record_is_refused(void)
{
    sphttp_call *call = open_call(12, 12, 0);
    CHECK(run(call, commit_spoilt) == 0);
    CHECK(result_of(call, 0).fate == SPHTTP_RAISED_AS);
    for (uint32_t i = 1; i < 12; i++) {
        int fate = result_of(call, i).fate;
        CHECK(fate == (i == 9 ? SPHTTP_UNREAD : SPHTTP_TAMPERED));
    }
    end(call);
}

static void
scribble(sphttp_call *call, uint32_t index)
{
    /* Most that a child can write to, but for its siblings' states. */
    memset(call->hands, 0xff, call->plan.alive * sizeof(*call->hands));
    call->page->stop = 77;
    call->page->next = UINT32_MAX;
    call->page->watermark = 0;
    call->page->bytes = UINT64_MAX;
    commit_number(call, index);
}

static void
look_for_the_ledger(sphttp_call *call, uint32_t index)
{
    CHECK(call->ledger == NULL);
    struct ledger *was = former_ledger;
    CHECK(was != NULL && madvise(was, 4096, MADV_NORMAL) < 0);
    CHECK(errno == ENOMEM); /* nothing is mapped there */
    commit_number(call, index);
}

static void
no_child_has_what_host_and_nursery_believe(void)
{
    sphttp_call *call = open_call(2, 2, 0);
    former_ledger = (void *)((uintptr_t)call->ledger / 4096 * 4096);
    CHECK(run(call, look_for_the_ledger) == 0);
    check_numbers(call, 2);
    end(call);
}

static void
a_child_that_scribbles_on_the_page_crashes_nobody(void)
{
    sphttp_call *call = open_call(3, 3, 0);
    int err = run(call, scribble);
    CHECK(err == 0);
    end(call);
}

static void
kill_the_nursery(sphttp_call *call, uint32_t index)
{
    if (index == 2 && call->host->nurseries_lost == 0) {
        (void)kill(getppid(), SIGKILL);
        (void)pause();
    }
    commit_number(call, index);
}

static void
a_lost_nursery_is_followed_by_another(void)
{
    sphttp_call *call = open_call(20, 1, 0);
    CHECK(run(call, kill_the_nursery) == 0);
    for (uint32_t i = 0; i < 20; i++) {
        CHECK(result_of(call, i).fate ==
              (i == 2 ? SPHTTP_DIED : SPHTTP_RETURNED));
    }
    CHECK(result_of(call, 2).wait_status == -1);
    end(call);
}

/* One child's share of a pool: records of all sizes, and a death now and then. */
static void
commit_many(sphttp_call *call, uint32_t index)
{
    char *text = calloc(1, 700000);
    for (int64_t next = index; next >= 0;) {
        index = (uint32_t)next;
        if (index % 100 == 42) {
            (void)kill(getpid(), SIGKILL);
        }
        size_t size = index % 100 == 0 ? 700000 : index;
        memset(text, 'a' + (int)(index % 26), size);
        int status = index % 3 == 0 ? SPHTTP_ENCODED : SPHTTP_RETURNED;
        next = sphttp_child_commit(call, index, status, text, size);
    }
    free(text);
    _exit(0);
}

static void
check_pool_with_deaths(uint32_t alive)
{
    sphttp_call *call = open_call(950, alive, SPHTTP_POOL | SPHTTP_LINGER);
    CHECK(run(call, commit_many) == 0);
    for (uint32_t i = 0; i < 950; i++) {
        sphttp_result result = result_of(call, i);
        if (i % 100 == 42) {
            CHECK(result.fate == SPHTTP_DIED && result.pid > 0);
            CHECK(WIFSIGNALED(result.wait_status));
            continue;
        }
        uint64_t size = i % 100 == 0 ? 700000 : i;
        CHECK(result.fate == (i % 3 == 0 ? SPHTTP_ENCODED : SPHTTP_RETURNED));
        CHECK(result.size == size && result.pid > 0 && result.attempts == 1);
        for (uint64_t at = 0; at < size; at++) {
            CHECK(result.payload[at] == 'a' + (int)(i % 26));
        }
        sphttp_call_drop(call, i);
    }
    end(call);
}

static void
a_pool_loses_what_was_in_hand_and_no_more(void)
{
    check_pool_with_deaths(1); /* nobody else takes what was set aside for it */
    check_pool_with_deaths(3);
}

/* Quick items, and one that ends when all others have ended. */
static void
commit_but_wait_at_100(sphttp_call *call, uint32_t index)
{
    for (int64_t next = index; next >= 0;) {
        for (int tries = 0; next == 100 && tries < 5000; tries++) {
            uint32_t left = 0;
            for (uint32_t i = 0; i < 1000; i++) {
                left += (call->state[i] & ITEM_KIND) != ITEM_DONE;
            }
            if (left == 1) {
                break;
            }
            (void)nanosleep(&(struct timespec){0, 1000000}, NULL);
            CHECK(tries < 4999);
        }
        next = sphttp_child_commit(call, (uint32_t)next, SPHTTP_RETURNED, "",
                                   0);
    }
    _exit(0);
}

static void
items_set_aside_for_a_child_that_is_slow_are_taken_by_others(void)
{
    sphttp_call *call = open_call(1000, 2, SPHTTP_POOL | SPHTTP_LINGER);
    CHECK(run(call, commit_but_wait_at_100) == 0);
    for (uint32_t i = 0; i < 1000; i++) {
        CHECK(result_of(call, i).fate == SPHTTP_RETURNED);
    }
    end(call);
}

/* Whatever it says of where its records are, and of what it has in hand. */
static void
commit_astray(sphttp_call *call, uint32_t index)
{
    for (int64_t next = index; next >= 0;) {
        index = (uint32_t)next;
        next = sphttp_child_commit(call, index, SPHTTP_RETURNED, "text", 4);
        call->state[index] =
            (index % 2 == 0 ? UINT64_MAX - 800 * index : 40 * index + 8) << 3 |
            ITEM_DONE;
        call->hands[call->child.slot].item = UINT32_MAX - index;
        call->hands[call->child.slot].from = index % 3 == 0 ? 199 : UINT32_MAX - 7;
        call->hands[call->child.slot].to = UINT32_MAX - index;
    }
    _exit(0);
}

static void
a_pool_child_that_scribbles_on_the_page_crashes_nobody(void)
{
    sphttp_call *call = open_call(200, 2, SPHTTP_POOL | SPHTTP_LINGER);
    CHECK(run(call, commit_astray) == 0);
    for (uint32_t i = 0; i < 200; i++) {
        int fate = result_of(call, i).fate;
        /* Not begun: what had been set aside for a child that forgot it. */
        CHECK(fate == SPHTTP_TAMPERED || fate == SPHTTP_NOT_BEGUN ||
              (i == 0 && fate > 0));
    }
    end(call);
}

static void
commit_until_59(sphttp_call *call, uint32_t index)
{
    for (int64_t next = index; next >= 0;) {
        next = sphttp_child_commit(call, (uint32_t)next, SPHTTP_RETURNED, "", 0);
        if (next == 59) {
            page_stop(call->page, STOP_NEW);
        }
    }
    _exit(0);
}

static void
no_item_is_taken_from_the_watermark_on(void)
{
    sphttp_call *call = open_call(100, 2, SPHTTP_POOL | SPHTTP_LINGER);
    sphttp_call_allow(call, 3);
    fork_for(call, commit_until_59);
    for (int tries = 0; call->page->next < 3; tries++) {
        CHECK(tries < 5000);
        (void)nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    (void)nanosleep(&(struct timespec){0, 5000000}, NULL);
    CHECK(call->page->next == 3 && call->hands[0].item <= 3 &&
          call->hands[1].item <= 3);
    call->page->watermark = 1; /* whatever somebody scribbles there */
    sphttp_call_allow(call, 60);
    CHECK(finished(call) == 0);
    for (uint32_t i = 0; i < 100; i++) {
        int expected = i < 60 ? SPHTTP_RETURNED : SPHTTP_NOT_BEGUN;
        CHECK(result_of(call, i).fate == expected);
    }
    end(call);
}

/* A mark that a child has pulled down holds nobody up for long. */
static void
pull_the_mark_down(sphttp_call *call, uint32_t index)
{
    for (int64_t next = index; next >= 0;) {
        call->page->watermark = 0;
        next = sphttp_child_commit(call, (uint32_t)next, SPHTTP_RETURNED, "", 0);
    }
    _exit(0);
}

static void
a_mark_that_was_scribbled_on_is_put_right(void)
{
    static const int how[] = {SPHTTP_POOL | SPHTTP_LINGER, SPHTTP_LINGER};
    for (int i = 0; i < 4; i++) {
        sphttp_call *call = open_call(20, 2, how[i % 2]);
        if (i < 2) {
            sphttp_call_allow(call, 20);
        }
        CHECK(run(call, pull_the_mark_down) == 0);
        for (uint32_t k = 0; k < 20; k++) {
            CHECK(result_of(call, k).fate == SPHTTP_RETURNED);
        }
        end(call);
    }
}

static void
fail_call_of_all(sphttp_call *call, uint32_t index)
{
    (void)index;
    sphttp_child_fail(call, SPHTTP_RAISED, "why", 3);
}

static void
what_is_wrong_with_all_children_is_told_once(void)
{
    for (int how = 0; how <= SPHTTP_POOL; how += SPHTTP_POOL) {
        sphttp_call *call = open_call(50, 2, how);
        CHECK(run(call, fail_call_of_all) == 0);
        sphttp_result result = result_of(call, 50);
        CHECK(result.fate == SPHTTP_RAISED && result.size == 3);
        CHECK(memcmp(result.payload, "why", 3) == 0);
        CHECK(result_of(call, 49).fate == SPHTTP_NOT_BEGUN);
        end(call);
    }
}

static void
kill_every_nursery(sphttp_call *call, uint32_t index)
{
    (void)kill(getppid(), SIGKILL);
    (void)pause();
    commit_number(call, index);
}

static void
the_third_nursery_is_not_forked(void)
{
    sphttp_call *call = open_call(5, 1, 0);
    CHECK(run(call, kill_every_nursery) == 0);
    CHECK(result_of(call, 0).fate == SPHTTP_DIED);
    CHECK(result_of(call, 1).fate == SPHTTP_DIED);
    CHECK(result_of(call, 2).fate == SPHTTP_NOT_BEGUN);
    end(call);
}

static void
leave_daemons(sphttp_call *call, uint32_t index)
{
    (void)call;
    for (int i = 0; i < 3; i++) {
        if (fork() == 0) {
            (void)setsid();
            if (fork() == 0) {
                sigset_t all;
                (void)sigfillset(&all);
                (void)sigprocmask(SIG_SETMASK, &all, NULL);
                char path[100];
                (void)snprintf(path, sizeof(path), "%s.mark.%u.%d", root,
                               index, i);
                int mark = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
                (void)close(mark);
            }
            (void)sleep(60);
            _exit(0);
        }
    }
    (void)sleep(60);
}

static void
an_abandoned_call_leaves_no_process_and_no_directory(void)
{
    /* Each of the sixteen processes below holds an end of this. */
    int pipe_ends[2];
    CHECK(pipe(pipe_ends) == 0);
    sphttp_call *call = open_call(4, 4, 0);
    fork_for(call, leave_daemons);
    (void)close(pipe_ends[1]);
    char command[200];
    (void)snprintf(command, sizeof(command), "exit $(ls %s.mark.* 2>/dev/null | wc -l)",
                   root);
    for (int tries = 0; WEXITSTATUS(system(command)) < 12; tries++) {
        CHECK(tries < 500);
        (void)nanosleep(&(struct timespec){0, 10000000}, NULL);
    }
    CHECK(fcntl(pipe_ends[0], F_SETFL, O_NONBLOCK) == 0);
    CHECK(read(pipe_ends[0], command, 1) < 0 && errno == EAGAIN);
    end(call);
    CHECK(read(pipe_ends[0], command, 1) == 0);
    (void)close(pipe_ends[0]);
    (void)snprintf(command, sizeof(command), "rm -f %s.mark.*", root);
    CHECK(system(command) == 0);
}

static void
what_somebody_planted_is_not_used(void)
{
    char elsewhere[100], planted[200];
    (void)snprintf(elsewhere, sizeof(elsewhere), "%s.elsewhere", root);
    CHECK(mkdir(elsewhere, 0700) == 0);
    int64_t stamp = 1234567890123456789;
    (void)snprintf(planted, sizeof(planted), "%s/tep_par_%d_%lld", root,
                   getpid(), (long long)stamp);
    CHECK(symlink(elsewhere, planted) == 0);
    sphttp_call *call = open_call(2, 2, 0);
    stopped_clock = stamp;
    CHECK(run(call, commit_number) == 0);
    stopped_clock = 0;
    check_numbers(call, 2);
    CHECK((int64_t)call->ledger->scratch.stamp != stamp);
    CHECK(entries(elsewhere) == 0);
    CHECK(unlink(planted) == 0 && rmdir(elsewhere) == 0);
    end(call);
}

/* A child has no ledger to ask for its name. */
static void
path_of(const sphttp_call *call, char path[SCRATCH_SIZE])
{
    char link[40];
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", call->directory.fd);
    ssize_t n = readlink(link, path, SCRATCH_SIZE - 1);
    CHECK(n > 0);
    path[n] = '\0';
}

static void
show_the_directory(sphttp_call *call, uint32_t index)
{
    char path[SCRATCH_SIZE];
    path_of(call, path);
    struct stat st;
    CHECK(stat(path, &st) == 0 && (st.st_mode & 07777) == 0700);
    sphttp_child_commit(call, index, SPHTTP_RETURNED, path, strlen(path));
}

static void
the_directory_is_named_after_the_caller(void)
{
    sphttp_call *call = open_call(1, 1, 0);
    CHECK(run(call, show_the_directory) == 0);
    char begin[200];
    (void)snprintf(begin, sizeof(begin), "%s/tep_par_%d_", root, getpid());
    CHECK(strncmp(result_of(call, 0).payload, begin, strlen(begin)) == 0);
    end(call);
}

static void
lose_the_directory(sphttp_call *call, uint32_t index)
{
    char path[SCRATCH_SIZE];
    path_of(call, path);
    (void)rmdir(path);
    commit_number(call, index);
}

static void
a_lost_directory_is_an_error_with_errno(void)
{
    sphttp_call *call = open_call(1, 1, 0);
    CHECK(run(call, lose_the_directory) == -ENOENT);
    CHECK(strstr(sphttp_call_doing(call), "scratch") != NULL);
    end(call);
}

static void
a_root_that_is_not_there_is_an_error_with_errno(void)
{
    sphttp_call *call;
    CHECK(sphttp_call_open(1, 1, 0, "/nowhere/at/all", &call) == 0);
    CHECK(run(call, commit_number) == -ENOENT);
    CHECK(strcmp(sphttp_call_doing(call), "making the scratch directory") ==
          0);
    end(call);
}

/* The first child is killed between the writing of its record and the commit. */
static void
write_and_die_once(sphttp_call *call, uint32_t index)
{
    uint64_t once = UINT64_C(1) << index; /* in a word that is free in this call */
    if ((atomic_fetch_or(&call->page->bytes, once) & once) == 0) {
        struct header header = {
            .length = 4, .index = index, .status = SPHTTP_RETURNED};
        CHECK(store_write(call, &header, "half") == ITEM_DONE);
        (void)kill(getpid(), SIGKILL);
    }
    commit_number(call, index);
}

static void
a_record_that_was_not_committed_is_in_nobodys_way(void)
{
    sphttp_call *call = open_call(2, 1, 0);
    CHECK(sphttp_call_limit(call, 0, 0, 1) == 0);
    CHECK(run(call, write_and_die_once) == 0);
    for (uint32_t i = 0; i < 2; i++) {
        sphttp_result result = result_of(call, i);
        CHECK(result.fate == SPHTTP_RETURNED && result.attempts == 2);
        CHECK(result.size == 6 && memcmp(result.payload, "item", 4) == 0);
    }
    end(call);
}

static uint32_t forks_left, refusals;
static int fork_error;

/* Succeeds so many times, and fails `refusals` times. */
static pid_t
refuse_to_fork(void)
{
    if (forks_left > 0) {
        forks_left--;
    }
    else if (refusals > 0) {
        refusals--;
        errno = fork_error;
        return -1;
    }
    return fork();
}

static void
commit_after_a_while(sphttp_call *call, uint32_t index)
{
    (void)nanosleep(&(struct timespec){0, 50000000}, NULL);
    commit_number(call, index);
}

static void
a_refused_fork_is_made_up_for_later(void)
{
    static const int errors[] = {EAGAIN, ENOMEM};
    pid_t (*real_fork)(void) = bare_fork;
    for (int i = 0; i < 2; i++) {
        fork_error = errors[i];
        sphttp_call *call = open_call(20, 20, 0);
        bare_fork = refuse_to_fork;
        forks_left = 3; /* those who run go on */
        refusals = 1;
        CHECK(run(call, commit_after_a_while) == 0);
        check_numbers(call, 20);
        end(call);
        call = open_call(2, 2, 0);
        bare_fork = refuse_to_fork;
        forks_left = 0; /* not even one child, for a while */
        refusals = 5;
        CHECK(run(call, commit_number) == 0);
        check_numbers(call, 2);
        end(call);
        call = open_call(2, 2, 0);
        refusals = UINT32_MAX;
        CHECK(run(call, commit_number) == -errors[i]);
        CHECK(strcmp(sphttp_call_doing(call), "forking a child") == 0);
        end(call);
    }
    bare_fork = real_fork;
}

/* --- News and limits ------------------------------------------------------------ */

/* In the host, as a pool's child would: item `index` ended at that time. */
static void
commit_at(sphttp_call *call, uint32_t index, int64_t ended_ns)
{
    struct header header = {.length = 1,
                            .ended_ns = ended_ns,
                            .index = index,
                            .status = SPHTTP_RETURNED};
    call->state[index] = store_write(call, &header, "x");
    CHECK(news_tell(call, false));
}

static void
items_are_told_of_in_the_order_in_which_they_ended(void)
{
    static const uint32_t order[] = {3, 0, 4};
    for (int pool = 0; pool < 2; pool++) {
        sphttp_call *call =
            open_call(6, 1, SPHTTP_TELL | (pool ? SPHTTP_POOL : 0));
        call->page->next = 5;
        for (int i = 0; i < 5; i++) {
            call->report[i].attempts = 1;
        }
        for (int i = 0; i < 3; i++) {
            if (pool) {
                commit_at(call, order[i], i + 1);
            }
            else {
                call->state[order[i]] = ITEM_LOST;
                call->report[order[i]].ended_ns = i + 1;
            }
        }
        news_drain(call, SPHTTP_NEWS);
        for (int i = 0; i < 3; i++) {
            CHECK(sphttp_call_next(call) == order[i]);
        }
        CHECK(sphttp_call_next(call) == -1);
        end(call);
    }
}

/* What the host has looked at it need not look at again, but for what still runs. */
static void
one_that_runs_for_long_among_quick_ones_is_told_of_at_last(void)
{
    sphttp_call *call =
        open_call(100, 1, SPHTTP_POOL | SPHTTP_TELL | SPHTTP_DISCARD);
    for (uint32_t i = 0; i < 100; i++) {
        call->page->next = i + 1;
        call->state[i] = i == 0 ? item_running(0) : ITEM_DISCARDED;
        news_drain(call, SPHTTP_NEWS);
        CHECK(sphttp_call_next(call) == (i == 0 ? -1 : (int64_t)i));
        CHECK(call->host->begun_count == 1 && call->host->begun_to == i + 1);
    }
    call->page->next = 3; /* a stray's */
    call->state[0] = ITEM_DISCARDED;
    news_drain(call, SPHTTP_NEWS);
    CHECK(sphttp_call_next(call) == 0 && sphttp_call_next(call) == -1);
    news_drain(call, SPHTTP_ENDED);
    CHECK(sphttp_call_next(call) == -1);
    end(call);
}

static void
what_is_beyond_the_watermark_is_not_looked_at(void)
{
    sphttp_call *call = open_call(9, 1, SPHTTP_POOL | SPHTTP_TELL);
    sphttp_call_allow(call, 2);
    call->page->next = UINT32_MAX;
    for (int i = 0; i < 9; i++) {
        call->state[i] = ITEM_DONE;
    }
    news_drain(call, SPHTTP_NEWS);
    CHECK(sphttp_call_next(call) == 0 && sphttp_call_next(call) == 1);
    CHECK(sphttp_call_next(call) == -1);
    end(call);
}

/* A bell that was rung has one byte for each time. */
static ssize_t
rings(const sphttp_call *call)
{
    char bytes[9];
    return read(call->host->heard.fd, bytes, sizeof(bytes));
}

/* And who ends one while the host is awake does not ring at all. */
static void
who_ends_an_item_rings_once_for_a_host_that_sleeps(void)
{
    sphttp_call *call =
        open_call(3, 1, SPHTTP_POOL | SPHTTP_TELL | SPHTTP_DISCARD);
    call->page->next = 3;
    CHECK(!sphttp_call_ready(call) && page_listen(call, HOST_SLEEPS));
    for (uint32_t i = 0; i < 3; i++) {
        call->state[i] = ITEM_DISCARDED;
        CHECK(news_tell(call, false) && sphttp_call_ready(call));
    }
    CHECK(rings(call) == 1);
    news_drain(call, SPHTTP_NEWS);
    for (int64_t i = 0; i < 3; i++) {
        CHECK(sphttp_call_ready(call) && sphttp_call_next(call) == i);
    }
    CHECK(!sphttp_call_ready(call));
    CHECK(news_tell(call, false) && sphttp_call_ready(call) && rings(call) < 0);
    CHECK(!page_listen(call, HOST_SLEEPS)); /* it had better look */
    news_tell_again(call);
    CHECK(rings(call) == 1);
    end(call);
}

static void
a_host_that_naps_is_woken_for_many_or_by_who_has_nothing_to_do(void)
{
    sphttp_call *call =
        open_call(8, 1, SPHTTP_POOL | SPHTTP_TELL | SPHTTP_DISCARD);
    CHECK(page_listen(call, HOST_NAPS));
    for (int i = 0; i < 4; i++) {
        CHECK(rings(call) < 0 && news_tell(call, false));
    }
    CHECK(rings(call) == 1 && news_tell_idle(call) && rings(call) < 0);
    (void)page_listen(call, HOST_NAPS);
    CHECK(news_tell(call, false) && rings(call) < 0);
    CHECK(news_tell_idle(call) && rings(call) == 1);
    end(call);
}

/* It is told of when the nursery has noted how it ended, and not before. */
static void
an_item_that_was_lost_is_told_of_with_its_report(void)
{
    sphttp_call *call = open_call(2, 1, SPHTTP_POOL | SPHTTP_TELL);
    call->state[0] = ITEM_LOST;
    call->page->next = 1;
    news_drain(call, SPHTTP_NEWS);
    CHECK(sphttp_call_next(call) == -1);
    call->report[0].ended_ns = 1;
    news_drain(call, SPHTTP_NEWS);
    CHECK(sphttp_call_next(call) == 0);
    end(call);
}

/* Item 0 is committed by a child that dies before it can tell; item 1 waits until
 * the host has been told all the same. */
static void
commit_and_die(sphttp_call *call, uint32_t index)
{
    if (index == 0) {
        CHECK(hand_commit(call, 0, ITEM_DISCARDED));
        _exit(1);
    }
    for (int tries = 0; call->page->bytes == 0 && tries < 5000; tries++) {
        (void)nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    CHECK(call->page->bytes != 0);
    sphttp_child_commit(call, index, SPHTTP_DISCARDED, "", 0);
}

static void
an_item_of_a_child_that_died_before_it_could_tell_is_told_of(void)
{
    sphttp_call *call =
        open_call(2, 2, SPHTTP_POOL | SPHTTP_TELL | SPHTTP_DISCARD);
    int64_t told[2] = {-1, -1};
    int err = run(call, commit_and_die);
    for (int i = 0; i < 2;) {
        told[i] = sphttp_call_next(call);
        if (told[i] >= 0) {
            i++;
            call->page->bytes = 1; /* a word that is free in this call */
            continue;
        }
        CHECK(err == SPHTTP_NEWS);
        err = finished(call);
    }
    CHECK(told[0] == 0 && told[1] == 1);
    while (err == SPHTTP_NEWS) {
        err = finished(call);
    }
    CHECK(err == 0);
    end(call);
}

/* The slot's child has committed the item that was late, and has another. */
static void
a_late_item_that_was_committed_costs_no_other(void)
{
    sphttp_call *call = open_call(2, 1, SPHTTP_POOL);
    CHECK(sphttp_call_limit(call, SECOND, 0, 0) == 0);
    pid_t child = fork();
    if (child == 0) {
        (void)pause();
        _exit(0);
    }
    struct nursery *nursery = call->nursery;
    nursery->running = 1;
    int64_t since = now_ns() - 2 * SECOND;
    call->living[0].pid = child;
    call->living[0].forked_ns = since;
    nursery->seen[0].asked = -1;
    call->hands[0].since_ns = since;
    call->hands[0].item = 1;
    call->state[0] = ITEM_DONE;
    call->state[1] = item_running(0);
    limits_enforce(nursery);
    CHECK(hand_give_up(call, 0, 1, ITEM_LATE) == -1);
    CHECK(call->state[0] == ITEM_DONE && call->state[1] == item_running(0));
    siginfo_t info = {0};
    CHECK(waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) == 0);
    CHECK(info.si_pid == 0); /* it lives */
    call->hands[0].item = 2;
    nursery->seen[0].looked = since; /* what has begun since then may be late */
    nursery->due_ns = 0;
    limits_enforce(nursery);
    CHECK(call->state[1] == ITEM_LATE);
    CHECK(waitpid(child, NULL, 0) == child);
    call->living[0].pid = 0;
    end(call);
}

/* A stray has emptied its hand, and says of it that it leaves. */
static void
a_child_that_works_is_not_taken_for_one_that_leaves(void)
{
    sphttp_call *call = open_call(2, 1, SPHTTP_POOL);
    pid_t child = fork();
    if (child == 0) {
        (void)pause();
        _exit(0);
    }
    struct nursery *nursery = call->nursery;
    nursery->running = 1;
    int64_t since = now_ns() - 20 * SECOND;
    call->living[0].pid = child;
    call->living[0].forked_ns = since;
    nursery->seen[0].asked = -1;
    call->hands[0].leaving = 1;
    call->hands[0].leaving_ns = since;
    call->state[1] = item_running(0);
    limits_enforce(nursery);
    siginfo_t info = {0};
    CHECK(waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) == 0);
    CHECK(info.si_pid == 0); /* it lives */
    CHECK(call->ledger->overstayed.pid == 0);
    call->state[1] = ITEM_DONE;
    nursery->seen[0].leaving = since;
    nursery->due_ns = 0;
    limits_enforce(nursery);
    CHECK(call->ledger->overstayed.pid == child);
    CHECK(waitpid(child, NULL, 0) == child);
    call->living[0].pid = 0;
    end(call);
}

/* A stray has said that it is in a hand, or given up; nobody has ever had it. */
static void
what_is_nobodys_is_told_of(void)
{
    sphttp_call *call = open_call(5, 2, SPHTTP_POOL | SPHTTP_TELL);
    struct nursery *nursery = call->nursery;
    nursery->running = 1;
    call->living[0].pid = getpid();
    nursery->seen[0].asked = nursery->seen[1].asked = -1;
    call->hands[0].item = 1;
    call->state[0] = item_running(0);
    call->state[1] = item_running(0); /* which has another */
    call->state[2] = item_running(1); /* which is nobody's */
    call->state[3] = UINT64_MAX;
    call->page->next = 5;
    strays_settle(nursery);
    news_drain(call, SPHTTP_NEWS);
    for (uint32_t i = 1; i <= 3; i++) {
        CHECK(sphttp_call_next(call) == i);
    }
    CHECK(sphttp_call_next(call) == -1);
    CHECK(call->state[0] == item_running(0) && call->state[4] == ITEM_FREE);
    page_settle_all(call, true); /* there is no child any more */
    CHECK(call->state[0] == ITEM_LOST && call->state[4] == ITEM_LOST);
    call->living[0].pid = 0;
    end(call);
}

/* Items that had to wait for their host have ended, and a stray says that none was ever
 * taken, or that all were. */
static void
whom_the_host_let_begin_is_looked_for_whatever_a_child_says(void)
{
    sphttp_call *call = open_call(5, 2, SPHTTP_POOL | SPHTTP_TELL);
    sphttp_call_allow(call, 2);
    call->state[0] = call->state[1] = ITEM_LOST;
    call->report[0].ended_ns = call->report[1].ended_ns = now_ns();
    call->page->next = 0;
    news_drain(call, SPHTTP_NEWS);
    CHECK(sphttp_call_next(call) >= 0 && sphttp_call_next(call) >= 0);
    CHECK(sphttp_call_next(call) == -1);
    sphttp_call_allow(call, 3);
    call->page->next = 4;
    nest_look_for_lost(call->nursery);
    CHECK(call->page->next == 2);
    call->page->next = 3;
    call->state[2] = ITEM_LOST;
    nest_look_for_lost(call->nursery); /* the next has to wait */
    CHECK(call->page->next == 3);
    end(call);
}

/* When a nursery of three children next looks at its clocks. */
static int64_t
next_of(struct nursery *nursery)
{
    nursery->due_ns = 0;
    limits_enforce(nursery);
    return limits_next(nursery);
}

static void
the_nearest_limit_is_that_of_the_oldest_item(void)
{
    sphttp_call *call = open_call(3, 3, SPHTTP_POOL);
    struct nursery *nursery = call->nursery;
    CHECK(sphttp_call_limit(call, 100 * SECOND, 0, 0) == 0);
    CHECK(next_of(nursery) == INT64_MAX); /* no child, no clock */
    int64_t now = now_ns();
    nursery->running = 3;
    for (uint32_t slot = 0; slot < 3; slot++) {
        call->living[slot].pid = getpid();
        call->living[slot].forked_ns = now - 10 * SECOND;
        call->hands[slot].item = slot + 1;
        call->hands[slot].since_ns = now - slot * SECOND;
        call->state[slot] = item_running(slot);
    }
    CHECK(next_of(nursery) == now + 98 * SECOND);
    call->state[2] = ITEM_DONE; /* its child will have another */
    CHECK(next_of(nursery) == now + 99 * SECOND);
    CHECK(sphttp_call_limit(call, 100 * SECOND, 10 * SECOND, 0) == 0);
    CHECK(next_of(nursery) == call->ledger->deadline_ns);
    for (uint32_t slot = 0; slot < 3; slot++) {
        call->living[slot].pid = 0;
    }
    end(call);
}

/* A child that sets its clock back to nothing, or far ahead, is late all the same. */
static void
a_clock_that_was_scribbled_on_runs_on(void)
{
    sphttp_call *call = open_call(1, 1, SPHTTP_POOL);
    CHECK(sphttp_call_limit(call, 100 * SECOND, 0, 0) == 0);
    struct nursery *nursery = call->nursery;
    nursery->running = 1;
    int64_t now = now_ns();
    call->living[0].pid = getpid();
    call->living[0].forked_ns = now - 10 * SECOND;
    call->hands[0].item = 1;
    call->state[0] = item_running(0);
    static const int64_t scribbled[] = {0, INT64_MAX, INT64_MIN, 1};
    for (size_t i = 0; i < 4; i++) {
        call->hands[0].since_ns = scribbled[i];
        CHECK(next_of(nursery) <= now_ns() + 100 * SECOND);
        CHECK(next_of(nursery) >= now + 90 * SECOND);
        CHECK(nursery->seen[0].since >= now);
    }
    call->living[0].pid = 0;
    end(call);
}

/* --- Abort ------------------------------------------------------------------------ */

static int lives[2]; /* a pipe whose write end every process of the call has */

/* Item 0 is committed; whoever has another is deaf and stays. */
static void
commit_or_stay(sphttp_call *call, uint32_t index)
{
    sigset_t all;
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
    if (index == 0) {
        int64_t next =
            sphttp_child_commit(call, 0, SPHTTP_RETURNED, "yes", 3);
        CHECK(next >= 0);
    }
    for (;;) {
        (void)pause();
    }
}

static void *
abort_call(void *whose)
{
    sphttp_call *call = whose;
    for (int i = 0; i < 2000 && (page_item(call, 0) & ITEM_KIND) != ITEM_DONE;
         i++) {
        (void)nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    (void)nanosleep(&(struct timespec){0, 20000000}, NULL);
    int64_t begun = now_ns();
    CHECK(sphttp_call_abort(call) == 0);
    CHECK(now_ns() - begun < SECOND / 2);
    close_end(&lives[1]);
    CHECK(read(lives[0], (char[1]){0}, 1) == 0); /* nobody has the other end */
    return NULL;
}

static void
an_abort_leaves_nothing_alive_and_keeps_what_was_committed(void)
{
    for (int pool = 0; pool < 2; pool++) {
        CHECK(pipe2(lives, O_CLOEXEC | O_NONBLOCK) == 0);
        sphttp_call *call = open_call(4, 2, pool ? SPHTTP_POOL : 0);
        call->child.linger = pool;
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, abort_call, call) == 0);
        CHECK(run(call, commit_or_stay) == -ECANCELED);
        CHECK(pthread_join(thread, NULL) == 0);
        close_end(&lives[0]);
        CHECK(finished(call) == -ECANCELED && sphttp_call_stopping(call));
        sphttp_result result = result_of(call, 0);
        CHECK(result.fate == SPHTTP_RETURNED && result.size == 3);
        CHECK(result_of(call, 1).fate == SPHTTP_CUT);
        CHECK(result_of(call, 3).fate == SPHTTP_NOT_BEGUN);
        end(call);
    }
}

static void
what_is_aborted_before_it_begins_does_not(void)
{
    for (int pool = 0; pool < 2; pool++) {
        sphttp_call *call = open_call(2, 2, pool ? SPHTTP_POOL : 0);
        CHECK(sphttp_call_abort(call) == 0);
        CHECK(run(call, commit_number) == -ECANCELED);
        CHECK(call->host->nursery_pid == 0);
        CHECK(result_of(call, 0).fate == SPHTTP_NOT_BEGUN);
        end(call);
    }
}

static void
commit_all(sphttp_call *call, uint32_t index)
{
    for (int64_t next = index; next >= 0;) {
        next = sphttp_child_commit(call, (uint32_t)next, SPHTTP_RETURNED, "x",
                                   1);
    }
}

static void *
abort_at_some_time(void *whose)
{
    sphttp_call *call = whose;
    long ns = (long)(call->plan.key[0] * 256 + call->plan.key[1]) * 100;
    (void)nanosleep(&(struct timespec){0, ns}, NULL);
    CHECK(sphttp_call_abort(call) == 0);
    return NULL;
}

static void
an_abort_may_come_at_any_time(void)
{
    int aborted = 0;
    for (int i = 0; i < 100; i++) {
        sphttp_call *call =
            open_call(8, 4, i % 2 == 0 ? SPHTTP_POOL | SPHTTP_TELL : 0);
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, abort_at_some_time, call) == 0);
        int err = run(call, commit_all);
        while (err == SPHTTP_NEWS) {
            err = finished(call);
        }
        CHECK(err == 0 || err == -ECANCELED);
        for (uint32_t item = 0; item < 8; item++) {
            int fate = result_of(call, item).fate;
            CHECK(fate == SPHTTP_RETURNED ||
                  (err != 0 &&
                   (fate == SPHTTP_CUT || fate == SPHTTP_NOT_BEGUN)));
        }
        aborted += err != 0;
        CHECK(pthread_join(thread, NULL) == 0);
        end(call);
    }
    CHECK(aborted > 0);
}

static void
a_nursery_that_is_dismissed_says_when_it_is_gone(void)
{
    sphttp_call *call = open_call(1, 1, 0);
    CHECK(sphttp_call_ending(call) == -1 && sphttp_call_dismiss(call) == 0);
    fork_for(call, commit_or_stay);
    int fd = sphttp_call_ending(call);
    CHECK(fd >= 0 && fd == call->host->nursery_fd);
    CHECK(sphttp_call_dismiss(call) == 0);
    struct pollfd gone = {.fd = fd, .events = POLLIN};
    CHECK(poll(&gone, 1, 3000) == 1 && sphttp_call_ending(call) == -1);
    int64_t begun = now_ns();
    end(call);
    CHECK(now_ns() - begun < SECOND);
}

static void
arguments_are_checked(void)
{
    sphttp_call *call = NULL;
    CHECK(sphttp_call_open(0, 1, 0, root, &call) == -EOVERFLOW);
    CHECK(sphttp_call_open(1, 0, 0, root, &call) == -EOVERFLOW);
    CHECK(sphttp_call_open(UINT32_MAX, 1, 0, root, &call) == -EOVERFLOW);
    char name[PATH_MAX + 2];
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    CHECK(sphttp_call_open(1, 1, 0, name, &call) == -ENAMETOOLONG);
    CHECK(call == NULL);
    call_free(NULL);
}

static void
hmac_is_that_of_rfc_4231(void)
{
    char hex[65];
    CHECK(sphttp_hmac_sha256_hex("Jefe", 4, "what do ya want for nothing?", 28,
                                 hex) == 0);
    CHECK(strcmp(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b9"
                      "64ec3843") == 0);
    CHECK(sphttp_hmac_sha256_hex("", 0, "", 0, hex) == 0);
    CHECK(strcmp(hex, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c71214"
                      "4292c5ad") == 0);
    CHECK(sphttp_hmac_sha256_hex("", (size_t)INT_MAX + 1, "", 0, hex) ==
          -EOVERFLOW);
}

int
main(void)
{
    static const struct test tests[] = {
        TEST(every_item_has_its_result),
        TEST(no_more_children_than_allowed),
        TEST(a_death_costs_its_item_only),
        TEST(after_a_failure_no_item_is_begun),
        TEST(short_writes_are_gone_on_with),
        TEST(a_spoilt_record_is_refused),
        TEST(a_child_that_scribbles_on_the_page_crashes_nobody),
        TEST(no_child_has_what_host_and_nursery_believe),
        TEST(a_lost_nursery_is_followed_by_another),
        TEST(the_third_nursery_is_not_forked),
        TEST(a_pool_loses_what_was_in_hand_and_no_more),
        TEST(items_set_aside_for_a_child_that_is_slow_are_taken_by_others),
        TEST(a_pool_child_that_scribbles_on_the_page_crashes_nobody),
        TEST(no_item_is_taken_from_the_watermark_on),
        TEST(a_mark_that_was_scribbled_on_is_put_right),
        TEST(what_is_wrong_with_all_children_is_told_once),
        TEST(an_abandoned_call_leaves_no_process_and_no_directory),
        TEST(what_somebody_planted_is_not_used),
        TEST(the_directory_is_named_after_the_caller),
        TEST(a_lost_directory_is_an_error_with_errno),
        TEST(a_root_that_is_not_there_is_an_error_with_errno),
        TEST(a_record_that_was_not_committed_is_in_nobodys_way),
        TEST(a_refused_fork_is_made_up_for_later),
        TEST(items_are_told_of_in_the_order_in_which_they_ended),
        TEST(one_that_runs_for_long_among_quick_ones_is_told_of_at_last),
        TEST(what_is_beyond_the_watermark_is_not_looked_at),
        TEST(who_ends_an_item_rings_once_for_a_host_that_sleeps),
        TEST(a_host_that_naps_is_woken_for_many_or_by_who_has_nothing_to_do),
        TEST(an_item_that_was_lost_is_told_of_with_its_report),
        TEST(an_item_of_a_child_that_died_before_it_could_tell_is_told_of),
        TEST(a_late_item_that_was_committed_costs_no_other),
        TEST(a_child_that_works_is_not_taken_for_one_that_leaves),
        TEST(what_is_nobodys_is_told_of),
        TEST(whom_the_host_let_begin_is_looked_for_whatever_a_child_says),
        TEST(the_nearest_limit_is_that_of_the_oldest_item),
        TEST(a_clock_that_was_scribbled_on_runs_on),
        TEST(an_abort_leaves_nothing_alive_and_keeps_what_was_committed),
        TEST(what_is_aborted_before_it_begins_does_not),
        TEST(an_abort_may_come_at_any_time),
        TEST(a_nursery_that_is_dismissed_says_when_it_is_gone),
        TEST(arguments_are_checked),
        TEST(hmac_is_that_of_rfc_4231),
    };
    CHECK(mkdtemp(root) != NULL);
    run_tests(tests, sizeof(tests) / sizeof(*tests));
    CHECK(rmdir(root) == 0);
    return 0;
}
