/* Fed calls: items that come while children run, in cells that are used anew; and
 * quotas. Built and run as test_core.c is. */
#include "check.h"

#include "base/cdef.h"
#include "child/hand.h"
#include "child/item.h"
#include "host/call.h"
#include "host/host.h"
#include "host/news.h"
#include "host/open.h"
#include "host/store.h"
#include "nursery/hands.h"
#include "nursery/limits.h"
#include "nursery/nursery.h"
#include "nursery/strays.h"
#include "shared/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { POOL = SPHTTP_POOL | SPHTTP_LINGER | SPHTTP_FED };

/* --- A host that feeds, and children that double ------------------------------------ */

static char root[] = "/tmp/tep_feed_XXXXXX";

/* What a host and its children know of a test, in memory that they share. */
struct facts {
    _Atomic uint32_t taken[4096]; /* so often each number has been begun... */
    _Atomic uint32_t pids[4096];  /* ...and by whom, last */
    _Atomic uint32_t opened;      /* what somebody waits for */
};
static struct facts *facts;

static void
nap(void)
{
    (void)nanosleep(&(struct timespec){0, 200000}, NULL);
}

static sphttp_call *
open_call(uint32_t cells, uint32_t alive, int how)
{
    sphttp_call *call;
    memset((void *)facts, 0, sizeof(*facts));
    CHECK(sphttp_call_open(cells, alive, how, root, &call) == 0);
    return call;
}

/* Item `number`: its text, of a length that differs. */
static size_t
item_text(uint64_t number, char *text)
{
    int n = sprintf(text, "%llu ", (unsigned long long)number);
    size_t size = (size_t)n + number * 37 % 300;
    memset(text + n, 'a' + (int)(number % 26), size - (size_t)n);
    return size;
}

static int64_t
feed(sphttp_call *call, uint64_t number)
{
    char text[400];
    size_t size = item_text(number, text);
    return feed_put(call, text, size, number % 5 == 4);
}

/* In a child: the number of the item in this cell, which must be whole. */
static uint64_t
number_in(sphttp_call *call, int64_t cell)
{
    char text[400];
    const char *at;
    size_t size;
    int kind = item_find(call, (uint32_t)cell, &at, &size);
    CHECK(kind >= 0);
    uint64_t number = strtoull(at, NULL, 10);
    CHECK(kind == (number % 5 == 4));
    CHECK(size == item_text(number, text) && memcmp(at, text, size) == 0);
    return number;
}

/* What a child does with the number, before it commits. */
typedef void work_t(sphttp_call *call, uint64_t number);

static void
nothing(sphttp_call *call, uint64_t number)
{
    (void)call;
    (void)number;
}

static void
serve(sphttp_call *call, int64_t cell, work_t *work)
{
    while (cell >= 0) {
        uint64_t number = number_in(call, cell);
        facts->taken[number % 4096]++;
        facts->pids[number % 4096] = (uint32_t)getpid();
        work(call, number);
        char text[24];
        int n = sprintf(text, "%llu", (unsigned long long)number * 2);
        cell = sphttp_child_commit(call, (uint32_t)cell, SPHTTP_RETURNED, text,
                                   (size_t)n);
    }
    _exit(0);
}

static void
start(sphttp_call *call, work_t *work)
{
    sphttp_event event = call_fork(call);
    if (event.kind == SPHTTP_CHILD) {
        serve(call, event.index, work);
    }
    CHECK(event.kind == SPHTTP_STARTED);
}

/* Has it ended, and is all known of how? */
static bool
ended(sphttp_call *call, uint32_t cell)
{
    uint64_t word = page_item(call, cell);
    return (call->plan.pool && item_committed(word)) ||
           call->report[cell].ended_ns != 0;
}

