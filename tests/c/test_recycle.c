/* The memory of a fed call's records is used again: without Python, built with ASan and
 * UBSan by tests/test_c_core.py. Prints a line for each test that has passed. */
#include "check.h"

#include "base/cdef.h"
#include "child/item.h"
#include "host/call.h"
#include "host/host.h"
#include "host/open.h"
#include "shared/pool.h"
#include "shared/runs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { WINDOW = 64, FED = SPHTTP_POOL | SPHTTP_FED };

static bool some_die;
static uint32_t slow = UINT32_MAX; /* the item that takes long */
static uint32_t large_every = 1;
static size_t large = 1000; /* bytes, of each such record; else 1000 */

/* Which item is in this cell, as a child finds it. */
static int64_t
number_in(sphttp_call *call, int64_t cell)
{
    const char *at;
    size_t size;
    int64_t number;
    CHECK(item_find(call, (uint32_t)cell, &at, &size) == 0);
    memcpy(&number, at, sizeof(number));
    return number;
}

static size_t
size_of(uint32_t index)
{
    return index % large_every == 0 ? large : 1000;
}

static void
work(sphttp_call *call, int64_t cell)
{
    size_t most = large > 1000 ? large : 1000;
    char *text = malloc(most);
    while (cell >= 0) {
        int64_t index = number_in(call, cell);
        size_t size = size_of((uint32_t)index);
        memset(text, 'a' + (int)(index % 26), size);
        memcpy(text, &index, sizeof(index));
        if (index == slow) {
            (void)nanosleep(&(struct timespec){0, 500000000}, NULL);
        }
        if (some_die && index % 997 == 13) {
            (void)raise(SIGKILL);
        }
        cell = sphttp_child_commit(call, (uint32_t)cell, SPHTTP_RETURNED, text,
                                   size);
        if (some_die && index % 991 == 13) {
            (void)raise(SIGKILL); /* behind a commit */
        }
    }
    _exit(0);
}

/* How many had no result. */
static uint32_t
look_at(sphttp_call *call, uint32_t cell, int64_t index)
{
    sphttp_result result;
    sphttp_call_result(call, cell, &result);
    if (result.fate == SPHTTP_DIED && some_die) {
        return 1;
    }
    CHECK(result.fate == SPHTTP_RETURNED && result.pid > 0);
    CHECK(result.size == size_of((uint32_t)index));
    CHECK(memcmp(result.payload, &index, sizeof(index)) == 0);
    CHECK(result.payload[result.size - 1] == 'a' + (int)(index % 26));
    return 0;
}

/* Run a call of so many items, no more than WINDOW of them at a time. What it has had of
 * the memory, bytes. */
static uint64_t
run(uint32_t count, uint32_t alive, uint32_t *lost)
{
    sphttp_call *call;
    int64_t number[WINDOW], cell;
    uint32_t fed = 0, told = 0;
    int kind;
    *lost = 0;
    CHECK(sphttp_call_open(WINDOW, alive, FED, "/tmp", &call) == 0);
    do {
        for (; fed < count; number[cell] = fed++) {
            int64_t next = fed;
            cell = feed_put(call, &next, sizeof(next), false);
            if (cell < 0) {
                CHECK(cell == -EAGAIN);
                break;
            }
        }
        if (fed == count) {
            sphttp_call_end_feed(call);
        }
        if (call_is_to_fork(call)) {
            sphttp_event event = call_fork(call);
            if (event.kind == SPHTTP_CHILD) {
                work(call, event.index);
            }
            CHECK(event.kind == SPHTTP_STARTED);
        }
        kind = call_finish(call).kind;
        for (; kind != SPHTTP_FORK_AGAIN &&
               (cell = sphttp_call_next(call)) >= 0;
             told++) {
            *lost += look_at(call, (uint32_t)cell, number[cell]);
            sphttp_call_release(call, (uint32_t)cell);
        }
    } while (kind == SPHTTP_NEWS || kind == SPHTTP_FORK_AGAIN);
    CHECK(kind == SPHTTP_ENDED && told == count);
    struct stat st;
    CHECK(fstat(call->memory.fd, &st) == 0);
    call_free(call);
    return (uint64_t)st.st_size;
}

static void
an_endless_call_needs_little_memory(void)
{
    uint32_t lost;
    uint64_t size = run(100000, 3, &lost); /* 100 MB of records */
    CHECK(lost == 0 && size <= 16 << 20);
}

static void
one_slow_item_does_not_hold_what_the_others_had(void)
{
    uint32_t lost;
    slow = 5;
    uint64_t size = run(50000, 3, &lost);
    slow = UINT32_MAX;
    CHECK(lost == 0 && size <= 16 << 20);
}

