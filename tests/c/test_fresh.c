/* Kept children that are used once, and forked ahead; processes that they leave behind.
 * Built and run as test_core.c is. */
#include "check.h"

#include "base/cdef.h"
#include "child/hand.h"
#include "child/item.h"
#include "host/call.h"
#include "host/host.h"
#include "host/open.h"
#include "nursery/nursery.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    FRESH = SPHTTP_POOL | SPHTTP_FED | SPHTTP_KEPT | SPHTTP_LINGER,
    ITEMS_MOST = 4096
};

/* What a child does with an item, and before it ends. */
enum task {
    NOTHING,
    FAIL,         /* it says that it raised */
    DIE,          /* with the item in hand */
    DIE_LATER,    /* after the commit */
    DIE_GONE,     /* just before it tells that nobody need wait for it */
    SLEEP,        /* for 30 ms with the item in hand */
    TEAR_DOWN,    /* for 30 ms after the commit */
    EXIT_SLOWLY,  /* for 30 ms after nobody waits for it */
    STAY_BEHIND,  /* leave a child */
    BE_A_DAEMON,  /* leave a grandchild, whose parent is gone */
    RUN_COMMAND,  /* start a child and wait for it */
    TOGETHER,     /* wait until six do */
    COMPUTE       /* 30 ms of the processor's time, 30 MB of memory */
};

struct facts {
    _Atomic uint32_t taken[ITEMS_MOST]; /* so often each number has been begun */
    _Atomic int pids[ITEMS_MOST];       /* by whom, last */
    _Atomic int64_t begun[ITEMS_MOST];
    _Atomic int64_t born[ITEMS_MOST]; /* when that child was */
    _Atomic int64_t torn_down[ITEMS_MOST];
    _Atomic int64_t exits[ITEMS_MOST];
    _Atomic int strangers[64]; /* pids of those that were left behind */
    _Atomic uint32_t stranger_count;
    _Atomic uint32_t together;
    _Atomic uint32_t exiting; /* children that nobody waits for now... */
    _Atomic uint32_t exiting_most; /* ...and the most there ever were */
};
static struct facts *facts;

static void
nap_ms(int ms)
{
    (void)nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L},
                    NULL);
}

/* --- Children ----------------------------------------------------------------------- */

static bool exit_slowly;

_Noreturn void __real__exit(int status);
_Noreturn void __wrap__exit(int status);

_Noreturn void
__wrap__exit(int status)
{
    if (exit_slowly) {
        uint32_t now = ++facts->exiting;
        if (now > facts->exiting_most) {
            facts->exiting_most = now;
        }
        nap_ms(30);
        facts->exiting--;
    }
    __real__exit(status);
}

static void
leave_behind(bool daemon)
{
    if (fork() != 0) {
        if (daemon) {
            CHECK(wait(NULL) > 0);
        }
        return;
    }
    if (!daemon || fork() == 0) {
        facts->strangers[facts->stranger_count++] = getpid();
        (void)prctl(PR_SET_NAME, "stranger");
        for (;;) {
            (void)pause();
        }
    }
    __real__exit(0);
}

static void
do_task(enum task task)
{
    uint32_t before = facts->stranger_count;
    switch (task) {
    case DIE:
        (void)raise(SIGKILL);
        break;
    case SLEEP:
        nap_ms(30);
        break;
    case STAY_BEHIND:
    case BE_A_DAEMON:
        leave_behind(task == BE_A_DAEMON);
        while (facts->stranger_count == before) {
            nap_ms(1);
        }
        break;
    case RUN_COMMAND:
        if (fork() == 0) {
            __real__exit(0);
        }
        CHECK(wait(NULL) > 0);
        break;
    case TOGETHER:
        facts->together++;
        while (facts->together % 6 != 0) {
            nap_ms(1);
        }
        break;
    case COMPUTE: {
        volatile char *memory = malloc(30 << 20);
        for (size_t i = 0; i < 30 << 20; i += 4096) {
            memory[i] = 1;
        }
        clock_t end = clock() + CLOCKS_PER_SEC * 30 / 1000;
        while (clock() < end) {
        }
        break;
    }
    default:
        break;
    }
}