/* What became of it: SPHTTP_RETURNED with twice its number, or another fate. */
static int
fate_in(sphttp_call *call, uint32_t cell, uint64_t number)
{
    char text[24];
    int n = sprintf(text, "%llu", (unsigned long long)number * 2);
    sphttp_result result;
    runs_ask(call);
    news_drain(call, SPHTTP_NEWS);
    CHECK(call->host->store->gather(call, false) == 0);
    while (sphttp_call_next(call) >= 0) {
    }
    sphttp_call_result(call, cell, &result);
    if (result.fate == SPHTTP_RETURNED) {
        CHECK(result.size == (uint64_t)n);
        CHECK(memcmp(result.payload, text, result.size) == 0);
    }
    sphttp_call_drop(call, cell);
    return result.fate;
}

static void (*meanwhile)(sphttp_call *call); /* what somebody else does; or NULL */

/* Feed `count` items as cells become free, fetch what ends, and count by fate, below 0
 * as SPHTTP_DIED. In the order of their ends, or of their numbers. */
static void
run_fed(sphttp_call *call, uint64_t count, bool in_order, uint64_t *returned,
        uint64_t *lost)
{
    uint32_t cells = call->plan.count;
    uint64_t *held = calloc(cells, sizeof(*held)); /* 1 + number */
    uint64_t fed = 0, fetched = 0;
    *returned = *lost = 0;
    for (int idle = 0; fetched < count; idle++) {
        CHECK(idle < 100000);
        while (fed < count) {
            int64_t cell = feed(call, fed);
            if (cell == -EAGAIN) {
                break;
            }
            CHECK(cell >= 0 && cell < cells && held[cell] == 0);
            held[cell] = ++fed;
        }
        if (fed == count) {
            sphttp_call_end_feed(call);
        }
        if (meanwhile != NULL) {
            meanwhile(call);
        }
        for (uint32_t cell = 0; cell < cells; cell++) {
            if (held[cell] == 0 || !ended(call, cell) ||
                (in_order && held[cell] != fetched + 1)) {
                continue;
            }
            bool well = fate_in(call, cell, held[cell] - 1) == SPHTTP_RETURNED;
            *returned += well;
            *lost += !well;
            sphttp_call_release(call, cell);
            sphttp_call_release(call, cell);
            held[cell] = 0;
            fetched++;
            idle = 0;
        }
        if (idle > 3) {
            nap();
        }
    }
    free(held);
}

/* What the call has to say, when it has told of all that has ended. */
static int
last_word(sphttp_call *call)
{
    int kind = SPHTTP_NEWS;
    while (kind == SPHTTP_NEWS) {
        kind = call_finish(call).kind;
        while (kind == SPHTTP_NEWS && sphttp_call_next(call) >= 0) {
        }
    }
    return kind;
}