static void
large_records_have_runs_of_their_own(void)
{
    uint32_t lost;
    large_every = 50;
    large = 3 << 20;
    uint64_t size = run(5000, 3, &lost); /* 300 MB of them */
    large_every = 1;
    CHECK(lost == 0 && size <= 64 << 20);
    large = 1000;
}

static void
what_a_killed_child_had_is_used_again(void)
{
    uint32_t lost;
    some_die = true;
    uint64_t size = run(100000, 3, &lost);
    some_die = false;
    CHECK(lost >= 100 && size <= 16 << 20);
}

static void
a_limit_of_file_sizes_is_no_limit_of_all_results(void)
{
    struct rlimit before, little = {16 << 20, RLIM_INFINITY};
    uint32_t lost;
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    little.rlim_max = before.rlim_max;
    CHECK(setrlimit(RLIMIT_FSIZE, &little) == 0);
    (void)run(50000, 2, &lost);
    CHECK(lost == 0 && setrlimit(RLIMIT_FSIZE, &before) == 0);
}

static void
names_of_runs_are_read_as_they_were_written(void)
{
    for (uint64_t at = 0; at < UINT64_C(1) << 40; at = at * 3 + RUN_UNIT) {
        for (uint64_t size = 1; size < UINT64_C(1) << 36; size *= 4) {
            uint64_t run = run_of(at, size);
            CHECK(run_offset(run) == at && run_size(run) >= size);
            CHECK(run_size(run) < 2 * size || size < RUN_UNIT);
            CHECK(run_plausible(run, at + run_size(run)));
            CHECK(!run_plausible(run, at + run_size(run) - 1));
        }
    }
    CHECK(!run_plausible(0, UINT64_MAX) && !run_plausible(UINT64_MAX, 1));
    CHECK(!run_plausible(UINT64_MAX, UINT64_MAX));
}

/* Its words are any child's to write. */
static void
what_a_stray_offers_is_not_taken(void)
{
    sphttp_call *call;
    CHECK(sphttp_call_open(9, 1, FED, "/tmp", &call) == 0);
    CHECK(ftruncate(call->memory.fd, 4 * RUN_UNIT) == 0);
    call->spares[0] = UINT64_MAX;
    call->spares[1] = run_of(4 * RUN_UNIT, RUN_UNIT); /* behind the end */
    call->spares[2] = run_of(0, 2 * RUN_UNIT);        /* in the wrong bank */
    CHECK(runs_take(call, RUN_UNIT) == 0);
    uint64_t run = run_of(3 * RUN_UNIT, RUN_UNIT);
    CHECK(runs_offer(call, run) && runs_take(call, RUN_UNIT) == run);
    CHECK(runs_take(call, RUN_UNIT) == 0);
    runs_ask(call);
    runs_copied(call, UINT64_MAX);
    runs_copied(call, 0);
    runs_copied(call, run_of(INT64_MAX, RUN_UNIT));
    CHECK(call->host->runs.count == 0);
    call_free(call);
}

/* A run is free when nobody had it before a look, and not when it is first seen in that. */
static void
a_run_is_free_one_look_after_its_child_has_left_it(void)
{
    sphttp_call *call;
    CHECK(sphttp_call_open(9, 1, FED, "/tmp", &call) == 0);
    CHECK(ftruncate(call->memory.fd, 4 * RUN_UNIT) == 0);
    uint64_t run = run_of(RUN_UNIT, RUN_UNIT);
    runs_ask(call);
    runs_copied(call, run); /* taken, written to and left since */
    runs_reuse(call);
    CHECK(runs_take(call, RUN_UNIT) == 0);
    call->hands[0].run = run;
    runs_ask(call);
    runs_reuse(call);
    CHECK(runs_take(call, RUN_UNIT) == 0);
    runs_orphan(call, 0); /* its child is gone */
    runs_ask(call);
    runs_reuse(call);
    CHECK(runs_take(call, RUN_UNIT) == run && call->host->runs.count == 0);
    call_free(call);
}

int
main(void)
{
    static const struct test tests[] = {
        TEST(names_of_runs_are_read_as_they_were_written),
        TEST(what_a_stray_offers_is_not_taken),
        TEST(a_run_is_free_one_look_after_its_child_has_left_it),
        TEST(an_endless_call_needs_little_memory),
        TEST(one_slow_item_does_not_hold_what_the_others_had),
        TEST(large_records_have_runs_of_their_own),
        TEST(what_a_killed_child_had_is_used_again),
        TEST(a_limit_of_file_sizes_is_no_limit_of_all_results),
    };
    run_tests(tests, sizeof(tests) / sizeof(*tests));
    return 0;
}