_Noreturn static void
serve(sphttp_call *call)
{
    int64_t born = now_ns(), cell = hand_take_first(call);
    enum task task = NOTHING;
    uint64_t number = 0;
    while (cell >= 0) {
        const char *at;
        size_t size;
        CHECK(item_find(call, (uint32_t)cell, &at, &size) == 0);
        CHECK(size == sizeof(uint64_t) + sizeof(task));
        memcpy(&number, at, sizeof(number));
        memcpy(&task, at + sizeof(number), sizeof(task));
        facts->taken[number % ITEMS_MOST]++;
        facts->begun[number % ITEMS_MOST] = now_ns();
        facts->born[number % ITEMS_MOST] = born;
        facts->pids[number % ITEMS_MOST] = getpid();
        exit_slowly = task == EXIT_SLOWLY;
        do_task(task);
        cell = sphttp_child_commit(call, (uint32_t)cell,
                                   task == FAIL ? SPHTTP_RAISED
                                                : SPHTTP_RETURNED,
                                   (char *)&number, sizeof(number));
    }
    if (task == DIE_LATER) {
        (void)raise(SIGKILL);
    }
    if (task == DIE_GONE) {
        nap_ms(5);
        CHECK(hand_leave(call));
        (void)raise(SIGKILL);
    }
    if (task == TEAR_DOWN) {
        sphttp_child_leave(call, SPHTTP_TEARDOWN);
        nap_ms(30);
    }
    facts->torn_down[number % ITEMS_MOST] = now_ns();
    sphttp_child_exit(call, cell == -2 ? 1 : 0);
    abort();
}

/* --- A host ------------------------------------------------------------------------- */

static uint64_t fed; /* numbers of the present nest */

static void
start(sphttp_call *call)
{
    sphttp_event event = call_fork(call);
    if (event.kind == SPHTTP_CHILD) {
        serve(call);
    }
    CHECK(event.kind == SPHTTP_STARTED);
}

static uint32_t
count_idle(const sphttp_call *call)
{
    uint32_t idle = 0;
    for (uint32_t slot = 0; slot < call->plan.alive; slot++) {
        idle += call->living[slot].pid != 0 &&
                  page_hand_idle(call, slot) && !page_hand_gone(call, slot);
    }
    return idle;
}

static void
await_ready(const sphttp_call *call, uint32_t ready)
{
    int64_t end = now_ns() + 30 * SECOND;
    while (count_idle(call) != ready || call->page->sleepers < ready) {
        CHECK(now_ns() < end);
        nap_ms(1);
    }
}

/* A nest of children that serve `quota` items each, 0: any number. */
static sphttp_call *
open_nest(uint32_t alive, uint32_t ready, uint32_t quota)
{
    sphttp_call *call;
    memset((void *)facts, 0, sizeof(*facts));
    fed = 0;
    CHECK(sphttp_call_open(64, alive, FRESH, "/tmp", &call) == 0);
    sphttp_call_quota(call, quota);
    if (quota != 0) {
        sphttp_call_ahead(call, ready);
    }
    start(call);
    await_ready(call, ready);
    return call;
}

static int64_t
feed(sphttp_call *call, enum task task)
{
    char item[sizeof(fed) + sizeof(task)];
    memcpy(item, &fed, sizeof(fed));
    memcpy(item + sizeof(fed), &task, sizeof(task));
    int64_t cell = feed_put(call, item, sizeof(item), false);
    CHECK(cell >= 0);
    fed++;
    return cell;
}

/* A round of `count` items at most 64, that all do the same; `fates` counts those that
 * have returned, and `results`, unless NULL, has what is known of each. */
static uint32_t
run_round(sphttp_call *call, int how, uint32_t count, const enum task *tasks,
          sphttp_result *results)
{
    int64_t cells[64];
    uint64_t first = fed;
    uint32_t returned = 0;
    CHECK(sphttp_nest_begin(call, how, 0) == 0);
    for (uint32_t i = 0; i < count; i++) {
        cells[i] = feed(call, tasks[i]);
    }
    sphttp_call_end_feed(call);
    int kind;
    do {
        if (call_is_to_fork(call)) {
            start(call);
        }
        kind = call_finish(call).kind;
        while (kind == SPHTTP_NEWS && sphttp_call_next(call) >= 0) {
        }
    } while (kind == SPHTTP_NEWS || kind == SPHTTP_FORK_AGAIN);
    CHECK(kind == SPHTTP_ENDED);
    for (uint32_t i = 0; i < count; i++) {
        sphttp_result result;
        sphttp_call_result(call, (uint32_t)cells[i], &result);
        uint64_t number = first + i;
        if (result.fate == SPHTTP_RETURNED || result.fate == SPHTTP_RAISED) {
            CHECK(result.size == sizeof(number));
            CHECK(memcmp(result.payload, &number, sizeof(number)) == 0);
            CHECK(result.pid == facts->pids[number % ITEMS_MOST]);
            returned++;
        }
        if (results != NULL) {
            results[i] = result;
        }
    }
    return returned;
}

