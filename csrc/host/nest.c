/* A nest as its host sees it: a kept call whose nursery is forked not from here, but
 * from the server of its block. */
#include "host/nest.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rights.h"
#include "host/forks.h"
#include "host/host.h"
#include "host/wake.h"
#include "nursery/nursery.h"
#include "nursery/server.h"

#define ARRIVES (10 * SECOND) /* at the latest, or the call fails */
#define LOOK (SECOND / 10)    /* has somebody aborted it meanwhile? */

static int
by_number(const void *left, const void *right)
{
    const int *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

int
sphttp_server_keep(sphttp_call *mould, const int *fds, size_t count)
{
    int *kept = malloc((count > 0 ? count : 1) * sizeof(*kept));
    if (kept == NULL) {
        return -ENOMEM;
    }
    if (count > 0) {
        memcpy(kept, fds, count * sizeof(*kept));
        qsort(kept, count, sizeof(*kept), by_number);
    }
    free(mould->plan.open);
    mould->plan.open = kept;
    mould->plan.open_count = count;
    return 0;
}

/* Under the lock: send the server what it needs to make this nest. 0 or -errno. */
static int
send_make(struct sphttp_call *nest, int server)
{
    const int *files = nest->host->files;
    const int fds[] = {
        [MAKE_SOCKET] = nest->nursery->given,
        [MAKE_PAGE] = files[0],
        [MAKE_LEDGER] = files[1],
        [MAKE_MEMORY] = nest->memory.fd,
        [MAKE_ITEMS] = nest->items.fd,
        [MAKE_BELL] = nest->bell.fd,
    };
    struct make make = {.size = sizeof(make)};
    memcpy(make.key, nest->plan.key, KEY_SIZE);
    int err = rights_send(server, &make, sizeof(make), fds, MAKE_COUNT);
    explicit_bzero(make.key, KEY_SIZE);
    return err == -ECONNRESET || err == -ENOTCONN ? -EPIPE : err;
}

int
nest_ask(struct sphttp_call *nest)
{
    struct host *host = nest->host;
    forks_lock();
    bool there = host->mould != NULL && !forks_find_closed(host->mould) &&
                 host->mould->host->host_end.fd >= 0;
    int err = there ? send_make(nest, host->mould->host->host_end.fd) : -EPIPE;
    close_end(&nest->nursery->given);
    host->asked = err == 0;
    host->refused = 0;
    forks_unlock();
    if (err != 0) {
        socket_close(nest);
    }
    return err;
}

void
nest_hear(struct sphttp_call *nest)
{
    struct host *host = nest->host;
    struct arrival arrival = {0};
    int fd;
    if (!host->asked) {
        return;
    }
    ssize_t n = rights_receive(host->host_end.fd, &arrival, sizeof(arrival), &fd, 1);
    if (n == -EAGAIN) {
        return;
    }
    host->asked = false;
    if (n != (ssize_t)sizeof(arrival) || arrival.error != 0) {
        host->refused = n > 0 && arrival.error > 0 ? -arrival.error : -EPIPE;
        close_end(&fd);
        return;
    }
    host->nursery_pid = arrival.pid;
    host->nursery_fd = fd;
}

int
sphttp_nest_ready(sphttp_call *nest)
{
    forks_lock();
    nest_hear(nest);
    int ready = nest->host->nursery_pid != 0 ? 1 : nest->host->refused;
    forks_unlock();
    return ready;
}

/* Sleep until something comes through the socket, or a signal. Not long. */
static int
sleep_a_little(const struct sphttp_call *nest)
{
    struct pollfd fds[] = {
        {.fd = nest->host->host_end.fd, .events = POLLIN},
        {.fd = nest->host->wake[0], .events = POLLIN},
    };
    struct timespec most = {0, LOOK};
    int n = ppoll(fds, 2, &most, NULL);
    bool signals = n < 0 && errno == EINTR && nest->host->wake[0] >= 0;
    return signals || (n > 0 && fds[1].revents != 0) ? -EINTR : 0;
}

int
nest_await(struct sphttp_call *nest)
{
    struct host *host = nest->host;
    int64_t end = 0;
    while (host->asked) {
        if (sphttp_nest_ready(nest) != 0) {
            break;
        }
        if (nest->ledger->aborted != 0) {
            /* What comes late sees that, and touches nothing. */
            host->asked = false;
            host->refused = -ECANCELED;
            break;
        }
        int64_t now = now_ns();
        if (host->in_loop && host->awaited_ns == 0) {
            host->awaited_ns = now;
        }
        end = end != 0 ? end
                       : (host->in_loop ? host->awaited_ns : now) + ARRIVES;
        if (now >= end) {
            host->awaited_ns = 0;
            host->doing = "waiting for a nest";
            return -ETIMEDOUT;
        }
        if (host->in_loop) {
            return -EAGAIN;
        }
        if (sleep_a_little(nest) != 0) {
            (void)forward_signals(nest);
            return -EINTR;
        }
    }
    host->awaited_ns = 0;
    int err = host->refused;
    host->refused = 0;
    if (err != 0) {
        socket_close(nest);
    }
    return err;
}

void
sphttp_nest_move(sphttp_call *nest, sphttp_call *mould)
{
    forks_lock();
    nest->host->mould = mould;
    nest->host->nurseries_lost = 0;
    forks_unlock();
}
