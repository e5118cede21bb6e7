/* The server: the one process that a block forks from its host, at its entry. It never
 * runs Python. All it does is to fork nurseries, and to reap them. What a host has
 * done since, its threads, its memory, its descriptors, is not in them. A nursery is
 * nobody's but its host's: where the server is killed, nests go on. */
#include "nursery/server.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/cover.h"
#include "base/rights.h"
#include "nursery/birth.h"
#include "nursery/kill.h"
#include "nursery/nursery.h"
#include "shared/layout.h"

#define NESTS_END SECOND            /* that nests have, when their server leaves... */
#define ORPHANS_END (5 * SECOND)    /* ...and where their host is dead */

/* --- A nest -------------------------------------------------------------------- */

/* Say that it is there, or why not. False: nobody is there to hear it. */
static bool
arrive(int socket, int error)
{
    struct arrival arrival = {error, error == 0 ? (int32_t)getpid() : 0};
    int self = error == 0 ? open_process(getpid()) : -1;
    bool heard =
        rights_send(socket, &arrival, sizeof(arrival), &self, 1) == 0;
    close_end(&self);
    return heard;
}

/* Make the mould's own struct, which nobody else has, the call of this nest. 0 or
 * -errno. */
static int
settle(struct sphttp_call *mould, const struct make *make, int fds[MAKE_COUNT])
{
    mould->nursery->given = fds[MAKE_SOCKET];
    int err = layout_attach(mould, &fds[MAKE_PAGE]);
    close_end(&fds[MAKE_PAGE]); /* no child shall have them */
    close_end(&fds[MAKE_LEDGER]);
    memcpy(mould->plan.key, make->key, KEY_SIZE);
    if (!held_set(&mould->memory, fds[MAKE_MEMORY]) ||
        !held_set(&mould->items, fds[MAKE_ITEMS]) ||
        !held_set(&mould->bell, fds[MAKE_BELL])) {
        return -EBADF;
    }
    return err;
}

/* Be the nursery of a nest. As nursery_run. */
static uint32_t
be_nest(struct sphttp_call *mould, const struct make *make,
        int fds[MAKE_COUNT])
{
    int socket = fds[MAKE_SOCKET];
    int err = settle(mould, make, fds);
    if (err != 0) {
        (void)arrive(socket, -err);
        _exit(1);
    }
    if (!arrive(socket, 0)) {
        _exit(0); /* the host has given it up: the page may be another's by now */
    }
    return nursery_run(mould);
}

/* --- The server ---------------------------------------------------------------- */

/* What it listens to; -1: no more. */
struct server {
    struct sphttp_call *mould;
    int host;         /* its end of the socket */
    int host_process; /* a pidfd */
    int child_ends;   /* a signalfd: SIGCHLD */
    int64_t leave_ns; /* when it leaves at the latest; INT64_MAX: it stays */
};

/* Leave when all nests have, and then at the latest. */
static void
leave_by(struct server *server, int64_t most_ns)
{
    close_end(&server->host);
    if (server->leave_ns == INT64_MAX) {
        server->leave_ns = now_ns() + most_ns;
    }
}

/* Fork the nest that was asked for. True in its nursery, where only its own
 * descriptors are left. */
static bool
fork_nest(struct server *server, const int fds[MAKE_COUNT])
{
    pid_t pid = bare_fork();
    if (pid == 0) {
        close_end(&server->host);
        close_end(&server->child_ends);
        return true;
    }
    if (pid < 0) {
        (void)arrive(fds[MAKE_SOCKET], errno);
    }
    return false;
}

/* Do what the host asks. True in the nursery of a new nest. */
static bool
hear_host(struct server *server, struct make *make, int fds[MAKE_COUNT])
{
    ssize_t n = rights_receive(server->host, make, sizeof(*make), fds,
                               MAKE_COUNT);
    if (n == -EAGAIN || n == -EINTR) {
        return false;
    }
    const char *byte = (const char *)make;
    if (n <= 0 || (n == 1 && *byte == BYTE_GOODBYE)) {
        leave_by(server, NESTS_END);
    }
    bool all = fds[MAKE_COUNT - 1] >= 0;
    if (n == (ssize_t)sizeof(*make) && make->size == sizeof(*make)) {
        if (all && fork_nest(server, fds)) {
            return true;
        }
        if (!all && fds[MAKE_SOCKET] >= 0) {
            (void)arrive(fds[MAKE_SOCKET], EMFILE);
        }
    } /* else it is a terminal's stop, say, which nests hear of themselves */
    for (int i = 0; i < MAKE_COUNT; i++) {
        close_end(&fds[i]);
    }
    return false;
}

/* Become the server: take hold of what it needs, and let go of all else. */
static void
begin(struct server *server)
{
    struct sphttp_call *mould = server->mould;
    struct nursery *nursery = mould->nursery;
    nursery->host_process = nursery_open_host(mould->plan.owner);
    if (nursery->host_process == -ESRCH ||
        nursery_settle(nursery, mould, SERVER_NAME) < 0) {
        _exit(1);
    }
    server->host = nursery->given;
    server->host_process = nursery->host_process;
    const int own[2] = {server->host, server->host_process};
    sigset_t child_ends;
    (void)sigemptyset(&child_ends);
    (void)sigaddset(&child_ends, SIGCHLD);
    if (cover_all_but(mould->plan.open, mould->plan.open_count, own) != 0 ||
        nursery_no_input() != 0) {
        _exit(1);
    }
    server->child_ends = above_streams(
        signalfd(-1, &child_ends, SFD_CLOEXEC | SFD_NONBLOCK));
    if (server->child_ends < 0) {
        _exit(1);
    }
}

/* Sleep until there is something to do. True: the host speaks. */
static bool
wait_for_event(struct server *server)
{
    struct pollfd fds[] = {
        {.fd = server->host, .events = POLLIN},
        {.fd = server->child_ends, .events = POLLIN},
        {.fd = server->host_process, .events = POLLIN},
    };
    int64_t ns = server->leave_ns - now_ns();
    ns = ns > 0 ? ns : 0;
    struct timespec left = {ns / SECOND, ns % SECOND};
    bool stays = server->leave_ns == INT64_MAX;
    if (ppoll(fds, 3, stays ? NULL : &left, NULL) <= 0) {
        return false;
    }
    if (fds[1].revents != 0) {
        struct signalfd_siginfo ended;
        (void)read(server->child_ends, &ended, sizeof(ended));
    }
    if (fds[2].revents != 0) {
        leave_by(server, ORPHANS_END);
        server->host_process = -1; /* nests have been told so, too */
    }
    return server->host >= 0 && fds[0].revents != 0;
}

static void
forget(void *whose, pid_t pid, int status, const struct rusage *usage)
{
    (void)whose;
    (void)pid;
    (void)status;
    (void)usage;
}

uint32_t
server_run(struct sphttp_call *mould)
{
    struct server server = {.mould = mould, .leave_ns = INT64_MAX};
    struct make make;
    int fds[MAKE_COUNT];
    begin(&server);
    for (;;) {
        bool left = reap_ended(forget, NULL);
        if (server.leave_ns != INT64_MAX &&
            (!left || now_ns() >= server.leave_ns)) {
            _exit(0);
        }
        if (wait_for_event(&server) && hear_host(&server, &make, fds)) {
            return be_nest(mould, &make, fds);
        }
    }
}
