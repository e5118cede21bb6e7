/* A call is opened, set up and freed: all that its host does before the fork, and
 * after the end. */
#include "host/open.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/sha256_lanes.h"
#include "digest/child.h"
#include "host/call.h"
#include "host/files.h"
#include "host/forks.h"
#include "host/host.h"
#include "host/news.h"
#include "host/pool.h"
#include "host/round.h"
#include "host/terminal.h"
#include "host/wake.h"
#include "nursery/nursery.h"
#include "shared/layout.h"
#include "shared/pool.h"

enum { HANDS_MOST = 1 << 29 }; /* a state word has room for no more */
#define LEAVE_NS (10 * SECOND) /* that a child's end may take */
#define LEAVE_NS_LEAST (SECOND / 10) /* to leave at all takes its time */

/* A call, and what of it is the host's. */
struct whole {
    struct sphttp_call call; /* first: it is freed as a call */
    struct host host;
};

/* Once a process, before its first call. */
static void
prepare_process(void)
{
    bare_fork_find();
    forks_watch();
}

/* Set what is not 0. Not as a whole: it has a path in it, of which most is unused. */
static void
set_plan(struct plan *plan, uint32_t count, uint32_t alive, int how,
         const char *root)
{
    plan->count = count;
    plan->alive = alive < count ? alive : count;
    plan->server = (how & SPHTTP_SERVER) != 0;
    plan->pool = (how & SPHTTP_POOL) != 0;
    plan->fed = plan->hold = (how & SPHTTP_FED) != 0;
    plan->command = (how & SPHTTP_COMMAND) != 0;
    plan->ungrouped = (how & SPHTTP_UNGROUPED) != 0;
    plan->in_memory = (plan->pool || plan->fed) && !plan->command;
    for (plan->ring = 1; plan->ring < count; plan->ring *= 2) {
    }
    plan->ring--;
    plan->lanes = plan->pool && !plan->fed && (how & SPHTTP_LANES) != 0
                      ? LANES_MOST
                      : 1;
    plan->hands = plan->alive * plan->lanes;
    plan->setup = (how & SPHTTP_SETUP) != 0;
    plan->tell = (how & (SPHTTP_TELL | SPHTTP_FED)) != 0;
    plan->kept = (how & SPHTTP_KEPT) != 0;
    plan->ahead = plan->alive;
    plan->leave_ns = LEAVE_NS;
    plan->owner = getpid();
    (void)strcpy(plan->root, root);
}

/* Nothing is open yet. */
static void
set_host(struct host *host, const struct plan *plan)
{
    host->doing = "preparing the call";
    host->host_end.fd = host->nursery_fd = host->files[0] = host->files[1] = -1;
    host->wake[0] = host->wake[1] = host->watching = host->forward.fd = -1;
    host->beside = -1;
    host->heard.fd = host->both = host->pool_reader = -1;
    /* A pool's records are where they are: there is one at a time. But in a fed call
     * that place is used again. */
    bool one = plan->server || (plan->in_memory && !plan->fed);
    host->payload_count = one ? 1 : plan->count + 1;
    host->store = plan->in_memory ? &pool_store : &files_store;
}

/* What a fork of the host has to drop. 0 or -errno. */
static int
open_what_forks_drop(struct sphttp_call *call)
{
    forks_lock();
    forks_enter(call);
    int err = 0;
    if (!call->host->nest) { /* else it is in the server */
        err = pool_prepare(call);
    }
    if (!call->plan.server) {
        terminal_enter(call);
        int *files = call->host->nest ? call->host->files : NULL;
        err = err == 0 ? layout_open(call, files) : err;
        err = err == 0 ? pool_open(call) : err;
        err = err == 0 && call->plan.fed ? feed_open(call) : err;
        err = err == 0 && call->plan.tell ? news_open(call) : err;
    }
    forks_unlock();
    return err;
}

/* Allocate and open all that a planned call needs. 0 or -errno. */
static int
open_parts(struct sphttp_call *call)
{
    struct host *host = call->host;
    host->payloads = calloc(host->payload_count, sizeof(*host->payloads));
    int err = host->payloads != NULL ? 0 : -ENOMEM;
    err = err == 0 ? open_what_forks_drop(call) : err;
    if (err == 0 && getrandom(call->plan.key, KEY_SIZE, 0) != KEY_SIZE) {
        err = -EIO;
    }
    return err;
}

