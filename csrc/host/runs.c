/* Which runs of a fed call's memory may be used again. The host copies a record as soon
 * as it sees its item ended. So a run is free when no child writes to it any more, and
 * a look that began after that has copied what it found. What only one record has is
 * free when that is copied. Any word may be a stray's: then results are spoilt, and no
 * more than that. */
#include "host/runs.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "host/host.h"
#include "host/wake.h"
#include "shared/pool.h"
#include "shared/runs.h"

enum {
    PIECE = 1 << 20, /* bytes that are given back without a look at the clock */
    RUNS_MOST = 1 << 16, /* that a host knows of */
    KEPT_MOST = 1 << 20  /* bytes; a larger run does not keep its pages */
};

static bool
in_file(const struct sphttp_call *call, uint64_t name)
{
    struct stat st;
    return fstat(call->memory.fd, &st) == 0 &&
           run_plausible(name, (uint64_t)st.st_size);
}

/* What is known of a run, from now on; NULL: it is none, or there is no memory. */
static struct run *
know(struct sphttp_call *call, uint64_t name)
{
    struct runs *runs = &call->host->runs;
    for (size_t i = 0; i < runs->count; i++) {
        if (runs->list[i].name == name) {
            return &runs->list[i];
        }
    }
    if (!in_file(call, name) || runs->count == RUNS_MOST) {
        return NULL;
    }
    if (runs->count == runs->room) {
        size_t room = runs->room == 0 ? 16 : runs->room * 2;
        void *list = realloc(runs->list, room * sizeof(*runs->list));
        if (list == NULL) {
            return NULL;
        }
        runs->list = list;
        runs->room = room;
    }
    struct run *run = &runs->list[runs->count++];
    *run = (struct run){.name = name};
    return run;
}

void
runs_ask(struct sphttp_call *call)
{
    struct runs *runs = &call->host->runs;
    if (!call->plan.fed) {
        return;
    }
    for (size_t i = 0; i < runs->count; i++) {
        runs->list[i].idle = true;
    }
    for (uint32_t hand = 0; hand < call->plan.hands; hand++) {
        uint64_t name = runs_claimed(call, hand);
        struct run *run = name != 0 ? know(call, name) : NULL;
        if (run != NULL) {
            run->idle = false;
        }
    }
    /* Last: an orphan is noted before its hand is cleared. So a run that no hand claimed
     * is noted by now, and cannot be heard of again when it is another's. */
    for (uint32_t i = 0; i < runs_orphans(&call->plan); i++) {
        if (call->orphans[i] != 0) {
            uint64_t name = atomic_exchange(&call->orphans[i], 0);
            (void)know(call, name & ~(uint64_t)RUN_ALONE);
        }
    }
}

void
runs_copied(struct sphttp_call *call, uint64_t name)
{
    /* Of a run that is new to the host it is not known whether it is idle. */
    struct run *run = know(call, name & ~(uint64_t)RUN_ALONE);
    if (run != NULL && (name & RUN_ALONE) != 0) {
        run->idle = true;
    }
}

/* Let the kernel have the pages of a large run that nobody writes to. False: a loop is to
 * go on first. */
static bool
empty(struct sphttp_call *call, struct run *run)
{
    uint64_t size = run_size(run->name);
    bool keeps = !run->idle || run->free || size <= KEPT_MOST;
    while (!keeps && run->emptied < size) {
        pool_punch(call->memory.fd, run_offset(run->name) + run->emptied,
                   PIECE);
        run->emptied += PIECE;
        if (call->host->in_loop && turn_over(call, PIECE)) {
            return false;
        }
    }
    return true;
}

bool
runs_reuse(struct sphttp_call *call)
{
    struct runs *runs = &call->host->runs;
    size_t left = 0;
    /* The record of a setup or teardown that failed lies in one of them, and is read
     * last. Looked at after the claims: who has none any more has committed by now. */
    if (page_item(call, call->plan.count) != ITEM_FREE) {
        return true;
    }
    for (size_t i = 0; i < runs->count; i++) {
        if (!empty(call, &runs->list[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < runs->count; i++) {
        struct run run = runs->list[i];
        /* Where there is no room for it now, there may be the next time. */
        run.free = run.free || run.idle;
        if (!run.free || !runs_offer(call, run.name)) {
            runs->list[left++] = run;
        }
    }
    runs->count = left;
    return true;
}

void
runs_forget(struct runs *runs)
{
    free(runs->list);
    *runs = (struct runs){0};
}