/* The same where all do one task. */
static uint32_t
run_all(sphttp_call *call, int how, uint32_t count, enum task task,
        sphttp_result *results)
{
    enum task tasks[64];
    for (uint32_t i = 0; i < count; i++) {
        tasks[i] = task;
    }
    return run_round(call, how, count, tasks, results);
}

/* No further round. */
static void
leave(sphttp_call *call)
{
    sphttp_nest_leave(call);
    int kind;
    do {
        kind = call_finish(call).kind;
    } while (kind == SPHTTP_NEWS);
    CHECK(kind == SPHTTP_ENDED);
    call_free(call);
    CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

/* What a round has taken since `begun`, if that is less than before: on a loaded machine
 * one of several may take any time. */
static void
keep_least(int64_t *least, int64_t begun)
{
    int64_t taken = now_ns() - begun;
    *least = taken < *least ? taken : *least;
}

/* --- Tests: used once ---------------------------------------------------------------- */

static void
every_item_has_a_child_of_its_own_that_was_there_before(void)
{
    sphttp_call *call = open_nest(16, 4, 1);
    for (int round = 0; round < 50; round++) {
        int64_t begun = now_ns();
        CHECK(run_all(call, SPHTTP_PATIENT, 4, NOTHING, NULL) == 4);
        for (uint64_t i = fed - 4; i < fed; i++) {
            CHECK(facts->taken[i] == 1 && facts->born[i] < begun);
            for (uint64_t k = 0; k < i; k++) {
                CHECK(facts->pids[i] != facts->pids[k]);
            }
        }
        CHECK(sphttp_nest_renew(call) == 1);
        await_ready(call, 4);
    }
    leave(call);
}

static void
more_items_than_stand_ready_get_children_in_the_call(void)
{
    static const uint32_t alive[] = {2, 6, 64};
    for (int i = 0; i < 3; i++) {
        sphttp_call *call = open_nest(alive[i], 2, 1);
        for (int round = 0; round < 5; round++) {
            CHECK(run_all(call, SPHTTP_PATIENT, 40, SLEEP, NULL) == 40);
            for (uint64_t k = fed - 40; k < fed; k++) {
                CHECK(facts->taken[k] == 1);
            }
            CHECK(sphttp_nest_renew(call) == 1);
        }
        await_ready(call, 2);
        leave(call);
    }
}

/* The nursery is told, which sleeps while nobody ends. */
static void
who_is_missing_is_forked_while_all_others_work(void)
{
    sphttp_call *call = open_nest(16, 2, 1);
    int64_t least = INT64_MAX;
    for (int round = 0; round < 10; round++) {
        int64_t begun = now_ns();
        CHECK(run_all(call, SPHTTP_PATIENT, 6, TOGETHER, NULL) == 6);
        keep_least(&least, begun);
        CHECK(sphttp_nest_renew(call) == 1);
        await_ready(call, 2);
    }
    CHECK(least < 900000000); /* before it looks by itself */
    leave(call);
}

static void
a_round_waits_for_a_teardown_and_not_for_an_exit(void)
{
    sphttp_call *call = open_nest(16, 4, 1);
    int64_t least = INT64_MAX;
    for (int round = 0; round < 5; round++) {
        CHECK(run_all(call, SPHTTP_PATIENT, 3, TEAR_DOWN, NULL) == 3);
        int64_t over = now_ns();
        for (uint64_t i = fed - 3; i < fed; i++) {
            CHECK(facts->torn_down[i] != 0 && facts->torn_down[i] <= over);
        }
        CHECK(sphttp_nest_renew(call) == 1);
        await_ready(call, 4);
        int64_t begun = now_ns();
        CHECK(run_all(call, SPHTTP_PATIENT, 3, EXIT_SLOWLY, NULL) == 3);
        keep_least(&least, begun);
        CHECK(sphttp_nest_renew(call) == 1);
        await_ready(call, 4);
    }
    CHECK(least < 25000000);
    leave(call);
}

static void
who_is_told_of_ends_waits_for_them_and_knows_them_all(void)
{
    static const enum task tasks[] = {NOTHING, FAIL,    EXIT_SLOWLY,
                                      COMPUTE, NOTHING, EXIT_SLOWLY};
    sphttp_call *call = open_nest(16, 4, 1);
    for (int round = 0; round < 8; round++) {
        sphttp_result results[6];
        int how = round % 2 == 0 ? SPHTTP_REAPED
                                 : SPHTTP_REAPED | SPHTTP_PATIENT;
        int64_t begun = now_ns();
        CHECK(run_round(call, how, 6, tasks, results) == 6);
        CHECK(now_ns() - begun >= 30000000);
        for (int i = 0; i < 6; i++) {
            int status = tasks[i] == FAIL ? 1 << 8 : 0;
            CHECK(results[i].wait_status == status);
            CHECK(results[i].attempts == 1);
            CHECK(results[i].max_rss > 0);
            CHECK(results[i].started_ns > begun);
            CHECK(results[i].ended_ns >= results[i].started_ns);
            CHECK(results[i].ended_ns <= now_ns());
        }
        CHECK(results[3].cpu_ns > 20000000);
        CHECK(results[3].max_rss > 30 << 20);
        CHECK(results[0].cpu_ns < 20000000);
        CHECK(sphttp_nest_renew(call) == 1);
        /* Between them those whose host does not ask: nothing is said of these. */
        CHECK(run_round(call, SPHTTP_PATIENT, 6, tasks, results) == 6);
        CHECK(results[0].wait_status == -1 && results[0].cpu_ns == 0);
        CHECK(sphttp_nest_renew(call) == 1);
    }
    leave(call);
}

static void
used_children_that_still_exit_are_bounded(void)
{
    sphttp_call *call = open_nest(64, 3, 1);
    for (int round = 0; round < 20; round++) {
        CHECK(run_all(call, SPHTTP_PATIENT, 4, EXIT_SLOWLY, NULL) == 4);
        CHECK(sphttp_nest_renew(call) == 1);
    }
    /* Without a bound some sixty: a round takes 2 ms. Those that worked then too. */
    CHECK(facts->exiting_most >= 3 && facts->exiting_most <= 2 * 3 + 1 + 7);
    leave(call);
}

static void
a_child_that_dies_costs_its_item_and_the_nest(void)
{
    static const enum task dies[] = {NOTHING, DIE, NOTHING, NOTHING, NOTHING};
    static const enum task later[] = {NOTHING, DIE_LATER, NOTHING};
    for (int how = 0; how < 4; how++) {
        int flags = how % 2 == 0 ? SPHTTP_PATIENT : SPHTTP_REAPED;
        sphttp_result results[5];
        sphttp_call *call = open_nest(16, 2, 1);
        uint32_t count = how < 2 ? 5 : 3;
        const enum task *tasks = how < 2 ? dies : later;
        uint32_t lost = how < 2;
        CHECK(run_round(call, flags, count, tasks, results) == count - lost);
        if (lost) {
            CHECK(results[1].fate == SPHTTP_DIED);
        }
        if (lost || how % 2 != 0) {
            CHECK(results[1].wait_status == SIGKILL);
        }
        CHECK(sphttp_nest_renew(call) == 0);
        leave(call);
    }
}

static void
a_child_that_dies_before_it_rings_does_not_delay_the_end(void)
{
    sphttp_call *call = open_nest(2, 2, 1);
    int64_t least = INT64_MAX;
    for (int i = 0; i < 4; i++) {
        int64_t begun = now_ns();
        CHECK(run_all(call, SPHTTP_PATIENT, 1, DIE_GONE, NULL) == 1);
        keep_least(&least, begun);
        CHECK(sphttp_nest_renew(call) == 1);
    }
    CHECK(least < SECOND / 4);
    leave(call);
}

static void
what_died_is_tried_again_by_a_child_that_stands_ready(void)
{
    sphttp_call *call;
    memset((void *)facts, 0, sizeof(*facts));
    fed = 0;
    CHECK(sphttp_call_open(64, 16, FRESH, "/tmp", &call) == 0);
    CHECK(sphttp_call_limit(call, 0, 0, 3) == 0);
    sphttp_call_quota(call, 1);
    sphttp_call_ahead(call, 8);
    start(call);
    await_ready(call, 8);
    sphttp_result result;
    int64_t begun = now_ns();
    CHECK(run_all(call, SPHTTP_REAPED, 1, DIE, &result) == 0);
    CHECK(result.fate == SPHTTP_DIED && result.attempts == 4);
    CHECK(facts->taken[0] == 4 && now_ns() - begun < 3 * SECOND);
    CHECK(sphttp_nest_renew(call) == 0);
    leave(call);
}

static void
nobody_is_forked_for_items_that_will_not_begin(void)
{
    enum task tasks[40] = {FAIL, FAIL};
    sphttp_call *call = open_nest(64, 2, 1);
    for (int round = 0; round < 5; round++) {
        sphttp_result results[40];
        int how = SPHTTP_STOP | (round % 2 == 0 ? SPHTTP_PATIENT : 0);
        uint32_t begun = run_round(call, how, 40, tasks, results);
        CHECK(begun >= 1 && begun < 40);
        nap_ms(20);
        CHECK(count_idle(call) < 40 - begun); /* none for each that is left */
        CHECK(sphttp_nest_renew(call) == 1);
        CHECK(run_all(call, SPHTTP_STOP, 4, NOTHING, NULL) == 4);
        CHECK(sphttp_nest_renew(call) == 1);
    }
    leave(call);
}

static void
an_idle_child_that_is_killed_is_replaced(void)
{
    sphttp_call *call = open_nest(16, 4, 1);
    for (uint32_t slot = 0; slot < 4; slot++) {
        pid_t pid = call->living[slot].pid;
        CHECK(kill(pid, SIGKILL) == 0);
        int64_t end = now_ns() + 30 * SECOND;
        while (call->living[slot].pid == pid) {
            CHECK(now_ns() < end);
            nap_ms(1);
        }
        await_ready(call, 4);
    }
    CHECK(run_all(call, SPHTTP_PATIENT, 4, NOTHING, NULL) == 4);
    (void)sphttp_nest_renew(call);
    leave(call);
}

/* --- Tests: strangers ---------------------------------------------------------------- */

static void
stranger_lives_and_is_killed_here(void)
{
    CHECK(facts->stranger_count == 1);
    pid_t pid = facts->strangers[0];
    CHECK(kill(pid, 0) == 0);
    char path[64], line[256] = "";
    (void)sprintf(path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    CHECK(file != NULL && fgets(line, sizeof(line), file) != NULL);
    (void)fclose(file);
    CHECK(strstr(line, ") Z") == NULL);
    CHECK(kill(pid, SIGKILL) == 0);
}

static const uint32_t quotas[] = {1, 0, 2};

static void
who_leaves_a_child_behind_ends_the_nest_well(void)
{
    for (int i = 0; i < 3; i++) {
        sphttp_call *call = open_nest(2, 2, quotas[i]);
        CHECK(run_all(call, SPHTTP_PATIENT, 2, NOTHING, NULL) == 2);
        CHECK(sphttp_nest_renew(call) == 1);
        CHECK(run_all(call, SPHTTP_PATIENT, 1, STAY_BEHIND, NULL) == 1);
        CHECK(sphttp_nest_renew(call) == 0);
        leave(call);
        stranger_lives_and_is_killed_here();
    }
}

static void
who_leaves_a_daemon_behind_ends_the_nest_at_the_next_round(void)
{
    for (int i = 0; i < 3; i++) {
        sphttp_call *call = open_nest(2, 2, quotas[i]);
        CHECK(run_all(call, SPHTTP_PATIENT, 1, BE_A_DAEMON, NULL) == 1);
        CHECK(sphttp_nest_renew(call) == 2);
        CHECK(sphttp_nest_begin(call, 0, 0) == -ESTALE);
        leave(call);
        stranger_lives_and_is_killed_here();
    }
}

static void
who_waits_for_its_commands_keeps_the_nest(void)
{
    for (int i = 0; i < 3; i++) {
        sphttp_call *call = open_nest(4, i == 1 ? 4 : 2, quotas[i]);
        for (int round = 0; round < 30; round++) {
            CHECK(run_all(call, SPHTTP_PATIENT, 3, RUN_COMMAND, NULL) == 3);
            CHECK(sphttp_nest_renew(call) == 2);
        }
        CHECK(run_all(call, SPHTTP_PATIENT, 3, NOTHING, NULL) == 3);
        CHECK(sphttp_nest_renew(call) == 1);
        leave(call);
    }
}

static void
a_nest_that_is_closed_for_its_strangers_lets_them_live(void)
{
    sphttp_call *call = open_nest(2, 2, 0);
    CHECK(run_all(call, SPHTTP_PATIENT, 1, STAY_BEHIND, NULL) == 1);
    CHECK(sphttp_nest_renew(call) == 0);
    call_free(call);
    CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
    stranger_lives_and_is_killed_here();
}

/* --- Tests: kills at random ---------------------------------------------------------- */

static void
kills_at_random_cost_no_more_than_was_in_hand(void)
{
    uint32_t lost = 0, rounds = 0, nests = 0;
    for (unsigned seed = 0; rounds < 500; seed++) {
        srand(seed);
        uint32_t alive = 3 + (uint32_t)rand() % 20;
        sphttp_call *call = open_nest(alive, 3, 1);
        bool on = true;
        for (; on && fed + 64 < ITEMS_MOST; rounds++) {
            uint32_t count = 1 + (uint32_t)rand() % 12;
            int how = rand() % 2 == 0 ? SPHTTP_PATIENT : 0;
            how |= rand() % 2 == 0 ? SPHTTP_REAPED : 0;
            enum task tasks[64];
            uint32_t dead = 0;
            for (uint32_t i = 0; i < count; i++) {
                bool kill = rand() % 60 == 0;
                tasks[i] = !kill ? NOTHING : rand() % 2 ? DIE : DIE_LATER;
                dead += tasks[i] == DIE;
            }
            if (rand() % 10 == 0) {
                pid_t pid = call->living[(uint32_t)rand() % alive].pid;
                if (pid > 0) {
                    (void)kill(pid, SIGKILL);
                }
            }
            uint64_t first = fed;
            uint32_t returned = run_round(call, how, count, tasks, NULL);
            CHECK(returned <= count - dead);
            CHECK(returned + dead + 1 >= count);
            lost += count - returned;
            for (uint64_t i = first; i < fed; i++) {
                CHECK(facts->taken[i] <= 1);
            }
            on = sphttp_nest_renew(call) == 1;
        }
        leave(call);
        nests++;
    }
    CHECK(lost > 5 && nests > 10);
}

int
main(void)
{
    static const struct test tests[] = {
        TEST(every_item_has_a_child_of_its_own_that_was_there_before),
        TEST(more_items_than_stand_ready_get_children_in_the_call),
        TEST(who_is_missing_is_forked_while_all_others_work),
        TEST(a_round_waits_for_a_teardown_and_not_for_an_exit),
        TEST(who_is_told_of_ends_waits_for_them_and_knows_them_all),
        TEST(used_children_that_still_exit_are_bounded),
        TEST(a_child_that_dies_costs_its_item_and_the_nest),
        TEST(a_child_that_dies_before_it_rings_does_not_delay_the_end),
        TEST(what_died_is_tried_again_by_a_child_that_stands_ready),
        TEST(nobody_is_forked_for_items_that_will_not_begin),
        TEST(an_idle_child_that_is_killed_is_replaced),
        TEST(who_leaves_a_child_behind_ends_the_nest_well),
        TEST(who_leaves_a_daemon_behind_ends_the_nest_at_the_next_round),
        TEST(who_waits_for_its_commands_keeps_the_nest),
        TEST(a_nest_that_is_closed_for_its_strangers_lets_them_live),
        TEST(kills_at_random_cost_no_more_than_was_in_hand),
    };
    facts = mmap(NULL, sizeof(*facts), PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(facts != MAP_FAILED);
    run_tests(tests, sizeof(tests) / sizeof(*tests));
    return 0;
}