/* A call that is planned: open it, or free it. 0 or -errno. */
static int
open_whole(struct whole *whole, bool linger, sphttp_call **result)
{
    struct sphttp_call *call = &whole->call;
    call->host = &whole->host;
    set_host(call->host, &call->plan);
    call->memory.fd = call->bell.fd = call->directory.fd = -1;
    call->items.fd = -1;
    call->child.pulse.fd = -1;
    call->child.linger = linger;
    call->child.await_turn = page_await_turn;
    int err = nursery_open(call);
    err = err == 0 ? open_parts(call) : err;
    if (err != 0) {
        call_free(call);
        return err;
    }
    *result = call;
    return 0;
}

int
sphttp_call_open(uint32_t count, uint32_t alive, int how, const char *root,
                 sphttp_call **result)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, prepare_process);
    if (count < 1 || count > INT32_MAX - 1 || alive < 1 ||
        (alive > HANDS_MOST / LANES_MOST && count > HANDS_MOST / LANES_MOST)) {
        return -EOVERFLOW;
    }
    if (strlen(root) >= sizeof((*result)->plan.root)) {
        return -ENAMETOOLONG;
    }
    struct whole *whole = calloc(1, sizeof(*whole));
    if (whole == NULL) {
        return -ENOMEM;
    }
    set_plan(&whole->call.plan, count, alive, how, root);
    int err = open_whole(whole, (how & SPHTTP_LINGER) != 0, result);
    if (err == 0 && !whole->call.plan.server) {
        page_begin_round(*result, round_asked(how));
    }
    return err;
}

int
call_open_nest(struct sphttp_call *mould, sphttp_call **nest)
{
    if (mould->plan.owner != getpid() || !mould->plan.server) {
        return mould->plan.server ? -ECHILD : -EINVAL;
    }
    struct whole *whole = calloc(1, sizeof(*whole));
    if (whole == NULL) {
        return -ENOMEM;
    }
    whole->call.plan = mould->plan;
    /* What the mould has is its own, and its children's. */
    whole->call.plan.server = false;
    whole->call.plan.digest = NULL;
    whole->call.plan.wiped = NULL;
    whole->call.plan.open = NULL;
    whole->host.nest = true;
    whole->host.mould = mould;
    return open_whole(whole, mould->child.linger, nest);
}

void
call_free(struct sphttp_call *call)
{
    if (call == NULL) {
        return;
    }
    call_close(call);
    wake_close(call);
    struct host *host = call->host;
    for (uint32_t i = 0; host->payloads != NULL && i < host->payload_count;
         i++) {
        sphttp_call_drop(call, i);
    }
    forks_lock();
    pool_forget(call);
    pool_close(call);
    feed_close(call);
    layout_close(call);
    forks_leave(call);
    forks_forget_mould(call);
    forks_unlock();
    free(host->payloads);
    runs_forget(&host->runs);
    nursery_free(call->nursery);
    free(call->plan.open);
    digest_free(call->plan.digest);
    explicit_bzero(call->plan.key, sizeof(call->plan.key));
    free(call);
}

int
sphttp_call_limit(sphttp_call *call, int64_t timeout_ns, int64_t deadline_ns,
                  uint32_t retries)
{
    call->plan.timeout_ns = timeout_ns;
    call->plan.leave_ns = timeout_ns == 0               ? LEAVE_NS
                     : timeout_ns < LEAVE_NS_LEAST ? LEAVE_NS_LEAST
                                                   : timeout_ns;
    if (call->ledger != NULL) { /* else a mould: each round says that */
        call->ledger->deadline_ns = deadline_ns > 0 ? now_ns() + deadline_ns
                                                    : 0;
    }
    call->plan.retries = retries;
    return 0;
}

void
sphttp_call_quota(sphttp_call *call, uint32_t quota)
{
    call->plan.quota = quota;
}

void
sphttp_call_ahead(sphttp_call *call, uint32_t ready)
{
    call->plan.ahead = ready < call->plan.alive ? ready : call->plan.alive;
}

void
sphttp_call_allow(sphttp_call *call, uint32_t watermark)
{
    call->plan.hold = call->plan.hold || call->host->nursery_pid == 0;
    call->ledger->watermark = watermark; /* first: the nursery mends the other */
    page_raise_watermark(call->page, watermark);
    socket_look(call);
}
