/* Kept calls: round after round with the same children. Built and run as test_core.c
 * is. */
#include "check.h"

#include "base/cdef.h"
#include "child/hand.h"
#include "child/item.h"
#include "host/call.h"
#include "host/feed.h"
#include "host/host.h"
#include "host/open.h"
#include "nursery/nursery.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    KEPT = SPHTTP_POOL | SPHTTP_LINGER | SPHTTP_FED | SPHTTP_KEPT,
    MOST = 4096 /* numbers that are told apart */
};

/* What a host and its children know of a test, in memory that they share. */
struct facts {
    _Atomic uint32_t taken[MOST]; /* so often each number has been begun... */
    _Atomic uint32_t pids[MOST];  /* ...and by whom, last */
    _Atomic uint32_t opened;      /* what somebody waits for */
    _Atomic uint32_t ended;       /* children that came to their end */
};
static struct facts *facts;
static char root[] = "/tmp/tep_rounds_XXXXXX";

static void
nap(void)
{
    (void)nanosleep(&(struct timespec){0, 200000}, NULL);
}

/* --- Children that do as they are told --------------------------------------------- */

/* The first letter of an item says what its child does. */
static int
act(const char *text)
{
    switch (text[0]) {
    case 'f': /* it fails */
        return SPHTTP_RAISED;
    case 'b':
        return SPHTTP_RETURNED | SPHTTP_BREAK;
    case 'K':
        return SPHTTP_RETURNED | SPHTTP_KILL;
    case 'd': /* it dies */
        (void)kill(getpid(), SIGKILL);
        return 0;
    case 'w': /* it waits */
        while (facts->opened == 0) {
            nap();
        }
        return SPHTTP_RETURNED;
    default:
        return SPHTTP_RETURNED;
    }
}

static _Noreturn void
serve(sphttp_call *call)
{
    int64_t cell = hand_take(call, 0);
    while (cell >= 0) {
        const char *at;
        size_t size;
        char text[32] = "";
        CHECK(item_find(call, (uint32_t)cell, &at, &size) == 0);
        CHECK(size < sizeof(text));
        memcpy(text, at, size);
        uint64_t number = strtoull(text + 1, NULL, 10);
        facts->taken[number % MOST]++;
        facts->pids[number % MOST] = (uint32_t)getpid();
        cell = sphttp_child_commit(call, (uint32_t)cell, act(text), text,
                                   size);
    }
    facts->ended++;
    _exit(cell == -1 ? 0 : 1);
}

static void
start(sphttp_call *call)
{
    sphttp_event event = call_fork(call);
    if (event.kind == SPHTTP_CHILD) {
        serve(call);
    }
    CHECK(event.kind == SPHTTP_STARTED);
}

static sphttp_call *
open_nest(uint32_t cells, uint32_t alive)
{
    sphttp_call *call;
    memset((void *)facts, 0, sizeof(*facts));
    CHECK(sphttp_call_open(cells, alive, KEPT, root, &call) == 0);
    return call;
}

/* --- A host of rounds ----------------------------------------------------------------- */

/* What became of the items of a round. */
struct counts {
    uint32_t returned, failed, lost, unbegun, cut;
    int kind, error;
};

/* What somebody else does while the host waits; or NULL. */
static void (*meanwhile)(sphttp_call *call);

static int
run_round(sphttp_call *call, int *error)
{
    sphttp_event event;
    do {
        if (call_is_to_fork(call)) {
            start(call);
        }
        event = call_finish(call);
    } while (event.kind == SPHTTP_FORK_AGAIN || event.kind == SPHTTP_NEWS);
    *error = event.error;
    return event.kind;
}

