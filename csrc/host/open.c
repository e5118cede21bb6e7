/* A call is opened, set up and freed: all that its host does before the fork, and
 * after the end. */
#include "host/open.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/hmac.h"
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
    plan->pool = (how & SPHTTP_POOL) != 0;
    plan->fed = plan->hold = (how & SPHTTP_FED) != 0;
    plan->in_memory = plan->pool || plan->fed;
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
    host->host_end = host->nursery_fd = -1;
    host->wake[0] = host->wake[1] = host->watching = host->forward.fd = -1;
    host->heard = host->both = host->pool_reader = -1;
    /* A pool's records are where they are: there is one at a time. But in a fed call
     * that place is used again. */
    bool one = plan->in_memory && !plan->fed;
    host->payload_count = one ? 1 : plan->count + 1;
    host->store = plan->in_memory ? &pool_store : &files_store;
}

/* What a fork of the host has to drop. 0 or -errno. */
static int
open_what_forks_drop(struct sphttp_call *call)
{
    forks_lock();
    forks_enter(call);
    terminal_enter(call);
    int err = pool_open(call);
    if (err == 0 && call->plan.fed) {
        err = feed_open(call);
    }
    if (err == 0 && call->plan.tell) {
        err = news_open(call);
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
    int err = host->payloads != NULL ? page_open(call) : -ENOMEM;
    err = err == 0 ? open_what_forks_drop(call) : err;
    err = err == 0 ? hmac_prepare() : err;
    if (err == 0 && getrandom(call->plan.key, KEY_SIZE, 0) != KEY_SIZE) {
        err = -EIO;
    }
    return err;
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
    struct sphttp_call *call = &whole->call;
    call->host = &whole->host;
    set_plan(&call->plan, count, alive, how, root);
    set_host(call->host, &call->plan);
    call->memory.fd = call->bell.fd = call->directory.fd = -1;
    call->items.fd = -1;
    call->child.pulse.fd = -1;
    call->child.linger = (how & SPHTTP_LINGER) != 0;
    call->child.await_turn = page_await_turn;
    int err = nursery_open(call);
    if (err != 0) {
        free(whole);
        return err;
    }
    err = open_parts(call);
    if (err != 0) {
        call_free(call);
        return err;
    }
    page_begin_round(call, round_how(how));
    *result = call;
    return 0;
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
    page_close(call);
    forks_leave(call);
    forks_unlock();
    free(host->payloads);
    runs_forget(&host->runs);
    free(call->nursery);
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
    call->ledger->deadline_ns = deadline_ns > 0 ? now_ns() + deadline_ns : 0;
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
