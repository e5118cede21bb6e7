/* A kept call serves round after round. That one is over nobody counts: a child may be
 * killed wherever it is, and what it has counted stays wrong. The host looks at states
 * alone: all items of the round have ended, and then every hand was seen empty. Who
 * finds nothing to do empties its hand before it rings; who takes an item fills it
 * before it takes. */
#include "host/round.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/farewell.h"
#include "host/forks.h"
#include "host/host.h"
#include "host/news.h"
#include "host/strangers.h"
#include "nursery/nursery.h"
#include "shared/ring.h"

#define HELD_NS (SECOND / 2000) /* of a round, with the GIL held */

uint64_t
round_asked(int how)
{
    uint64_t stop = (how & SPHTTP_CUT_SHORT) != 0 ? STOP_ALL
                    : (how & SPHTTP_STOP) != 0    ? STOP_NEW
                                                  : 0;
    return stop | ((how & SPHTTP_DISCARD) != 0 ? ROUND_DISCARDS : 0);
}

/* Is every hand of a living child empty? Of one that is being forked the number is not
 * known yet: it counts as living. */
static bool
hands_idle(const struct sphttp_call *call)
{
    for (uint32_t hand = 0; hand < call->plan.hands; hand++) {
        uint32_t slot = hand / call->plan.lanes;
        bool lives = call->ledger->born == slot + 1 || /* in this order */
                     call->living[slot].pid != 0;
        if (lives && !page_hand_idle(call, hand)) {
            return false;
        }
    }
    return true;
}

/* Have all items ended, or will they not begin? */
static bool
all_ended(struct sphttp_call *call)
{
    return news_all_ended(call, page_stopped(call) != 0);
}

uint32_t
round_listens(struct sphttp_call *call)
{
    const struct round *round = &call->host->round;
    if (!round->on) {
        return HOST_SLEEPS;
    }
    /* Of items that will not begin nobody tells. */
    if (round->all_fed && (round->patient || news_all_told(call) ||
                           (page_stopped(call) != 0 && all_ended(call)))) {
        return HOST_WAITS_IDLE;
    }
    return round->patient ? HOST_NAPS : HOST_SLEEPS;
}

bool
round_is_due(struct sphttp_call *call, uint32_t listens)
{
    if (listens == HOST_WAITS_IDLE) {
        return all_ended(call) && hands_idle(call);
    }
    if (!page_rung(call) || listens != HOST_NAPS) {
        return page_rung(call);
    }
    uint32_t hand = 0; /* who is idle by now may not have seen that */
    while (hand < call->plan.hands && !page_hand_idle(call, hand)) {
        hand++;
    }
    return hand < call->plan.hands;
}

bool
round_is_over(struct sphttp_call *call)
{
    const struct round *round = &call->host->round;
    if (!round->on || !round->all_fed || !all_ended(call) ||
        !hands_idle(call)) {
        return false;
    }
    if (!news_all_told(call)) { /* since the look; or to be tried again, and were not */
        page_settle_all(call, false);
        news_drain(call, SPHTTP_ENDED);
    }
    return true;
}

/* Can there be no other round? */
static bool
is_spent(const struct sphttp_call *call)
{
    const struct ledger *ledger = call->ledger;
    return call->host->round.spent || call->host->ended ||
           ledger->aborted != 0 || ledger->deaths != 0 ||
           ledger->trouble != TROUBLE_NONE || ledger->unready.pid != 0 ||
           page_stopped(call) == STOP_ALL ||
           page_item(call, call->plan.count) != ITEM_FREE;
}

/* Has the host closed all that it had open? Then its nursery ends, and all below it. */
static bool
was_closed(struct sphttp_call *nest)
{
    forks_lock();
    bool closed = forks_find_closed(nest);
    forks_unlock();
    if (closed) {
        await_orphans(nest);
    }
    return closed;
}

int
sphttp_nest_begin(sphttp_call *nest, int how, int64_t deadline_ns)
{
    struct round *round = &nest->host->round;
    struct ledger *ledger = nest->ledger;
    bool reaped = (how & SPHTTP_REAPED) != 0 && nest->plan.quota == 1;
    if (was_closed(nest) || round->on || round->spent || nest->host->ended ||
        ledger->aborted != 0 || page_stopped(nest) != 0 ||
        strangers_found(nest)) {
        return -ESTALE;
    }
    *round = (struct round){
        .number = round->number + 1,
        .from = nest->host->feed.number,
        .on = true,
        .patient = (how & SPHTTP_PATIENT) != 0,
        .reaped = reaped,
        .held_ns = HELD_NS,
    };
    nest->host->texts_left = 0;
    page_begin_round(nest, round_asked(how) | (reaped ? ROUND_REAPED : 0) |
                               round->number * ROUND_ONE);
    int64_t deadline = deadline_ns > 0 ? now_ns() + deadline_ns : 0;
    ledger->deadline_ns = deadline;
    ledger->busy = 1;
    if (deadline != 0 && deadline < ledger->wakes_ns) {
        socket_say(nest, BYTE_LOOK);
    }
    else {
        socket_look(nest); /* that has slept for long: there may be clocks */
    }
    return 0;
}

int
sphttp_nest_renew(sphttp_call *nest)
{
    struct round *round = &nest->host->round;
    if (!round->over) {
        return 0;
    }
    feed_release_all(nest);
    news_forget(nest);
    round->on = round->over = false;
    /* The nursery claims what it has stopped, so that the next round is not cut short. */
    bool overdue = atomic_exchange(&nest->ledger->deadline_ns, 0) == OVERDUE;
    round->spent = overdue || is_spent(nest) || strangers_left(nest);
    if (!round->spent) {
        round->spent = page_end_round(nest) > STOP_NEW;
    }
    nest->ledger->busy = 0;
    if (round->spent) {
        return 0;
    }
    bool asked = strangers_ask(nest);
    socket_let_fork(nest);
    return asked ? 2 : 1;
}

void
sphttp_nest_leave(sphttp_call *nest)
{
    struct host *host = nest->host;
    host->round.on = host->round.over = false;
    host->round.spent = true;
    if (was_closed(nest) || (host->nursery_pid == 0 && !host->asked)) {
        host->ended = true; /* or was never forked */
        return;
    }
    host->leaves = true;
    host->silent = 0;
    nest->ledger->busy = 1;
    page_skip_unbegun(nest); /* or children would be forked for it, without end */
    nest->ledger->total = nest->ledger->watermark;
    page_set_total(nest->page, nest->ledger->total);
    socket_say(nest, BYTE_LOOK);
}

int
sphttp_nest_pid(const sphttp_call *nest)
{
    return nest->host->nursery_pid;
}
