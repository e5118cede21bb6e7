/* Kept calls: round after round with the same children. Built and run as test_core.c
 * is. */
#include "check.h"

#include "base/cdef.h"
#include "child/child.h"
#include "child/hand.h"
#include "child/item.h"
#include "host/call.h"
#include "host/feed.h"
#include "host/forks.h"
#include "host/host.h"
#include "host/news.h"
#include "host/open.h"
#include "host/round.h"
#include "host/round.h"
#include "nursery/nest.h"
#include "nursery/nursery.h"
#include "shared/news.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
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
    _Atomic uint32_t bad;         /* the slot of a child that fails */
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

static sphttp_call *this_call;

/* The first letter of an item says what its child does. */
static int
act(const char *text)
{
    struct page *page = this_call->page;
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
    case 'n': /* so does the nursery */
        (void)kill(getppid(), SIGKILL);
        (void)pause();
        return 0;
    case 'w': /* it waits */
        while (facts->opened == 0) {
            nap();
        }
        return SPHTTP_RETURNED;
    case 's': /* a stray pointer: all other hands have something, and are leaving */
        for (uint32_t i = 0; i < this_call->plan.hands; i++) {
            if (i != this_call->child.hand) {
                this_call->hands[i].item = 12345;
                this_call->hands[i].leaving = 12345;
            }
        }
        return SPHTTP_RETURNED;
    case 'S': /* another: nobody listens, all items are said to be taken, or nobody's */
        page->listens = 77;
        page->sleepers = 0;
        page->next = page->watermark + 100;
        page->how = 4096;
        for (uint32_t i = 0; i <= this_call->plan.ring; i++) {
            this_call->order[i] = 0;
        }
        return SPHTTP_RETURNED;
    case 'D':
        return SPHTTP_DISCARDED;
    default:
        return SPHTTP_RETURNED;
    }
}

static void (*get_ready)(sphttp_call *call); /* what a child does first; or NULL */

