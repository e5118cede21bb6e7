/* The nursery of a kept call: it forks its children before there are items, and goes on
 * when a round has been stopped. Once the nest can serve no other round, it ends as any
 * call does. */
#include "nursery/nest.h"

#include <sys/wait.h>

#include "nursery/hands.h"
#include "nursery/strays.h"
#include "shared/ring.h"

#define QUIET_NS (10 * SECOND)

bool
nest_stopped(const struct nursery *nursery)
{
    const struct sphttp_call *call = nursery->call;
    const struct ledger *ledger = call->ledger;
    uint32_t stop = page_stopped(call);
    return call->plan.kept
               ? stop == STOP_ALL || ledger->trouble != TROUBLE_NONE ||
                     ledger->unready.pid != 0 ||
                     page_item(call, call->plan.count) != ITEM_FREE
               : stop != 0;
}

/* May there be another round? */
static bool
goes_on(const struct sphttp_call *call)
{
    return call->plan.kept && call->ledger->total == UINT64_MAX;
}

bool
nest_leaves(const struct sphttp_call *call)
{
    return call->plan.kept && !goes_on(call);
}

void
nest_note_stop(struct nursery *nursery)
{
    struct sphttp_call *call = nursery->call;
    uint32_t stop = page_stopped(call);
    /* A stop word that the host takes back must not come back from here. */
    if (!call->plan.kept || stop == STOP_ALL) {
        call->ledger->stop = stop;
    }
    if (goes_on(call) &&
        (nest_stopped(nursery) || strays_spent(nursery))) {
        call->ledger->total = call->ledger->watermark;
        page_set_total(call->page, call->ledger->total);
    }
}

void
nest_note_death(const struct nursery *nursery, uint32_t slot, int status)
{
    struct sphttp_call *call = nursery->call;
    if (!goes_on(call)) {
        return;
    }
    uint32_t hand = slot * call->plan.lanes;
    uint32_t item = hand_item(call, hand);
    bool running = item != 0 && page_runs(call, item - 1, hand);
    bool served = call->plan.quota != 0 && WIFEXITED(status) &&
                  WEXITSTATUS(status) <= 1;
    served = (served || page_hand_gone(call, hand)) && !running;
    if (!served) { /* first: before the host can see that its item has ended */
        call->ledger->deaths++;
    }
}

void
nest_clear_hand(struct sphttp_call *call, uint32_t hand, bool gone)
{
    uint64_t from;
    page_clear_hand(call, hand); /* so that the round can be over */
    if (!gone || page_set_aside(call, hand, &from) >= 0) {
        page_wake(call->page); /* it may have been this child that was woken */
    }
}

bool
nest_is_busy(const struct nursery *nursery)
{
    const struct sphttp_call *call = nursery->call;
    return !call->plan.kept || call->ledger->busy != 0;
}

/* Is it, or was it since the clocks were last looked at? */
static bool
is_active(const struct nursery *nursery)
{
    return nest_is_busy(nursery) ||
           nursery->call->ledger->how != nursery->how_seen;
}

int64_t
nest_look_every(const struct nursery *nursery, int64_t clock_ns)
{
    const struct plan *plan = &nursery->call->plan;
    if (plan->kept && !nursery->active) {
        return QUIET_NS; /* the host tells when a round begins */
    }
    /* The host may wait for news that was lost. */
    return plan->hold && clock_ns > SECOND ? SECOND : clock_ns;
}

void
nest_look_for_lost(struct nursery *nursery)
{
    struct sphttp_call *call = nursery->call;
    if (!call->plan.kept) {
        if (call->plan.hold) {
            strays_find_held(call);
        }
        return;
    }
    uint64_t fed = call->ledger->watermark;
    if (fed != nursery->fed) { /* not for long, then */
        nursery->fed = fed;
        nursery->fruitless = 0;
    }
    else if (page_stopped(call) == 0 && page_all_idle(call) &&
             strays_find_forgotten(nursery)) {
        ring_mend(call);
        page_wake(call->page);
    }
}

void
nest_expect(struct nursery *nursery)
{
    struct sphttp_call *call = nursery->call;
    call->ledger->wakes_ns = INT64_MAX;
    bool forks = nursery->running < call->plan.alive;
    call->ledger->forks = call->plan.kept && forks;
    call->ledger->wants = call->plan.kept || forks;
    nursery->active = is_active(nursery); /* last: of a round that begins now it is told */
}

void
nest_sleeps(struct nursery *nursery, int64_t until)
{
    struct sphttp_call *call = nursery->call;
    if (call->plan.kept) {
        call->ledger->wakes_ns = until;
        if (nursery->active) { /* it looks every second by itself */
            call->ledger->wants = 0;
        }
    }
}