static void
finish(sphttp_call *call)
{
    CHECK(last_word(call) == SPHTTP_ENDED);
    call_free(call);
    CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

/* --- Tests ------------------------------------------------------------------------ */

static void
items_come_and_go_in_cells_that_are_used_anew(void)
{
    static const uint32_t cells[] = {1, 2, 3, 64, 100};
    for (int i = 0; i < 10; i++) {
        sphttp_call *call = open_call(cells[i / 2], 2, POOL);
        start(call, nothing);
        uint64_t returned, lost;
        run_fed(call, 2000, i % 2 == 0, &returned, &lost);
        CHECK(returned == 2000 && lost == 0);
        for (int number = 0; number < 2000; number++) {
            CHECK(facts->taken[number] == 1);
        }
        finish(call);
    }
}

static void
what_is_fed_before_the_fork_is_there_and_so_is_an_end(void)
{
    for (uint64_t count = 0; count <= 8; count += 4) {
        sphttp_call *call = open_call(8, 2, POOL);
        for (uint64_t i = 0; i < count; i++) {
            CHECK(feed(call, i) == (int64_t)i);
        }
        if (count == 8) {
            CHECK(feed(call, 8) == -EAGAIN);
        }
        sphttp_call_end_feed(call);
        start(call, nothing);
        CHECK(last_word(call) == SPHTTP_ENDED);
        for (uint32_t i = 0; i < count; i++) {
            CHECK(fate_in(call, i, i) == SPHTTP_RETURNED);
        }
        finish(call);
    }
}

/* The nursery is asleep, and so are the children. */
static void
who_sleeps_is_woken_for_one_item(void)
{
    for (int how = 0; how < 2; how++) {
        int flags = how == 0 ? POOL : SPHTTP_FED;
        sphttp_call *call = open_call(4, 2, flags);
        start(call, nothing);
        for (uint64_t i = 0; i < 20; i++) {
            (void)nanosleep(&(struct timespec){0, 3000000}, NULL);
            int64_t cell = feed(call, i);
            CHECK(cell >= 0);
            int64_t end = now_ns() + 900000000; /* before anybody looks by himself */
            while (!ended(call, (uint32_t)cell)) {
                CHECK(now_ns() < end);
                nap();
            }
            CHECK(fate_in(call, (uint32_t)cell, i) == SPHTTP_RETURNED);
            sphttp_call_release(call, (uint32_t)cell);
        }
        sphttp_call_end_feed(call);
        finish(call);
    }
}

static void
each_fed_item_may_have_a_child_of_its_own(void)
{
    sphttp_call *call = open_call(6, 3, SPHTTP_FED);
    start(call, nothing);
    uint64_t returned, lost;
    run_fed(call, 200, false, &returned, &lost);
    CHECK(returned == 200 && lost == 0);
    for (int i = 0; i < 200; i++) {
        CHECK(facts->taken[i] == 1);
        for (int k = 0; k < i; k++) {
            CHECK(facts->pids[i] != facts->pids[k]);
        }
    }
    finish(call);
}

static void
wait_at_3(sphttp_call *call, uint64_t number)
{
    (void)call;
    while (number == 3 && facts->opened == 0) {
        nap();
    }
}

static void
one_slow_item_does_not_stop_the_rest(void)
{
    sphttp_call *call = open_call(8, 2, POOL);
    start(call, wait_at_3);
    uint64_t fetched = 0, fed = 0, held[8] = {0};
    for (int idle = 0; fetched < 3000; idle++) {
        CHECK(idle < 100000);
        int64_t cell = feed(call, fed);
        if (cell >= 0) {
            held[cell] = ++fed;
        }
        for (uint32_t i = 0; i < 8; i++) {
            if (held[i] != 0 && ended(call, i)) {
                CHECK(fate_in(call, i, held[i] - 1) == SPHTTP_RETURNED);
                sphttp_call_release(call, i);
                held[i] = 0;
                fetched++;
                idle = 0;
            }
        }
        if (idle > 3) {
            nap();
        }
    }
    facts->opened = 1;
    sphttp_call_end_feed(call);
    finish(call);
}

static void
die_now_and_then(sphttp_call *call, uint64_t number)
{
    (void)call;
    if (number * 2654435761 % 97 < 3) {
        (void)kill(getpid(), SIGKILL);
    }
}

static void
a_death_costs_the_item_that_was_in_hand(void)
{
    uint64_t expected = 0;
    for (uint64_t i = 0; i < 2000; i++) {
        expected += i * 2654435761 % 97 < 3;
    }
    for (int i = 0; i < 2; i++) {
        sphttp_call *call = open_call(i == 0 ? 16 : 64, 2, POOL);
        start(call, die_now_and_then);
        uint64_t returned, lost;
        run_fed(call, 2000, i == 0, &returned, &lost);
        CHECK(lost == expected && returned == 2000 - lost);
        finish(call);
    }
}

static void
die_twice(sphttp_call *call, uint64_t number)
{
    (void)call;
    if (number % 50 == 7 && facts->taken[number % 4096] <= 2) {
        (void)nanosleep(&(struct timespec){0, 2000000}, NULL);
        (void)kill(getpid(), SIGKILL);
    }
}

/* Also where the ring has gone round meanwhile. */
static void
what_is_tried_again_is_found_again(void)
{
    for (int how = 0; how < 6; how++) {
        int flags = how % 3 == 2 ? SPHTTP_FED : POOL;
        uint64_t count = how % 3 == 2 ? 150 : 2000;
        sphttp_call *call = open_call(how % 3 == 0 ? 4 : 64, 2, flags);
        CHECK(sphttp_call_limit(call, 0, 0, 2) == 0);
        start(call, die_twice);
        uint64_t returned, lost;
        run_fed(call, count, how < 3, &returned, &lost);
        CHECK(returned == count && lost == 0);
        finish(call);
    }
}

/* Whatever it does at that moment; it may be asleep. */
static void
kill_one(sphttp_call *call)
{
    pid_t pid = call->living[(uint32_t)rand() % call->plan.alive].pid;
    if (rand() % 20 == 0 && pid > 0) {
        (void)kill(pid, SIGKILL);
        nap();
    }
}

static void
kills_at_random_cost_no_more_than_was_in_hand(void)
{
    for (unsigned seed = 0; seed < 8; seed++) {
        srand(seed);
        sphttp_call *call = open_call(seed % 2 == 0 ? 4 : 40, 3,
                                      seed == 7 ? SPHTTP_FED : POOL);
        CHECK(sphttp_call_limit(call, 0, 0, seed % 4 == 1 ? 1000 : 0) == 0);
        sphttp_call_quota(call, seed == 3 || seed == 4 ? 20 : 0);
        start(call, nothing);
        uint64_t count = seed == 7 ? 100 : 3000, returned, lost;
        meanwhile = kill_one;
        run_fed(call, count, seed < 4, &returned, &lost);
        meanwhile = NULL;
        CHECK(returned + lost == count && (lost == 0 || seed % 4 != 1));
        finish(call);
    }
}

static void
a_child_makes_room_when_it_has_taken_its_quota(void)
{
    for (int fed = 0; fed < 2; fed++) {
        sphttp_call *call =
            open_call(fed ? 32 : 1000, 2,
                      fed ? POOL : SPHTTP_POOL | SPHTTP_LINGER);
        sphttp_call_quota(call, 3);
        if (fed) {
            start(call, nothing);
            uint64_t returned, lost;
            run_fed(call, 1000, false, &returned, &lost);
            CHECK(returned == 1000);
        }
        else {
            sphttp_event event = call_fork(call);
            for (int64_t next = event.index;
                 event.kind == SPHTTP_CHILD && next >= 0;) {
                facts->pids[next] = (uint32_t)getpid();
                next = sphttp_child_commit(call, (uint32_t)next,
                                           SPHTTP_RETURNED, "", 0);
            }
            if (event.kind == SPHTTP_CHILD) {
                _exit(0);
            }
        }
        CHECK(last_word(call) == SPHTTP_ENDED);
        for (int i = 0; i < 1000; i++) {
            int same = 0;
            for (int k = 0; k < 1000; k++) {
                same += facts->pids[k] == facts->pids[i];
            }
            CHECK(facts->pids[i] != 0 && same <= 3);
        }
        finish(call);
    }
}

static void
kill_the_nursery_at_100(sphttp_call *call, uint64_t number)
{
    if (number == 100 && call->host->nurseries_lost == 0) {
        (void)kill(getppid(), SIGKILL);
        (void)pause();
    }
}

static void
a_lost_nursery_is_followed_by_another(void)
{
    sphttp_call *call = open_call(8, 2, POOL);
    start(call, kill_the_nursery_at_100);
    uint64_t fed = 0, returned = 0, lost = 0, held[8] = {0};
    for (int idle = 0; returned + lost < 300; idle++) {
        CHECK(idle < 100000);
        int64_t cell = fed < 300 ? feed(call, fed) : -EAGAIN;
        if (cell >= 0) {
            held[cell] = ++fed;
        }
        if (poll(&(struct pollfd){call->host->host_end.fd, POLLIN, 0}, 1, 0) > 0) {
            CHECK(last_word(call) == SPHTTP_FORK_AGAIN);
            start(call, kill_the_nursery_at_100);
        }
        for (uint32_t i = 0; i < 8; i++) {
            uint64_t word = page_item(call, i);
            /* Whose end nobody saw the host has settled itself. */
            if (held[i] != 0 && (ended(call, i) || word == ITEM_LOST)) {
                bool well = fate_in(call, i, held[i] - 1) == SPHTTP_RETURNED;
                returned += well;
                lost += !well;
                sphttp_call_release(call, i);
                held[i] = 0;
                idle = 0;
            }
        }
        if (idle > 3) {
            nap();
        }
    }
    CHECK(lost >= 1 && lost <= 2);
    sphttp_call_end_feed(call);
    finish(call);
}

static void
what_is_fed_to_a_call_that_stops_does_not_begin(void)
{
    sphttp_call *call = open_call(4, 2, POOL);
    start(call, nothing);
    page_stop(call->page, STOP_NEW);
    CHECK(feed(call, 0) == 0);
    CHECK(last_word(call) == SPHTTP_ENDED);
    CHECK(feed(call, 1) == 1);
    CHECK(fate_in(call, 0, 0) == SPHTTP_NOT_BEGUN);
    CHECK(fate_in(call, 1, 1) == SPHTTP_NOT_BEGUN);
    finish(call);
}

/* --- Words that name another item ---------------------------------------------------- */

/* As a child would, in this process: hand 0. */
static void
be_child(sphttp_call *call)
{
    call->child.left = UINT64_MAX;
    call->living[0].pid = getpid();
    call->living[0].forked_ns = now_ns() - 100 * SECOND;
}

static void
an_item_in_a_late_ones_cell_is_not_late(void)
{
    sphttp_call *call = open_call(1, 1, POOL);
    CHECK(sphttp_call_limit(call, 10 * SECOND, 0, 0) == 0);
    be_child(call);
    struct nursery *nursery = call->nursery;
    nursery->running = 1;
    nursery->seen[0].asked = -1;
    for (uint64_t number = 0; number < 3; number++) {
        CHECK(feed(call, number) == 0);
        call->hands[0].since_ns = now_ns();
        CHECK(hand_take(call, TAKE_NOW) == 0);
        limits_look(nursery);
        CHECK(nursery->seen[0].item == 1 && nursery->seen[0].number == number);
        CHECK(nursery->seen[0].since >= call->hands[0].since_ns);
        nursery->seen[0].since -= 20 * SECOND; /* it is late... */
        CHECK(hand_commit(call, 0, ITEM_DISCARDED)); /* ...and done */
        CHECK(ended(call, 0) || (call->ledger->how & ROUND_DISCARDS) == 0);
        sphttp_call_release(call, 0);
        CHECK(feed(call, ++number) == 0);
        CHECK(hand_take(call, TAKE_NOW) == 0);
        CHECK(hand_give_up_number(call, 0, 1, number - 1, ITEM_LATE) == -1);
        CHECK(page_runs(call, 0, 0));
        CHECK(hand_give_up_number(call, 0, 1, number, ITEM_LATE) == 0);
        CHECK(page_item(call, 0) == ITEM_LATE);
        sphttp_call_release(call, 0);
    }
    call->living[0].pid = 0;
    call_free(call);
}

static void
a_commit_is_of_the_item_that_was_taken(void)
{
    sphttp_call *call = open_call(1, 1, POOL);
    be_child(call);
    CHECK(feed(call, 0) == 0 && hand_take(call, TAKE_NOW) == 0);
    CHECK(hand_give_up(call, 0, 1, ITEM_LOST) == 0);
    sphttp_call_release(call, 0);
    CHECK(feed(call, 1) == 0);
    sphttp_call slow = *call; /* it still has item 0 */
    CHECK(hand_take(call, TAKE_NOW) == 0);
    CHECK(!hand_commit(&slow, 0, ITEM_DONE));
    CHECK(hand_commit(call, 0, ITEM_DONE));
    call->living[0].pid = 0;
    call_free(call);
}

static void
words_of_other_numbers_are_not_believed(void)
{
    sphttp_call *call = open_call(2, 1, POOL);
    CHECK(page_item(call, 0) == ITEM_LOST);
    CHECK(feed(call, 0) == 0 && feed(call, 1) == 1);
    CHECK(page_item(call, 1) == item_free(1));
    call->state[1] = item_free(0);
    CHECK(page_item(call, 1) == ITEM_LOST);
    call->state[1] = item_taken(0, 2);
    CHECK(page_item(call, 1) == ITEM_LOST && !page_runs(call, 1, 0));
    call->state[1] = item_taken(1, 1); /* of a hand that there is not */
    CHECK(page_item(call, 1) == ITEM_LOST);
    call->state[1] = item_taken(0, 1);
    CHECK(page_item(call, 1) == item_taken(0, 1) && page_runs(call, 1, 0));
    call_free(call);
}

static void
numbers_above_32_bits_are_numbers_too(void)
{
    sphttp_call *call = open_call(3, 1, POOL);
    be_child(call);
    uint64_t first = UINT64_C(5) << 32;
    call->host->feed.number = call->page->next = first;
    call->page->watermark = call->ledger->watermark = first;
    for (uint64_t i = 0; i < 100; i++) {
        int64_t cell = feed(call, first + i);
        CHECK(cell >= 0 && page_number(call, (uint32_t)cell) == first + i);
        CHECK(hand_take(call, TAKE_NOW | TAKE_QUICK) == cell);
        CHECK(page_runs(call, (uint32_t)cell, 0));
        CHECK(hand_commit(call, (uint32_t)cell, ITEM_DONE));
        sphttp_call_release(call, (uint32_t)cell);
    }
    CHECK(page_next(call) == first + 100);
    CHECK(hand_take(call, TAKE_NOW) == -1);
    call->living[0].pid = 0;
    call_free(call);
}

/* The nursery looks for items that are nobody's: an empty cell holds none. */
static void
an_empty_cell_is_no_item_that_was_lost(void)
{
    sphttp_call *call = open_call(3, 1, POOL | SPHTTP_TELL);
    be_child(call);
    call->nursery->running = 1;
    CHECK(feed(call, 0) == 0 && feed(call, 1) == 1);
    sphttp_call_release(call, 0);
    call->state[1] = ITEM_LOST; /* a stray */
    strays_settle(call->nursery);
    CHECK(call->report[0].ended_ns == 0);
    CHECK(call->report[1].ended_ns != 0);
    CHECK(call->report[2].ended_ns == 0);
    call->living[0].pid = 0;
    call_free(call);
}

/* --- The items' memory ---------------------------------------------------------------- */

static void
items_of_all_sizes_arrive_and_leave_room(void)
{
    sphttp_call *call = open_call(64, 1, POOL);
    char *item = malloc(3 << 20);
    uint64_t most = 0;
    for (uint32_t round = 0; round < 200; round++) {
        for (uint32_t i = 0; i < 64; i++) {
            size_t size = i == 63 ? (size_t)3 << 20 : (size_t)i * i * 7;
            memset(item, (int)(round + i), size);
            int64_t cell = feed_put(call, item, size, false);
            CHECK(cell >= 0);
            const char *at;
            size_t found;
            CHECK(item_find(call, (uint32_t)cell, &at, &found) == 0);
            CHECK(found == size && memcmp(at, item, size) == 0);
            call->state[cell] = ITEM_DONE;
        }
        for (uint32_t i = 0; i < 64; i++) {
            sphttp_call_release(call, i);
        }
        most = round == 0 ? call->host->feed.used : most;
        CHECK(call->host->feed.used == most);
    }
    free(item);
    call_free(call);
}

static void
what_has_no_room_is_not_fed(void)
{
    sphttp_call *call = open_call(4, 1, POOL);
    char *item = calloc(1, 2 << 20);
    pid_t pid = fork(); /* a fork of the host has nothing to feed */
    if (pid == 0) {
        CHECK(feed_put(call, item, 1, false) == -EBADF);
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    struct rlimit before, limit = {1 << 20, RLIM_INFINITY};
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    limit.rlim_max = before.rlim_max;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    CHECK(feed_put(call, item, 2 << 20, false) == -EFBIG);
    CHECK(feed_put(call, item, 1000, false) == 0);
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
    CHECK(feed_put(call, item, SIZE_MAX / 2 + 5, false) == -EFBIG);
    CHECK(feed_put(call, item, 2 << 20, false) == 1);
    CHECK(call->host->feed.number == 2);
    free(item);
    call_free(call);
}

static void
no_child_can_write_there(void)
{
    sphttp_call *call = open_call(4, 1, POOL);
    CHECK(feed(call, 0) == 0);
    CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, call->items.fd,
               0) == MAP_FAILED);
    CHECK(pwrite(call->items.fd, "x", 1, 0) < 0);
    CHECK(ftruncate(call->items.fd, 0) != 0);
    const char *at;
    size_t size;
    CHECK(item_find(call, 0, &at, &size) == 0);
    call->places[0].at = UINT64_MAX - 3; /* a stray */
    CHECK(item_find(call, 0, &at, &size) == -EBADMSG);
    call->places[0].at = 0;
    call->places[0].size = (UINT64_C(1) << 40) | ITEM_PICKLED;
    CHECK(item_find(call, 0, &at, &size) == -EBADMSG);
    call_free(call);
}