static _Noreturn void
serve(sphttp_call *call)
{
    this_call = call;
    if (get_ready != NULL) {
        get_ready(call);
    }
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
        int status = sphttp_child_discards(call) ? SPHTTP_DISCARDED : act(text);
        cell = sphttp_child_commit(call, (uint32_t)cell, status, text, size);
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
    uint32_t returned, failed, discarded, lost, unbegun, cut;
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

/* One round of these items, "letter number" each. Afterwards none of those that had not
 * begun may begin: their numbers are noted. */
static uint64_t unbegun[64];
static uint32_t unbegun_count;

static struct counts
do_limited_round(sphttp_call *call, int how, int64_t deadline, uint64_t first,
                 const char *letters)
{
    struct counts counts = {0};
    uint32_t count = (uint32_t)strlen(letters);
    int64_t cells[64];
    CHECK(count <= 64);
    CHECK(sphttp_nest_begin(call, how, deadline) == 0);
    for (uint32_t i = 0; i < count; i++) {
        char text[32];
        facts->taken[(first + i) % MOST] = 0;
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
    unbegun_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        sphttp_result result;
        sphttp_call_result(call, (uint32_t)cells[i], &result);
        int fate = result.fate < 0
                       ? result.fate
                       : result.fate & ~(SPHTTP_BREAK | SPHTTP_KILL);
        counts.returned += fate == SPHTTP_RETURNED;
        counts.failed += fate == SPHTTP_RAISED;
        counts.discarded += fate == SPHTTP_DISCARDED;
        counts.lost += fate == SPHTTP_DIED;
        counts.cut += fate == SPHTTP_CUT || fate == SPHTTP_LATE;
        if (fate == SPHTTP_NOT_BEGUN) {
            counts.unbegun++;
            unbegun[unbegun_count++] = first + i;
        }
        if (fate == SPHTTP_RETURNED || fate == SPHTTP_RAISED) {
            char text[32];
            int n = sprintf(text, "%c%llu", letters[i],
                            (unsigned long long)(first + i));
            CHECK(result.size == (uint64_t)n);
            CHECK(memcmp(result.payload, text, result.size) == 0);
            CHECK(facts->taken[(first + i) % MOST] >= 1);
        }
    }
    CHECK(told + counts.unbegun == count);
    return counts;
}

static struct counts
do_round(sphttp_call *call, int how, uint64_t first, const char *letters)
{
    return do_limited_round(call, how, 0, first, letters);
}

static void
none_has_begun_since(void)
{
    for (uint32_t i = 0; i < unbegun_count; i++) {
        CHECK(facts->taken[unbegun[i] % MOST] == 0);
    }
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
spin(int64_t ns)
{
    for (int64_t end = now_ns() + ns; now_ns() < end;) {
    }
}

static void
the_same_children_serve_round_after_round(void)
{
    sphttp_call *call = open_nest(64, 2);
    start(call);
    for (uint64_t i = 0; i < 10000; i++) {
        int how = i % 3 == 0 ? 0 : SPHTTP_PATIENT;
        struct counts counts = do_round(call, how, i * 4, "xxxx");
        CHECK(counts.kind == SPHTTP_ENDED && counts.returned == 4);
        CHECK(sphttp_nest_renew(call) == 1);
        spin(i % 7 == 0 ? rand() % 200000 : 0); /* asleep, napping or awake */
    }
    uint32_t pids[2] = {facts->pids[0]};
    for (int i = 0; i < MOST; i++) {
        pids[1] = facts->pids[i] != pids[0] ? facts->pids[i] : pids[1];
    }
    for (int i = 0; i < MOST; i++) {
        CHECK(facts->pids[i] == pids[0] || facts->pids[i] == pids[1]);
    }
    leave(call);
    CHECK(facts->ended == 2); /* each came to its end */
}

static void
a_round_without_items_is_over_at_once(void)
{
    sphttp_call *call = open_nest(4, 2);
    for (uint64_t i = 0; i < 100; i++) {
        CHECK(do_round(call, SPHTTP_PATIENT, 0, "").kind == SPHTTP_ENDED);
        CHECK(sphttp_nest_renew(call) == 1);
        CHECK(do_round(call, 0, 0, "").kind == SPHTTP_ENDED);
        CHECK(sphttp_nest_renew(call) == 1);
    }
    CHECK(do_round(call, 0, 0, "x").returned == 1);
    CHECK(sphttp_nest_renew(call) == 1);
    CHECK(sphttp_nest_renew(call) == 0); /* it has not begun */
    leave(call);
}

static void
a_round_that_was_stopped_leaves_the_next_one_whole(void)
{
    static const char *const letters[] = {"fxxxxxxx", "xxbxxxxxxxxxxxxx",
                                          "xfxxxxxxxxxxxxxxxxxxxxxxxxfx"};
    sphttp_call *call = open_nest(64, 3);
    start(call);
    uint32_t never = 0;
    for (uint64_t i = 0; i < 2000; i++) {
        int how = SPHTTP_STOP | (i % 2 == 0 ? SPHTTP_PATIENT : 0);
        const char *text = letters[i % 3];
        struct counts counts = do_round(call, how, i * 64, text);
        CHECK(counts.kind == SPHTTP_ENDED && counts.lost == 0);
        CHECK(counts.returned + counts.failed + counts.unbegun ==
              strlen(text));
        CHECK(counts.failed + (i % 3 == 1) >= 1);
        never += counts.unbegun;
        none_has_begun_since();
        CHECK(sphttp_nest_renew(call) == 1);
        uint64_t old[64];
        uint32_t old_count = unbegun_count;
        memcpy(old, unbegun, sizeof(old));
        counts = do_round(call, how, i * 64 + 32, "xxxxxx");
        CHECK(counts.kind == SPHTTP_ENDED && counts.returned == 6);
        memcpy(unbegun, old, sizeof(old));
        unbegun_count = old_count;
        none_has_begun_since();
        CHECK(sphttp_nest_renew(call) == 1);
        spin(rand() % 20000);
    }
    CHECK(never > 2000);
    leave(call);
}

static void
what_one_round_does_with_results_the_next_does_not(void)
{
    sphttp_call *call = open_nest(8, 2);
    start(call);
    for (uint64_t i = 0; i < 1000; i++) {
        int how = i % 2 == 0 ? SPHTTP_DISCARD : 0;
        struct counts counts = do_round(call, how, i * 4, "xxxx");
        CHECK(counts.discarded == (i % 2 == 0 ? 4 : 0));
        CHECK(counts.returned == 4 - counts.discarded);
        CHECK(sphttp_nest_renew(call) == 1);
    }
    /* Nobody asked for that. The nursery settles it. */
    struct counts counts = do_round(call, 0, 0, "xDf");
    CHECK(counts.returned == 1 && counts.lost == 1 && counts.failed == 1);
    CHECK(sphttp_nest_renew(call) == 1);
    leave(call);
}

static void
after_a_kill_or_a_failure_that_cuts_short_there_is_no_other_round(void)
{
    for (int i = 0; i < 30; i++) {
        sphttp_call *call = open_nest(8, 2);
        start(call);
        CHECK(do_round(call, 0, 0, "xx").returned == 2);
        CHECK(sphttp_nest_renew(call) == 1);
        int how = i % 2 == 0 ? SPHTTP_CUT_SHORT | SPHTTP_PATIENT : 0;
        struct counts counts = do_round(call, how, 0, i % 2 == 0 ? "wf" : "wK");
        CHECK(counts.kind == SPHTTP_ENDED && counts.cut == 1);
        CHECK(sphttp_nest_renew(call) == 0);
        CHECK(sphttp_nest_begin(call, 0, 0) == -ESTALE);
        close_nest(call);
        call = open_nest(8, 1); /* and where nothing else runs */
        start(call);
        counts = do_round(call, how, 0, i % 2 == 0 ? "f" : "K");
        CHECK(counts.kind == SPHTTP_ENDED);
        CHECK(sphttp_nest_renew(call) == 0);
        close_nest(call);
    }
}

static void
a_death_costs_the_item_that_was_in_hand_and_the_nest(void)
{
    for (int i = 0; i < 40; i++) {
        sphttp_call *call = open_nest(8, 2);
        CHECK(sphttp_call_limit(call, 0, 0, i % 4 == 0 ? 1 : 0) == 0);
        start(call);
        int how = i % 2 == 0 ? SPHTTP_PATIENT : SPHTTP_STOP;
        struct counts counts = do_round(call, how, 0, "xxxdxxxx");
        CHECK(counts.kind == SPHTTP_ENDED && counts.lost == 1);
        CHECK(counts.returned + counts.unbegun == 7);
        CHECK(counts.unbegun == 0 || i % 2 == 1);
        CHECK(facts->taken[3] == (i % 4 == 0 ? 2 : 1));
        CHECK(sphttp_nest_renew(call) == 0);
        close_nest(call);
    }
}

/* It may have done all there is before its nursery has noted that it is born. */
static pid_t
child_of(const sphttp_call *call, int slot)
{
    while (call->living[slot].pid == 0) {
        nap();
    }
    CHECK(call->living[slot].pid > 1);
    return call->living[slot].pid;
}

static void
kill_child(const sphttp_call *call, int slot)
{
    CHECK(kill(child_of(call, slot), SIGKILL) == 0);
}

static void
an_idle_child_that_dies_costs_no_item(void)
{
    for (int i = 0; i < 40; i++) {
        sphttp_call *call = open_nest(8, 2);
        start(call);
        CHECK(do_round(call, 0, 0, "xxxx").returned == 4);
        CHECK(sphttp_nest_renew(call) == 1);
        spin(rand() % 300000);
        kill_child(call, i % 2);
        if (i % 2 == 0) {
            nap();
        }
        if (i % 4 == 3) { /* all of them */
            kill_child(call, 1 - i % 2);
        }
        struct counts counts = do_round(call, SPHTTP_PATIENT, 0, "xxxxxxxx");
        CHECK(counts.kind == SPHTTP_ENDED && counts.returned == 8);
        /* The nursery may not have seen it yet. */
        (void)sphttp_nest_renew(call);
        close_nest(call);
    }
}

static void
a_nursery_that_dies_is_followed_by_another_for_the_round(void)
{
    for (int i = 0; i < 40; i++) {
        sphttp_call *call = open_nest(8, 2);
        start(call);
        CHECK(do_round(call, 0, 0, "xx").returned == 2);
        CHECK(sphttp_nest_renew(call) == 1);
        if (i % 2 == 0) { /* in the round */
            struct counts counts =
                do_round(call, SPHTTP_PATIENT, 0, "xxnxxxxx");
            CHECK(counts.kind == SPHTTP_ENDED);
            CHECK(counts.lost >= 1 && counts.lost <= 2);
            CHECK(counts.returned == 8 - counts.lost);
        }
        else {
            CHECK(sphttp_nest_pid(call) > 1);
            CHECK(kill(sphttp_nest_pid(call), SIGKILL) == 0);
            if (i % 4 == 1) {
                nap();
                nap();
            }
            struct counts counts = do_round(call, 0, 0, "xxxx");
            CHECK(counts.kind == SPHTTP_ENDED);
            CHECK(counts.returned + counts.lost == 4);
            CHECK(counts.lost == 0 || i % 4 == 3);
        }
        /* Its children may have been quicker than their death. */
        CHECK(sphttp_nest_renew(call) == 0 || i % 2 == 1);
        close_nest(call);
    }
}

static void
limits_hold_and_are_of_one_round(void)
{
    sphttp_call *call = open_nest(8, 2);
    CHECK(sphttp_call_limit(call, SECOND / 20, 0, 0) == 0);
    start(call);
    CHECK(do_round(call, 0, 0, "xx").returned == 2);
    CHECK(sphttp_nest_renew(call) == 1);
    (void)nanosleep(&(struct timespec){0, 150000000}, NULL); /* nobody is late */
    int64_t begun = now_ns();
    struct counts counts = do_round(call, SPHTTP_PATIENT, 0, "xwx");
    CHECK(counts.cut == 1 && counts.returned == 2);
    CHECK(now_ns() - begun > SECOND / 20 && now_ns() - begun < SECOND);
    CHECK(!sphttp_call_overdue(call) && sphttp_nest_renew(call) == 0);
    close_nest(call);
    for (int i = 0; i < 2; i++) {
        call = open_nest(8, 2);
        start(call);
        CHECK(do_round(call, 0, 0, "xx").returned == 2);
        CHECK(sphttp_nest_renew(call) == 1);
        if (i == 1) { /* the nursery is fast asleep */
            (void)nanosleep(&(struct timespec){2, 200000000}, NULL);
        }
        begun = now_ns();
        counts = do_limited_round(call, 0, SECOND / 10, 0, "xwx");
        CHECK(counts.kind == SPHTTP_ENDED && counts.cut == 1);
        CHECK(now_ns() - begun > SECOND / 10 && now_ns() - begun < SECOND);
        CHECK(sphttp_call_overdue(call) && sphttp_nest_renew(call) == 0);
        close_nest(call);
    }
}

/* Where a round ends just when its deadline comes, either it or nothing is cut. */
static void
a_deadline_never_cuts_the_next_round(void)
{
    uint32_t cut = 0;
    sphttp_call *call = open_nest(8, 2);
    start(call);
    CHECK(do_round(call, 0, 0, "xx").returned == 2);
    CHECK(sphttp_nest_renew(call) == 1);
    for (int i = 0; i < 800; i++) {
        struct counts counts = do_limited_round(
            call, SPHTTP_PATIENT, 10000 + rand() % 60000, 0, "xx");
        bool overdue = sphttp_call_overdue(call);
        CHECK(counts.kind == SPHTTP_ENDED);
        CHECK(overdue || counts.returned == 2);
        int again = sphttp_nest_renew(call);
        CHECK(again == 0 || !overdue);
        if (again == 1) {
            counts = do_round(call, SPHTTP_PATIENT, 0, "xxx");
            CHECK(counts.returned == 3 && !sphttp_call_overdue(call));
            CHECK(sphttp_nest_renew(call) == 1);
        }
        else {
            cut++;
            close_nest(call);
            call = open_nest(8, 2);
            start(call);
            CHECK(do_round(call, 0, 0, "xx").returned == 2);
            CHECK(sphttp_nest_renew(call) == 1);
        }
    }
    CHECK(cut > 0 && cut < 800);
    leave(call);
}

static void
an_abort_ends_the_round_and_the_nest(void)
{
    for (int i = 0; i < 2; i++) {
        sphttp_call *call = open_nest(8, 2);
        start(call);
        CHECK(do_round(call, 0, 0, "xx").returned == 2);
        CHECK(sphttp_nest_renew(call) == 1);
        if (i == 0) {
            CHECK(sphttp_call_abort(call) == 0);
            CHECK(sphttp_nest_begin(call, 0, 0) == -ESTALE);
        }
        else {
            meanwhile = (void (*)(sphttp_call *))(void (*)(void))sphttp_call_abort;
            struct counts counts = do_round(call, 0, 0, "wxw");
            meanwhile = NULL;
            CHECK(counts.kind == SPHTTP_FAILED && counts.error == ECANCELED);
            CHECK(sphttp_nest_renew(call) == 0);
        }
        close_nest(call);
    }
}

static void
who_has_had_its_quota_is_followed_by_another(void)
{
    sphttp_call *call = open_nest(16, 2);
    sphttp_call_quota(call, 3);
    start(call);
    for (uint64_t i = 0; i < 100; i++) {
        const char *letters = i % 3 == 0 ? "x" : i % 3 == 1 ? "fxfx" : "xxxxxxx";
        struct counts counts = do_round(call, SPHTTP_PATIENT, i * 8, letters);
        CHECK(counts.returned + counts.failed == strlen(letters));
        CHECK(sphttp_nest_renew(call) == 1);
    }
    CHECK(call->ledger->deaths == 0 && facts->ended > 100);
    leave(call);
}

static void
fail(sphttp_call *call)
{
    if (call->child.slot == facts->bad) {
        sphttp_child_fail(call, SPHTTP_RAISED, "no", 2);
    }
    sphttp_child_begin(call);
}

static void
die(sphttp_call *call)
{
    (void)call;
    _exit(3);
}

static void
a_child_that_cannot_get_ready_fails_the_round(void)
{
    for (int i = 0; i < 40; i++) {
        sphttp_call *call;
        memset((void *)facts, 0, sizeof(*facts));
        CHECK(sphttp_call_open(8, 2, KEPT | SPHTTP_SETUP, root, &call) == 0);
        get_ready = i % 2 == 0 ? fail : die;
        facts->bad = i % 4 == 0;
        start(call);
        spin(i % 8 < 4 ? 3000000 : 0);
        int begun = sphttp_nest_begin(call, SPHTTP_PATIENT, 0), error;
        if (begun == 0) {
            int64_t cell = feed_put(call, "w1", 2, false);
            CHECK(feed_put(call, "w2", 2, false) >= 0); /* for the other */
            sphttp_call_end_feed(call);
            while (page_stopped(call) == 0) {
                nap();
            }
            facts->opened = 1;
            CHECK(run_round(call, &error) == SPHTTP_ENDED);
            sphttp_result result;
            sphttp_call_result(call, (uint32_t)cell, &result);
            CHECK(result.fate == SPHTTP_NOT_BEGUN ||
                  result.fate == SPHTTP_RETURNED);
            sphttp_call_result(call, 8, &result);
            int status;
            CHECK(i % 2 == 0 ? result.fate == SPHTTP_RAISED
                             : sphttp_call_unready(call, &status) > 0);
            CHECK(sphttp_nest_renew(call) == 0);
        }
        else {
            CHECK(begun == -ESTALE);
        }
        get_ready = NULL;
        close_nest(call);
    }
}

/* It ends at the latest when the nursery looks. */
static void
a_round_that_was_scribbled_over_ends(void)
{
    static const char *const letters[] = {"sx", "xS", "SsSsxx"};
    for (int i = 0; i < 6; i++) {
        sphttp_call *call = open_nest(8, 3);
        start(call);
        for (int k = 0; k < 2; k++) {
            int64_t begun = now_ns();
            int how = i % 2 == 0 ? SPHTTP_PATIENT : 0;
            const char *text = letters[i / 2];
            struct counts counts = do_round(call, how, 0, text);
            CHECK(counts.kind == SPHTTP_ENDED);
            CHECK(counts.returned == strlen(text));
            CHECK(now_ns() - begun < 5 * SECOND);
            if (sphttp_nest_renew(call) == 0) {
                break;
            }
        }
        close_nest(call);
    }
}

/* A child's whose item was given up in an earlier round. */
static void
a_late_stop_word_stops_no_other_round(void)
{
    sphttp_call *call = open_nest(4, 1);
    CHECK(sphttp_nest_begin(call, SPHTTP_STOP, 0) == 0);
    CHECK(feed_put(call, "x", 1, false) >= 0);
    call->child.left = UINT64_MAX;
    int64_t cell = hand_take(call, TAKE_NOW);
    CHECK(cell >= 0);
    sphttp_call slow = *call;
    CHECK(hand_commit(call, (uint32_t)cell, ITEM_LATE));
    sphttp_call_end_feed(call);
    call->host->round.over = true;
    CHECK(sphttp_nest_renew(call) == 1);
    CHECK(sphttp_nest_begin(call, 0, 0) == 0);
    pid_t pid = fork();
    if (pid == 0) { /* as of an item that it no longer has it comes to its end */
        (void)child_commit(&slow, (uint32_t)cell, SPHTTP_RAISED, "", 0, 1);
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 1);
    CHECK(page_stopped(call) == 0);
    call->child.how = call->page->how; /* of this one it is heard */
    CHECK(feed_put(call, "x", 1, false) >= 0);
    call_free(call);
}

/* Its child may still be running code of the user's, or have something to say. */
static void
a_round_is_not_over_while_a_hand_holds_something(void)
{
    sphttp_call *call = open_nest(4, 2);
    CHECK(sphttp_nest_begin(call, 0, 0) == 0);
    CHECK(feed_put(call, "x", 1, false) == 0);
    CHECK(!round_is_over(call)); /* nor before all is known */
    sphttp_call_end_feed(call);
    CHECK(!round_is_over(call));
    call->living[0].pid = getpid();
    call->child.left = UINT64_MAX;
    CHECK(hand_take(call, TAKE_NOW) == 0);
    CHECK(!round_is_over(call));
    CHECK(hand_commit(call, 0, ITEM_DONE));
    CHECK(!round_is_over(call));
    call->living[0].pid = 0; /* its number is not known yet */
    call->ledger->born = 1;
    CHECK(!round_is_over(call));
    call->ledger->born = 2;
    CHECK(round_is_over(call)); /* no child's: somebody has scribbled */
    call->living[0].pid = getpid();
    call->hands[0].item = 0;
    call->hands[0].leaving = SPHTTP_TEARDOWN;
    CHECK(!round_is_over(call));
    call->hands[0].leaving = 0;
    CHECK(round_is_over(call));
    call->hands[0].item = 1;
    call->child.left = 0; /* it has had its quota, and has yet to end */
    CHECK(hand_take(call, TAKE_NOW) == -1 && !round_is_over(call));
    call->hands[0].item = 0;
    pid_t pid = fork();
    if (pid == 0) {
        sphttp_child_fail(call, SPHTTP_RAISED, "", 0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 1);
    CHECK(!round_is_over(call)); /* before it is reaped */
    call->living[0].pid = 0;
    call_free(call);
}

/* While it looks for an item, this process is interrupted, and all else comes to its
 * end: where it looks, there is nothing to be read at first. */
static sphttp_call *interrupted;
static char *unread;

static void
stop_here(int number)
{
    (void)number;
    CHECK(mprotect(unread, 4096, PROT_READ | PROT_WRITE) == 0);
    page_stop(interrupted->page, STOP_NEW);
}

static void
who_is_about_to_take_an_item_sees_the_stop_word(void)
{
    sphttp_call *call = interrupted = open_nest(8192, 1);
    CHECK(sphttp_nest_begin(call, SPHTTP_STOP, 0) == 0);
    int64_t cell = feed_put(call, "x", 1, false);
    CHECK(cell >= 0);
    call->child.left = UINT64_MAX;
    unread = (char *)((uintptr_t)&call->order[0] / 4096 * 4096);
    CHECK(unread > (char *)&call->state[call->plan.count]); /* nothing else */
    CHECK(signal(SIGSEGV, stop_here) != SIG_ERR);
    CHECK(mprotect(unread, 4096, PROT_NONE) == 0);
    CHECK(hand_take(call, TAKE_NOW) == -1);
    CHECK(signal(SIGSEGV, SIG_DFL) == stop_here);
    CHECK(page_stopped(call) == STOP_NEW);
    CHECK(page_item(call, (uint32_t)cell) == item_free(0));
    sphttp_call_end_feed(call);
    call->host->round.over = true;
    CHECK(sphttp_nest_renew(call) == 1);
    CHECK(hand_take(call, TAKE_NOW) == -1);
    call_free(call);
}

/* A round that begins between the nursery's look at its clocks and its sleep. */
static void
a_nursery_that_is_about_to_sleep_hears_of_a_round(void)
{
    for (int i = 0; i < 2; i++) {
        sphttp_call *call = open_nest(8, 2);
        struct nursery *nursery = call->nursery;
        CHECK(sphttp_call_limit(call, SECOND / 10, 0, 0) == 0);
        CHECK(socket_open(call) == 0);
        call->page->how = call->ledger->how = nursery->how_seen = 0;
        nest_expect(nursery);
        int64_t look = nest_look_every(nursery, SECOND / 10);
        CHECK(look > SECOND);
        if (i == 0) { /* it sees that... */
            call->ledger->busy = 1;
        }
        nest_sleeps(nursery, now_ns() + look);
        CHECK(sphttp_nest_begin(call, 0, 0) == 0);
        char byte; /* ...and is told all the same */
        CHECK(recv(nursery->given, &byte, 1, MSG_DONTWAIT) == 1);
        CHECK(byte == BYTE_LOOK);
        socket_close(call);
        call_free(call);
    }
}

static void
hang_in_first(sphttp_call *call)
{
    while (call->child.slot == 0) {
        (void)pause();
    }
    sphttp_child_begin(call);
}

/* The nest of a block that ends: who is to end, its first child or its nursery, hears of
 * nothing. */
static void
leave_with_a_deaf(bool nursery, bool setup)
{
    sphttp_call *call;
    memset((void *)facts, 0, sizeof(*facts));
    CHECK(sphttp_call_open(8, 2, KEPT | (setup ? SPHTTP_SETUP : 0), root,
                           &call) == 0);
    CHECK(sphttp_call_limit(call, SECOND / 2, 0, 0) == 0);
    get_ready = setup ? hang_in_first : NULL;
    start(call);
    CHECK(do_round(call, 0, 0, "xxxx").returned == 4);
    CHECK(sphttp_nest_renew(call) == 1);
    pid_t deaf = nursery ? sphttp_nest_pid(call) : child_of(call, 0);
    CHECK(deaf > 1 && kill(deaf, SIGSTOP) == 0);
    int64_t begun = now_ns();
    int error, stage;
    sphttp_nest_leave(call);
    CHECK(run_round(call, &error) == SPHTTP_ENDED);
    CHECK(now_ns() - begun < 20 * SECOND);
    CHECK(nursery || (sphttp_call_overstayed(call, &stage) == deaf &&
                      facts->ended == 1)); /* the other had its time */
    CHECK(sphttp_call_unready(call, &stage) == 0);
    close_nest(call);
}

static void
a_nest_ends_though_somebody_was_stopped(void)
{
    pid_t pids[3];
    for (int i = 0; i < 3; i++) { /* at once: each takes its time */
        pids[i] = fork();
        if (pids[i] == 0) {
            facts = mmap(NULL, sizeof(*facts), PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
            leave_with_a_deaf(i == 2, i == 1);
            _exit(0);
        }
    }
    for (int i = 0; i < 3; i++) {
        int status;
        CHECK(waitpid(pids[i], &status, 0) == pids[i] && status == 0);
    }
}

/* No child can be forked, and the host looks before the nursery says so. */
static void
a_round_that_was_stopped_for_want_of_a_child_fails(void)
{
    sphttp_call *call = open_nest(4, 1);
    CHECK(socket_open(call) == 0);
    CHECK(sphttp_nest_begin(call, SPHTTP_PATIENT, 0) == 0);
    CHECK(feed_put(call, "x", 1, false) == 0);
    sphttp_call_end_feed(call);
    call->ledger->error = EAGAIN;
    call->ledger->trouble = TROUBLE_FORK;
    page_stop(call->page, STOP_NEW);
    call->host->nursery_pid = getpid();
    sphttp_event event = call_finish(call);
    CHECK(event.kind == SPHTTP_FAILED && event.error == EAGAIN);
    call->host->nursery_pid = 0;
    call_free(call);
}

/* Else it is over when the nursery looks, a second later. */
static void
the_host_hears_of_the_end_of_a_round_that_was_stopped(void)
{
    sphttp_call *call = open_nest(4, 1);
    CHECK(sphttp_nest_begin(call, SPHTTP_STOP, 0) == 0);
    CHECK(feed_put(call, "x", 1, false) == 0);
    CHECK(feed_put(call, "x", 1, false) == 1); /* it never begins */
    sphttp_call_end_feed(call);
    call->living[0].pid = getpid();
    call->child.left = UINT64_MAX;
    CHECK(hand_take(call, TAKE_NOW) == 0);
    page_stop(call->page, STOP_NEW);
    CHECK(round_listens(call) == HOST_SLEEPS); /* one runs */
    CHECK(hand_commit(call, 0, ITEM_DONE));
    news_drain(call, SPHTTP_NEWS);
    uint32_t listens = round_listens(call);
    CHECK(listens == HOST_WAITS_IDLE && !round_is_due(call, listens));
    CHECK(page_listen(call, listens));
    call->hands[0].item = 0;
    CHECK(news_tell_idle(call));
    char ring;
    CHECK(read(call->host->heard.fd, &ring, 1) == 1);
    CHECK(round_is_due(call, listens) && round_is_over(call));
    call->living[0].pid = 0;
    call_free(call);
}

/* Else it would read all large results one after the other, at the end. */
static void
a_host_that_waits_for_the_end_hears_of_large_results(void)
{
    sphttp_call *call = open_nest(4, 1);
    char ring;
    CHECK(page_listen(call, HOST_WAITS_IDLE));
    CHECK(news_tell(call, false));
    CHECK(read(call->host->heard.fd, &ring, 1) == -1);
    CHECK(news_tell(call, true));
    CHECK(read(call->host->heard.fd, &ring, 1) == 1);
    call_free(call);
}

/* Nobody is left who could bring it forward, should somebody have scribbled. */
static void
a_nest_without_children_ends_whatever_is_said_to_be_the_next_item(void)
{
    sphttp_call *call = open_nest(8, 2);
    int error;
    start(call);
    CHECK(do_round(call, 0, 0, "xxxx").returned == 4);
    CHECK(sphttp_nest_renew(call) == 1);
    (void)child_of(call, 1); /* both are born */
    CHECK(kill(sphttp_nest_pid(call), SIGSTOP) == 0);
    kill_child(call, 0);
    kill_child(call, 1);
    nap();
    sphttp_nest_leave(call);
    call->page->next = 0;
    CHECK(kill(sphttp_nest_pid(call), SIGCONT) == 0);
    (void)alarm(20);
    CHECK(run_round(call, &error) == SPHTTP_ENDED);
    (void)alarm(0);
    close_nest(call);
}

/* So often has a process slept. */
static unsigned long
sleeps_of(pid_t pid)
{
    char path[40], line[100];
    unsigned long count = 0;
    (void)sprintf(path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "r");
    CHECK(file != NULL);
    while (fgets(line, sizeof(line), file) != NULL) {
        (void)sscanf(line, "voluntary_ctxt_switches: %lu", &count);
    }
    (void)fclose(file);
    return count;
}

static void
an_idle_nest_wakes_nobody(void)
{
    sphttp_call *call = open_nest(8, 2);
    CHECK(sphttp_call_limit(call, SECOND / 10, 0, 0) == 0);
    start(call);
    CHECK(do_round(call, 0, 0, "xx").returned == 2);
    CHECK(sphttp_nest_renew(call) == 1);
    (void)nanosleep(&(struct timespec){1, 200000000}, NULL);
    pid_t pids[] = {sphttp_nest_pid(call), call->living[0].pid,
                    call->living[1].pid};
    CHECK(pids[1] > 0 && pids[2] > 0);
    unsigned long before[3];
    for (int i = 0; i < 3; i++) {
        before[i] = sleeps_of(pids[i]);
    }
    (void)nanosleep(&(struct timespec){2, 0}, NULL);
    for (int i = 0; i < 3; i++) {
        CHECK(sleeps_of(pids[i]) == before[i]);
    }
    leave(call);
}

static void
rounds_need_no_more_memory_than_one(void)
{
    sphttp_call *call = open_nest(64, 2);
    start(call);
    struct stat items, records;
    for (uint64_t i = 0; i < 20000; i++) {
        CHECK(do_round(call, SPHTTP_PATIENT, i, "xxxxxxxx").returned == 8);
        CHECK(sphttp_nest_renew(call) == 1);
    }
    CHECK(fstat(call->items.fd, &items) == 0 && items.st_size == 64 << 10);
    CHECK(fstat(call->memory.fd, &records) == 0);
    CHECK(records.st_size <= 8 << 20); /* all of them would take 16 */
    leave(call);
}

/* --- Kills at random -------------------------------------------------------------------- */

static pthread_mutex_t killing = PTHREAD_MUTEX_INITIALIZER;
static sphttp_call *prey; /* whose children are killed; or NULL */
static _Atomic bool enough;
static _Atomic uint32_t kills;

static void *
kill_now_and_then(void *unused)
{
    unsigned int seed = 1;
    while (!enough) {
        struct timespec pause = {0, rand_r(&seed) % 1500000};
        (void)nanosleep(&pause, NULL);
        (void)pthread_mutex_lock(&killing);
        if (prey != NULL) {
            uint32_t slot = (uint32_t)rand_r(&seed) % prey->plan.alive;
            pid_t pid = prey->living[slot].pid;
            if (pid > 0 && kill(pid, SIGKILL) == 0) {
                kills++;
            }
        }
        (void)pthread_mutex_unlock(&killing);
    }
    return unused;
}

static void
set_prey(sphttp_call *call)
{
    (void)pthread_mutex_lock(&killing);
    prey = call;
    (void)pthread_mutex_unlock(&killing);
}

static uint32_t many = 5000; /* rounds */

static void
no_round_hangs_or_ends_early_whoever_is_killed(void)
{
    static const char *const letters[] = {"x", "xxxx", "xfxxbxx",
                                          "xxxxxxxxxxxxxxxx"};
    pthread_t killer;
    sphttp_call *call = NULL;
    uint64_t nests = 0;
    CHECK(pthread_create(&killer, NULL, kill_now_and_then, NULL) == 0);
    for (uint64_t i = 0; i < many; i++) {
        if (i % 100 == 0) {
            (void)alarm(60);
        }
        if (call == NULL) {
            nests++;
            call = open_nest(32, 1 + (uint32_t)(i % 3));
            CHECK(sphttp_call_limit(call, 0, 0, i % 5 == 0 ? 3 : 0) == 0);
            sphttp_call_quota(call, i % 7 == 0 ? 5 : 0);
            start(call);
            set_prey(call);
        }
        int how = (i % 2 == 0 ? SPHTTP_PATIENT : 0) |
                  (i % 3 == 0 ? SPHTTP_STOP : 0);
        const char *text = letters[rand() % 4];
        struct counts counts = do_round(call, how, i * 16, text);
        CHECK(counts.kind == SPHTTP_ENDED);
        CHECK(counts.returned + counts.failed + counts.lost +
                  counts.unbegun ==
              strlen(text));
        CHECK(counts.unbegun == 0 || strchr(text, 'b') != NULL ||
              (how & SPHTTP_STOP) != 0);
        for (size_t k = 0; k < strlen(text); k++) {
            CHECK(facts->taken[(i * 16 + k) % MOST] <= 4);
        }
        none_has_begun_since();
        bool died = call->ledger->deaths != 0;
        int again = sphttp_nest_renew(call);
        CHECK(again == 1 || call->ledger->deaths != 0);
        CHECK(again == 0 || counts.lost == 0);
        CHECK(again == 0 || !died);
        if (again == 0 || rand() % 500 == 0) {
            set_prey(NULL);
            if (again == 1 && call->plan.quota == 0) {
                leave(call);
            }
            else {
                close_nest(call);
            }
            call = NULL;
        }
    }
    enough = true;
    CHECK(pthread_join(killer, NULL) == 0);
    (void)alarm(0);
    if (call != NULL) {
        close_nest(call);
    }
    CHECK(kills > 10 && nests > 10);
    if (many > 5000) {
        fprintf(stderr, "%u kills, %llu nests\n", kills,
                (unsigned long long)nests);
    }
}

static void
measure(void)
{
    sphttp_call *call = open_nest(1024, 2);
    start(call);
    for (int n = 1; n <= 4; n += 3) {
        for (int k = 0; k < 5; k++) {
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
        TEST(a_round_without_items_is_over_at_once),
        TEST(a_round_that_was_stopped_leaves_the_next_one_whole),
        TEST(what_one_round_does_with_results_the_next_does_not),
        TEST(after_a_kill_or_a_failure_that_cuts_short_there_is_no_other_round),
        TEST(a_death_costs_the_item_that_was_in_hand_and_the_nest),
        TEST(an_idle_child_that_dies_costs_no_item),
        TEST(a_nursery_that_dies_is_followed_by_another_for_the_round),
        TEST(limits_hold_and_are_of_one_round),
        TEST(a_deadline_never_cuts_the_next_round),
        TEST(an_abort_ends_the_round_and_the_nest),
        TEST(who_has_had_its_quota_is_followed_by_another),
        TEST(a_child_that_cannot_get_ready_fails_the_round),
        TEST(a_round_that_was_scribbled_over_ends),
        TEST(a_late_stop_word_stops_no_other_round),
        TEST(a_round_is_not_over_while_a_hand_holds_something),
        TEST(who_is_about_to_take_an_item_sees_the_stop_word),
        TEST(a_nursery_that_is_about_to_sleep_hears_of_a_round),
        TEST(a_nest_ends_though_somebody_was_stopped),
        TEST(a_round_that_was_stopped_for_want_of_a_child_fails),
        TEST(the_host_hears_of_the_end_of_a_round_that_was_stopped),
        TEST(a_host_that_waits_for_the_end_hears_of_large_results),
        TEST(a_nest_without_children_ends_whatever_is_said_to_be_the_next_item),
        TEST(an_idle_nest_wakes_nobody),
        TEST(rounds_need_no_more_memory_than_one),
        TEST(no_round_hangs_or_ends_early_whoever_is_killed),
    };
    CHECK(mkdtemp(root) != NULL);
    facts = mmap(NULL, sizeof(*facts), PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(facts != MAP_FAILED);
    if (argc > 1 && strcmp(argv[1], "measure") == 0) {
        measure();
        return rmdir(root);
    }
    if (argc > 1 && strcmp(argv[1], "long") == 0) {
        many = 1000000;
        no_round_hangs_or_ends_early_whoever_is_killed();
        return rmdir(root);
    }
    run_tests(tests, sizeof(tests) / sizeof(*tests));
    CHECK(rmdir(root) == 0);
    return 0;
}