/* One round of these items, "letter number" each. */
static struct counts
do_round(sphttp_call *call, int how, uint64_t first, const char *letters)
{
    struct counts counts = {0};
    uint32_t count = (uint32_t)strlen(letters);
    int64_t cells[64];
    CHECK(count <= 64);
    CHECK(sphttp_nest_begin(call, how, 0) == 0);
    for (uint32_t i = 0; i < count; i++) {
        char text[32];
        int n = sprintf(text, "%c%llu", letters[i],
                        (unsigned long long)(first + i));
        cells[i] = feed_put(call, text, (size_t)n, false);
        CHECK(cells[i] >= 0);
    }
    sphttp_call_end_feed(call);
    if (meanwhile != NULL) {
        meanwhile(call);
    }
    counts.kind = run_round(call, &counts.error);
    uint32_t told = 0;
    while (sphttp_call_next(call) >= 0) {
        told++;
    }
    for (uint32_t i = 0; i < count; i++) {
        sphttp_result result;
        sphttp_call_result(call, (uint32_t)cells[i], &result);
        int fate = result.fate & ~(SPHTTP_BREAK | SPHTTP_KILL);
        fate = result.fate < 0 ? result.fate : fate;
        counts.returned += fate == SPHTTP_RETURNED;
        counts.failed += fate == SPHTTP_RAISED;
        counts.lost += fate == SPHTTP_DIED;
        counts.cut += fate == SPHTTP_CUT || fate == SPHTTP_LATE;
        counts.unbegun += fate == SPHTTP_NOT_BEGUN;
        if (fate > 0) {
            char text[32];
            int n = sprintf(text, "%c%llu", letters[i],
                            (unsigned long long)(first + i));
            CHECK(result.size == (uint64_t)n);
            CHECK(memcmp(result.payload, text, result.size) == 0);
        }
    }
    CHECK(told <= count);
    return counts;
}

/* Well-ended: every child has left by itself. */
static void
leave(sphttp_call *call)
{
    int error;
    sphttp_nest_leave(call);
    CHECK(run_round(call, &error) == SPHTTP_ENDED);
    call_free(call);
    CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

static void
close_nest(sphttp_call *call)
{
    call_free(call);
    CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

/* --- Tests ----------------------------------------------------------------------------- */

static void
the_same_children_serve_round_after_round(void)
{
    sphttp_call *call = open_nest(64, 2);
    start(call);
    for (uint64_t i = 0; i < 10000; i++) {
        struct counts counts = do_round(call, SPHTTP_PATIENT, i * 4, "xxxx");
        CHECK(counts.kind == SPHTTP_ENDED && counts.returned == 4);
        CHECK(sphttp_nest_renew(call) == 1);
    }
    for (int i = 0; i < MOST; i++) {
        CHECK(facts->pids[i] == facts->pids[0] ||
              facts->pids[i] == facts->pids[1] ||
              facts->pids[i] == facts->pids[2] ||
              facts->pids[i] == facts->pids[3] || i > 0);
    }
    leave(call);
    CHECK(facts->ended == 2);
}

static void
measure(void)
{
    sphttp_call *call = open_nest(1024, 2);
    start(call);
    for (int n = 1; n <= 4; n += 3) {
        for (int k = 0; k < 3; k++) {
            int64_t begun = now_ns();
            for (uint64_t i = 0; i < 10000; i++) {
                do_round(call, SPHTTP_PATIENT, i, n == 1 ? "x" : "xxxx");
                CHECK(sphttp_nest_renew(call) == 1);
            }
            fprintf(stderr, "%d items: %.1f us\n", n,
                    (double)(now_ns() - begun) / 1e7);
        }
    }
    leave(call);
}

int
main(int argc, char **argv)
{
    static const struct test tests[] = {
        TEST(the_same_children_serve_round_after_round),
    };
    CHECK(mkdtemp(root) != NULL);
    facts = mmap(NULL, sizeof(*facts), PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(facts != MAP_FAILED);
    if (argc > 1 && strcmp(argv[1], "measure") == 0) {
        measure();
        return rmdir(root);
    }
    run_tests(tests, sizeof(tests) / sizeof(*tests));
    CHECK(rmdir(root) == 0);
    return 0;
}