static void
a_ring_that_was_scribbled_on_holds_nobody_up(void)
{
    sphttp_call *call = open_call(8, 2, POOL);
    for (uint64_t i = 0; i < 8; i++) {
        CHECK(feed(call, i) == (int64_t)i);
        call->order[i] = i % 2 == 0 ? UINT32_MAX : 0;
    }
    call->page->total = 1;
    sphttp_call_end_feed(call);
    start(call, nothing);
    CHECK(last_word(call) == SPHTTP_ENDED);
    for (uint32_t i = 0; i < 8; i++) {
        CHECK(fate_in(call, i, i) == SPHTTP_RETURNED);
    }
    finish(call);
}

int
main(void)
{
    static const struct test tests[] = {
        TEST(items_come_and_go_in_cells_that_are_used_anew),
        TEST(what_is_fed_before_the_fork_is_there_and_so_is_an_end),
        TEST(who_sleeps_is_woken_for_one_item),
        TEST(each_fed_item_may_have_a_child_of_its_own),
        TEST(one_slow_item_does_not_stop_the_rest),
        TEST(a_death_costs_the_item_that_was_in_hand),
        TEST(what_is_tried_again_is_found_again),
        TEST(kills_at_random_cost_no_more_than_was_in_hand),
        TEST(a_child_makes_room_when_it_has_taken_its_quota),
        TEST(a_lost_nursery_is_followed_by_another),
        TEST(what_is_fed_to_a_call_that_stops_does_not_begin),
        TEST(an_item_in_a_late_ones_cell_is_not_late),
        TEST(a_commit_is_of_the_item_that_was_taken),
        TEST(words_of_other_numbers_are_not_believed),
        TEST(an_empty_cell_is_no_item_that_was_lost),
        TEST(numbers_above_32_bits_are_numbers_too),
        TEST(items_of_all_sizes_arrive_and_leave_room),
        TEST(what_has_no_room_is_not_fed),
        TEST(no_child_can_write_there),
        TEST(a_ring_that_was_scribbled_on_holds_nobody_up),
    };
    CHECK(mkdtemp(root) != NULL);
    facts = mmap(NULL, sizeof(*facts), PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(facts != MAP_FAILED);
    run_tests(tests, sizeof(tests) / sizeof(*tests));
    CHECK(rmdir(root) == 0); /* records were in memory */
    return 0;
}
