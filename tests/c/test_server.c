/* A server, and nests whose nurseries it forks. Built and run as test_core.c is. */
#include "check.h"

#include "base/cdef.h"
#include "base/rights.h"
#include "child/hand.h"
#include "child/item.h"
#include "host/call.h"
#include "host/host.h"
#include "host/nest.h"
#include "host/open.h"
#include "nursery/nursery.h"
#include "nursery/server.h"
#include "shared/page.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CELLS = 64, MOULD = SPHTTP_POOL | SPHTTP_FED | SPHTTP_KEPT | SPHTTP_SERVER };

/* --- A block, and what its children do -------------------------------------------- */

/* What an item asks of its child. */
struct task {
    int (*work)(int argument);
    int argument;
};

static int
twice(int argument)
{
    return argument * 2;
}

static void
serve(sphttp_call *mould)
{
    int64_t cell = hand_take(mould, 0);
    while (cell >= 0) {
        const char *at;
        size_t size;
        struct task task;
        CHECK(item_find(mould, (uint32_t)cell, &at, &size) == 0);
        CHECK(size == sizeof(task));
        memcpy(&task, at, sizeof(task));
        int answer = task.work(task.argument);
        cell = sphttp_child_commit(mould, (uint32_t)cell, SPHTTP_RETURNED,
                                   (const char *)&answer, sizeof(answer));
    }
    _exit(0);
}

static sphttp_call *
open_mould(uint32_t alive, const int *kept, size_t count)
{
    sphttp_call *mould;
    CHECK(sphttp_call_open(CELLS, alive, MOULD, "/tmp", &mould) == 0);
    CHECK(sphttp_server_keep(mould, kept, count) == 0);
    return mould;
}

static void
start(sphttp_call *mould)
{
    sphttp_event event = call_fork(mould);
    if (event.kind == SPHTTP_CHILD) {
        serve(mould);
    }
    CHECK(event.kind == SPHTTP_STARTED);
}

static sphttp_call *
block(uint32_t alive)
{
    sphttp_call *mould = open_mould(alive, NULL, 0);
    start(mould);
    return mould;
}

static sphttp_call *
open_nest(sphttp_call *mould)
{
    sphttp_call *nest;
    CHECK(call_open_nest(mould, &nest) == 0);
    return nest;
}

static sphttp_call *
make(sphttp_call *mould)
{
    sphttp_call *nest = open_nest(mould);
    CHECK(call_fork(nest).kind == SPHTTP_STARTED);
    return nest;
}

static void
await(sphttp_call *nest)
{
    CHECK(nest_await(nest) == 0 && sphttp_nest_ready(nest) == 1);
}

/* With the first item a round begins. */
static int64_t
feed(sphttp_call *nest, int (*work)(int), int argument)
{
    struct task task;
    if (!nest->host->round.on) {
        CHECK(sphttp_nest_begin(nest, 0, 0) == 0);
    }
    memset(&task, 0, sizeof(task));
    task.work = work;
    task.argument = argument;
    return feed_put(nest, &task, sizeof(task), false);
}

/* Run it to the round's end; that kind. */
static int
finish(sphttp_call *nest)
{
    int kind;
    do {
        if (call_is_to_fork(nest)) {
            sphttp_event event = call_fork(nest);
            if (event.kind != SPHTTP_STARTED) {
                return event.kind;
            }
        }
        kind = call_finish(nest).kind;
        while (kind != SPHTTP_FORK_AGAIN && sphttp_call_next(nest) >= 0) {
        }
    } while (kind == SPHTTP_NEWS || kind == SPHTTP_FORK_AGAIN);
    return kind;
}

static int
fate_of_cell(sphttp_call *nest, int64_t cell, int *answer)
{
    sphttp_result result;
    sphttp_call_result(nest, (uint32_t)cell, &result);
    if (result.fate == SPHTTP_RETURNED) {
        CHECK(result.size == sizeof(*answer));
        memcpy(answer, result.payload, sizeof(*answer));
    }
    return result.fate;
}

/* Let it end well. */
static void
leave(sphttp_call *nest)
{
    (void)sphttp_nest_renew(nest);
    sphttp_nest_leave(nest);
    CHECK(finish(nest) == SPHTTP_ENDED);
    call_free(nest);
}

/* What one item answers, in a nest of its own. */
static int
ask(sphttp_call *mould, int (*work)(int), int argument)
{
    sphttp_call *nest = make(mould);
    int answer;
    int64_t cell = feed(nest, work, argument);
    sphttp_call_end_feed(nest);
    CHECK(finish(nest) == SPHTTP_ENDED);
    CHECK(fate_of_cell(nest, cell, &answer) == SPHTTP_RETURNED);
    leave(nest);
    return answer;
}

static void
a_nest_does_what_any_fed_call_does(void)
{
    sphttp_call *mould = block(2);
    for (int round = 0; round < 20; round++) {
        sphttp_call *nest = make(mould);
        int64_t cell[30];
        for (int i = 0; i < 30; i++) {
            cell[i] = feed(nest, twice, round * 100 + i);
            CHECK(cell[i] >= 0);
        }
        sphttp_call_end_feed(nest);
        CHECK(finish(nest) == SPHTTP_ENDED);
        for (int i = 0, answer; i < 30; i++) {
            CHECK(fate_of_cell(nest, cell[i], &answer) == SPHTTP_RETURNED);
            CHECK(answer == (round * 100 + i) * 2);
        }
        leave(nest);
    }
    call_free(mould);
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}

/* --- Who is there --------------------------------------------------------------------- */

static void
nap(void)
{
    (void)nanosleep(&(struct timespec){0, 1000000}, NULL);
}

/* Does this process live? A zombie does not. */
static bool
lives(pid_t pid)
{
    char path[40], text[512];
    (void)sprintf(path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
    text[n > 0 ? n : 0] = '\0';
    if (fd >= 0) {
        (void)close(fd);
    }
    const char *at = strrchr(text, ')');
    return at != NULL && at[2] != 'Z' && at[2] != 'X';
}

/* Wait until this one is gone: so many ms, at most. How many it took. */
static double
await_end(pid_t pid, int most)
{
    int64_t begun = now_ns();
    while (lives(pid)) {
        CHECK(now_ns() - begun < (int64_t)most * 1000000);
        nap();
    }
    return (double)(now_ns() - begun) / 1e6;
}

static pid_t
child_of_first_slot(sphttp_call *nest)
{
    while (nest->living[0].pid == 0) {
        nap();
    }
    return nest->living[0].pid;
}

/* --- What was open at entry --------------------------------------------------------- */

/* In a child: what is this descriptor? */
enum { NOTHING, COVERED, OPEN };

static int
state_of(int fd)
{
    char byte;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0) {
        return NOTHING;
    }
    if ((flags & O_PATH) == 0) {
        return OPEN;
    }
    CHECK(read(fd, &byte, 1) == -1 && errno == EBADF);
    CHECK(write(fd, &byte, 1) == -1 && errno == EBADF);
    CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    return COVERED;
}

/* How many are, from `from` on. */
static int
count_open(int from)
{
    int found = 0;
    for (int fd = from; fd < 20000; fd++) {
        found += state_of(fd) == OPEN;
    }
    return found;
}

static int
count_covered(int from)
{
    int found = 0;
    for (int fd = from; fd < 20000; fd++) {
        found += state_of(fd) == COVERED;
    }
    return found;
}

static void
children_have_the_streams_and_what_was_kept_and_nothing_else_of_the_hosts(void)
{
    int sockets[2], kept[3];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
    kept[2] = open("/etc/passwd", O_RDONLY);
    kept[1] = open("/etc/passwd", O_RDONLY);
    kept[0] = 999; /* there is none */
    int other = open("/etc/passwd", O_RDONLY);
    sphttp_call *mould = open_mould(1, kept, 3);
    start(mould);
    CHECK(ask(mould, state_of, 0) == OPEN && ask(mould, state_of, 2) == OPEN);
    CHECK(ask(mould, state_of, sockets[0]) == COVERED);
    CHECK(ask(mould, state_of, sockets[1]) == COVERED);
    CHECK(ask(mould, state_of, other) == COVERED);
    CHECK(ask(mould, state_of, kept[1]) == OPEN);
    CHECK(ask(mould, state_of, kept[2]) == OPEN);
    CHECK(ask(mould, state_of, 999) == NOTHING);
    /* What an old object closes is nothing new. */
    CHECK(ask(mould, close, other) == 0);
    /* A connection that the host closes ends at once, and nests live. */
    sphttp_call *nest = make(mould);
    await(nest);
    char byte;
    (void)close(sockets[0]);
    CHECK(recv(sockets[1], &byte, 1, MSG_DONTWAIT) == 0);
    call_free(nest);
    /* Four are its own: results, items, bell, pulse. */
    CHECK(ask(mould, count_open, 3) == 4 + 2);
    call_free(mould);
    (void)close(sockets[1]);
    (void)close(other);
    (void)close(kept[1]);
    (void)close(kept[2]);
}

static void
allow_descriptors(rlim_t most)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = most;
    CHECK(limit.rlim_max >= most && setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

/* Open so many more, and close them. */
static int *
open_many(int count)
{
    int *fds = malloc((size_t)count * sizeof(*fds));
    for (int i = 0; i < count; i++) {
        fds[i] = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
        CHECK(fds[i] >= 0);
    }
    return fds;
}

static void
close_many(int *fds, int count)
{
    for (int i = 0; i < count; i++) {
        (void)close(fds[i]);
    }
    free(fds);
}

static void
ten_thousand_descriptors_are_covered(void)
{
    struct rlimit before;
    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    allow_descriptors(10100);
    int *fds = open_many(10000);
    int kept[2] = {fds[5000], fds[123]};
    sphttp_call *mould = open_mould(1, kept, 2);
    start(mould);
    CHECK(ask(mould, count_covered, 3) == 10000 - 2);
    CHECK(ask(mould, count_open, 3) == 4 + 2);
    CHECK(ask(mould, state_of, fds[5000]) == OPEN);
    call_free(mould);
    close_many(fds, 10000);
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
}

/* What comes of a nest, where so many numbers are free in the server. */
static int
nest_with_room_for(int room)
{
    struct rlimit before;
    int many = 64 - 3 - 3 - room;
    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    allow_descriptors(64);
    sphttp_call *mould = open_mould(1, NULL, 0);
    int *fds = open_many(many), first = fds[0];
    start(mould);
    close_many(fds, many);
    sphttp_call *nest = make(mould);
    int err = nest_await(nest);
    call_free(nest);
    CHECK(lives(mould->host->nursery_pid));
    if (err == 0) {
        CHECK(ask(mould, state_of, first) == COVERED);
    }
    call_free(mould);
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    return err;
}

static void
where_no_number_is_free_no_nest_is_made_and_the_server_lives(void)
{
    CHECK(nest_with_room_for(0) == -EPIPE); /* with none to say so */
    CHECK(nest_with_room_for(1) == -EMFILE);
    CHECK(nest_with_room_for(5) == -EMFILE);
    CHECK(nest_with_room_for(6) == 0);
}

static void
what_lies_above_a_limit_that_was_lowered_is_closed(void)
{
    struct rlimit before;
    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    int high = fcntl(0, F_DUPFD, 300);
    CHECK(high >= 300);
    allow_descriptors(200);
    sphttp_call *mould = block(1);
    CHECK(ask(mould, state_of, high) == NOTHING);
    call_free(mould);
    (void)close(high);
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
}

/* --- What a server is told -------------------------------------------------------------- */

static void
odd_messages_are_dropped_with_what_comes_with_them(void)
{
    sphttp_call *mould = block(1);
    int server = mould->host->host_end.fd;
    char bytes[200] = {0};
    struct make odd = {.size = 1}, make_it = {.size = sizeof(make_it)};
    for (size_t size = 1; size < sizeof(bytes); size += 7) {
        bytes[0] = (char)(size % 2 != 0 ? BYTE_LOOK : BYTE_PAUSE);
        CHECK(rights_send(server, bytes, size, NULL, 0) == 0);
    }
    for (size_t count = 0; count <= MAKE_COUNT + 1; count++) {
        int ends[2], fds[MAKE_COUNT + 1];
        char byte;
        CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
        for (size_t i = 0; i < count; i++) {
            fds[i] = ends[1]; /* none of which is a page */
        }
        CHECK(rights_send(server, &odd, sizeof(odd), fds, count) == 0);
        CHECK(rights_send(server, &make_it, sizeof(make_it), fds, count) == 0);
        (void)close(ends[1]);
        while (recv(ends[0], &byte, 1, 0) > 0) { /* it ends: nobody has it */
        }
        (void)close(ends[0]);
    }
    CHECK(ask(mould, twice, 21) == 42);
    CHECK(ask(mould, count_open, 3) == 4);
    call_free(mould);
}

/* Made for another mould than it is. */
static void
a_nest_that_does_not_fit_is_refused(void)
{
    sphttp_call *mould = block(1), *other = block(2);
    sphttp_call *nest = open_nest(mould);
    sphttp_nest_move(nest, other);
    CHECK(call_fork(nest).kind == SPHTTP_STARTED);
    CHECK(nest_await(nest) == -EINVAL);
    call_free(nest);
    CHECK(ask(other, twice, 1) == 2);
    call_free(other);
    call_free(mould);
}

/* --- Who dies ----------------------------------------------------------------------------- */

static void
signals_that_ask_a_process_to_end_end_neither_server_nor_nursery(void)
{
    sphttp_call *mould = block(1), *nest = make(mould), *plain;
    await(nest);
    CHECK(sphttp_call_open(CELLS, 1, MOULD & ~SPHTTP_SERVER, "/tmp", &plain) ==
          0);
    start(plain);
    const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGPIPE, SIGALRM};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        CHECK(kill(mould->host->nursery_pid, numbers[i]) == 0);
        CHECK(kill(nest->host->nursery_pid, numbers[i]) == 0);
        CHECK(kill(plain->host->nursery_pid, numbers[i]) == 0);
    }
    CHECK(ask(mould, twice, 5) == 10);
    (void)feed(nest, twice, 1);
    sphttp_call_end_feed(nest);
    CHECK(finish(nest) == SPHTTP_ENDED);
    (void)feed(plain, twice, 1);
    sphttp_call_end_feed(plain);
    CHECK(finish(plain) == SPHTTP_ENDED);
    call_free(plain);
    call_free(nest);
    call_free(mould);
}

/* In a child, what ordinary children have: the mask and the handlers. */
static int
is_blocked(int number)
{
    sigset_t mask;
    CHECK(pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0);
    return sigismember(&mask, number);
}

static void
children_have_the_mask_of_the_thread_that_entered(void)
{
    sigset_t mask, before;
    (void)sigemptyset(&mask);
    (void)sigaddset(&mask, SIGUSR2);
    CHECK(pthread_sigmask(SIG_SETMASK, &mask, &before) == 0);
    sphttp_call *mould = block(1);
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    CHECK(ask(mould, is_blocked, SIGUSR2) == 1);
    CHECK(ask(mould, is_blocked, SIGTERM) == 0);
    CHECK(ask(mould, is_blocked, SIGCHLD) == 0);
    call_free(mould);
}

static void
nests_go_on_without_their_server_and_another_can_be_asked(void)
{
    sphttp_call *mould = block(1), *nest = make(mould), *other;
    await(nest);
    sphttp_call *late = open_nest(mould);
    int64_t cell = feed(late, twice, 4);
    CHECK(kill(mould->host->nursery_pid, SIGKILL) == 0);
    (void)await_end(mould->host->nursery_pid, 2000);
    sphttp_event event = call_fork(late);
    CHECK(event.kind == SPHTTP_FAILED && event.error == EPIPE);
    CHECK(late->host->host_end.fd < 0 && late->nursery->given < 0);
    int answer;
    int64_t first = feed(nest, twice, 3);
    sphttp_call_end_feed(nest);
    CHECK(finish(nest) == SPHTTP_ENDED);
    CHECK(fate_of_cell(nest, first, &answer) == SPHTTP_RETURNED && answer == 6);
    call_free(nest);
    other = block(1);
    sphttp_nest_move(late, other);
    sphttp_call_end_feed(late);
    CHECK(finish(late) == SPHTTP_ENDED);
    CHECK(fate_of_cell(late, cell, &answer) == SPHTTP_RETURNED && answer == 8);
    call_free(late);
    call_free(mould);
    call_free(other);
}

static void
a_server_that_dies_with_a_nest_under_way_is_noticed(void)
{
    sphttp_call *mould = block(1);
    pid_t server = mould->host->nursery_pid;
    CHECK(kill(server, SIGSTOP) == 0);
    sphttp_call *nest = make(mould);
    CHECK(sphttp_nest_ready(nest) == 0);
    CHECK(kill(server, SIGKILL) == 0);
    (void)await_end(server, 2000);
    CHECK(sphttp_nest_ready(nest) == -EPIPE);
    CHECK(sphttp_nest_ready(nest) == -EPIPE); /* as often as it is asked */
    sphttp_call *second = block(1);
    sphttp_nest_move(nest, second);
    CHECK(call_fork(nest).kind == SPHTTP_STARTED);
    await(nest);
    CHECK(kill(nest->host->nursery_pid, SIGKILL) == 0);
    call_free(nest);
    nest = open_nest(mould);
    sphttp_nest_move(nest, second);
    server = second->host->nursery_pid;
    CHECK(kill(server, SIGSTOP) == 0);
    CHECK(call_fork(nest).kind == SPHTTP_STARTED);
    CHECK(kill(server, SIGKILL) == 0);
    (void)await_end(server, 2000);
    int64_t cell = feed(nest, twice, 7);
    sphttp_call_end_feed(nest);
    CHECK(!call_is_to_fork(nest));
    CHECK(call_finish(nest).kind == SPHTTP_FORK_AGAIN && call_is_to_fork(nest));
    sphttp_event event = call_fork(nest);
    CHECK(event.kind == SPHTTP_FAILED && event.error == EPIPE);
    sphttp_call *other = block(1); /* what was fed is not lost */
    sphttp_nest_move(nest, other);
    CHECK(finish(nest) == SPHTTP_ENDED);
    int answer;
    CHECK(fate_of_cell(nest, cell, &answer) == SPHTTP_RETURNED && answer == 14);
    call_free(nest);
    call_free(other);
    call_free(second);
    call_free(mould);
}

static void
a_nest_that_will_never_be_is_aborted_at_once(void)
{
    sphttp_call *mould = block(1);
    pid_t server = mould->host->nursery_pid;
    CHECK(kill(server, SIGSTOP) == 0);
    sphttp_call *nest = make(mould);
    CHECK(kill(server, SIGKILL) == 0);
    (void)await_end(server, 2000);
    int64_t begun = now_ns();
    CHECK(sphttp_call_abort(nest) == 0);
    sphttp_event event = call_finish(nest);
    CHECK(event.kind == SPHTTP_FAILED && event.error == ECANCELED);
    call_free(nest);
    CHECK(now_ns() - begun < 2 * SECOND);
    call_free(mould);
}

static void
a_mould_that_is_freed_first_leaves_its_nests_alone(void)
{
    sphttp_call *mould = block(1), *nest = make(mould);
    await(nest);
    sphttp_call *late = open_nest(mould);
    pid_t server = mould->host->nursery_pid;
    int64_t begun = now_ns();
    call_free(mould);
    CHECK(now_ns() - begun < 2 * SECOND && !lives(server));
    sphttp_event event = call_fork(late);
    CHECK(event.kind == SPHTTP_FAILED && event.error == EPIPE);
    call_free(late);
    int answer;
    int64_t cell = feed(nest, twice, 8);
    sphttp_call_end_feed(nest);
    CHECK(finish(nest) == SPHTTP_ENDED);
    CHECK(fate_of_cell(nest, cell, &answer) == SPHTTP_RETURNED && answer == 16);
    pid_t nursery = nest->host->nursery_pid;
    call_free(nest);
    CHECK(!lives(nursery));
}

static int
wait_for_ever(int argument)
{
    for (;;) {
        (void)pause();
    }
    return argument;
}

/* As it is in any call: what is in hand is lost, and the rest goes to another nursery. */
static void
what_a_killed_nursery_has_not_begun_another_does(void)
{
    sphttp_call *mould = block(1), *nest = make(mould);
    await(nest);
    pid_t nursery = nest->host->nursery_pid;
    CHECK(nursery > 0 && nest->host->nursery_fd >= 0);
    int64_t lost = feed(nest, wait_for_ever, 0), done = feed(nest, twice, 9);
    while ((page_item(nest, (uint32_t)lost) & ITEM_KIND) != ITEM_RUN) {
        nap();
    }
    pid_t child = child_of_first_slot(nest);
    CHECK(kill(nursery, SIGKILL) == 0);
    sphttp_call_end_feed(nest);
    CHECK(finish(nest) == SPHTTP_ENDED);
    int answer;
    CHECK(fate_of_cell(nest, lost, &answer) == SPHTTP_DIED);
    CHECK(fate_of_cell(nest, done, &answer) == SPHTTP_RETURNED && answer == 18);
    CHECK(!lives(child) && !lives(nursery));
    CHECK(nest->host->nursery_pid != nursery);
    call_free(nest);
    call_free(mould);
}

static void
a_nest_that_is_closed_ends_what_runs_in_it(void)
{
    sphttp_call *mould = block(2), *nest = make(mould);
    await(nest);
    int64_t cell = feed(nest, wait_for_ever, 0);
    while ((page_item(nest, (uint32_t)cell) & ITEM_KIND) != ITEM_RUN) {
        nap();
    }
    pid_t nursery = nest->host->nursery_pid, child = child_of_first_slot(nest);
    call_free(nest);
    CHECK(!lives(nursery) && !lives(child));
    while (kill(nursery, 0) == 0) { /* its server reaps it */
        nap();
    }
    CHECK(ask(mould, twice, 1) == 2);
    call_free(mould);
}

/* How many children that live has this process? */
static int
count_children(pid_t pid)
{
    char path[60];
    int child, found = 0;
    (void)sprintf(path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    FILE *children = fopen(path, "r");
    CHECK(children != NULL);
    while (fscanf(children, "%d", &child) == 1) {
        found += lives(child);
    }
    (void)fclose(children);
    return found;
}

static void
what_is_closed_before_it_is_there_is_never_there(void)
{
    sphttp_call *mould = block(1);
    pid_t server = mould->host->nursery_pid;
    for (int i = 0; i < 50; i++) {
        sphttp_call *nest = make(mould);
        if (i % 2 == 0) {
            for (int turns = 0; turns < i * 500; turns++) {
                (void)sphttp_nest_ready(nest);
            }
        }
        call_free(nest);
        CHECK(count_children(server) == 0);
    }
    CHECK(kill(server, SIGSTOP) == 0);
    sphttp_call *nest = make(mould);
    struct ledger *ledger = mmap(NULL, sizeof(*ledger), PROT_READ, MAP_SHARED,
                                 nest->host->files[1], 0);
    CHECK(ledger != MAP_FAILED);
    CHECK(ledger->wants == 0 && ledger->wakes_ns == 0);
    int64_t begun = now_ns();
    call_free(nest);
    CHECK(now_ns() - begun < 4 * SECOND); /* as for a nursery that does not answer */
    CHECK(kill(server, SIGCONT) == 0);
    CHECK(ask(mould, twice, 3) == 6);
    CHECK(ledger->wants == 0 && ledger->wakes_ns == 0); /* nobody was there */
    CHECK(munmap(ledger, sizeof(*ledger)) == 0);
    call_free(mould);
    CHECK(!lives(server));
}

static void
a_nest_can_be_aborted_at_any_time(void)
{
    sphttp_call *mould = block(1), *nest = make(mould);
    (void)feed(nest, wait_for_ever, 0);
    sphttp_call_end_feed(nest);
    CHECK(sphttp_call_abort(nest) == 0); /* most likely before it is there */
    sphttp_event event;
    do {
        event = call_finish(nest);
    } while (event.kind == SPHTTP_NEWS);
    CHECK(event.kind == SPHTTP_FAILED && event.error == ECANCELED);
    call_free(nest);
    nest = make(mould);
    await(nest);
    (void)feed(nest, wait_for_ever, 0);
    pid_t nursery = nest->host->nursery_pid;
    CHECK(sphttp_call_abort(nest) == 0 && !lives(nursery));
    do {
        event = call_finish(nest);
    } while (event.kind == SPHTTP_NEWS);
    CHECK(event.kind == SPHTTP_FAILED && event.error == ECANCELED);
    call_free(nest);
    CHECK(kill(mould->host->nursery_pid, SIGSTOP) == 0);
    nest = make(mould);
    int64_t begun = now_ns();
    CHECK(sphttp_call_abort(nest) == 0); /* it waits for 3 s, as for any nursery */
    event = call_finish(nest);
    CHECK(event.kind == SPHTTP_FAILED && event.error == ECANCELED);
    CHECK(now_ns() - begun < 4 * SECOND);
    call_free(nest);
    CHECK(kill(mould->host->nursery_pid, SIGCONT) == 0);
    CHECK(ask(mould, twice, 3) == 6);
    call_free(mould);
}

/* --- The host dies, or is forked --------------------------------------------------------- */

/* A host of its own, and all that is below it. */
enum { BELOW = 6 };
struct below {
    pid_t host;
    pid_t raw;          /* a raw fork of it; or 0 */
    pid_t pids[BELOW];  /* a server, two nurseries, three children */
};

static int
defy(int argument)
{
    sigset_t all;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, NULL);
    return wait_for_ever(argument);
}

static pid_t
raw_fork(void)
{
    return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

static _Noreturn void
be_host(int to, bool with_raw_fork)
{
    struct below below = {.host = getpid()};
    sphttp_call *mould = block(2), *idle = make(mould), *busy = make(mould);
    (void)feed(busy, defy, 0);
    await(idle);
    await(busy);
    while (idle->living[0].pid == 0 || idle->living[1].pid == 0 ||
           busy->living[0].pid == 0) {
        nap();
    }
    if (with_raw_fork && (below.raw = raw_fork()) == 0) {
        (void)alarm(60); /* whatever becomes of the test */
        for (;;) {
            (void)pause();
        }
    }
    below.pids[0] = mould->host->nursery_pid;
    below.pids[1] = idle->host->nursery_pid;
    below.pids[2] = busy->host->nursery_pid;
    below.pids[3] = idle->living[0].pid;
    below.pids[4] = idle->living[1].pid;
    below.pids[5] = busy->living[0].pid;
    CHECK(write(to, &below, sizeof(below)) == sizeof(below));
    for (;;) {
        (void)pause();
    }
}

static double
ms_till_all_are_gone(bool with_raw_fork)
{
    struct below below;
    int ends[2];
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    pid_t host = fork();
    if (host == 0) {
        be_host(ends[1], with_raw_fork);
    }
    CHECK(read(ends[0], &below, sizeof(below)) == sizeof(below));
    for (int i = 0; i < BELOW; i++) {
        CHECK(below.pids[i] > 1 && lives(below.pids[i]));
    }
    CHECK(kill(host, SIGKILL) == 0);
    double ms = 0;
    for (int i = 0; i < BELOW; i++) {
        ms += await_end(below.pids[i], 2000);
    }
    CHECK(waitpid(host, NULL, 0) == host);
    if (below.raw != 0) {
        CHECK(lives(below.raw) && kill(below.raw, SIGKILL) == 0);
    }
    (void)close(ends[0]);
    (void)close(ends[1]);
    return ms;
}

static void
nothing_outlives_a_host_that_is_killed(void)
{
    for (int i = 0; i < 5; i++) {
        CHECK(ms_till_all_are_gone(false) < 1000);
    }
}

/* That holds every socket. */
static void
a_raw_fork_of_the_host_keeps_nothing_alive(void)
{
    for (int i = 0; i < 5; i++) {
        CHECK(ms_till_all_are_gone(true) < 1000);
    }
}

static void
what_a_raw_fork_of_the_host_frees_goes_on(void)
{
    sphttp_call *mould = block(1), *nest = make(mould), *other = make(mould);
    sphttp_call *late = make(mould);
    await(nest);
    await(other);
    int64_t cell = feed(nest, twice, 11);
    sphttp_call_end_feed(nest);
    pid_t raw = raw_fork();
    if (raw == 0) {
        /* The memory of the items is not mapped here. */
        char *own = mmap(nest->host->feed.at, 4096, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        CHECK(own == nest->host->feed.at);
        (void)sphttp_call_dismiss(other);
        (void)sphttp_call_abort(other);
        call_free(nest);
        *own = 1; /* it is no call's */
        call_free(other);
        call_free(late);
        call_free(mould);
        _exit(0);
    }
    int status, answer;
    CHECK(waitpid(raw, &status, 0) == raw && status == 0);
    CHECK(finish(nest) == SPHTTP_ENDED);
    CHECK(fate_of_cell(nest, cell, &answer) == SPHTTP_RETURNED && answer == 22);
    CHECK(sphttp_nest_renew(nest) == 1);
    leave(nest);
    await(late);
    CHECK(lives(other->host->nursery_pid));
    call_free(late);
    call_free(other);
    CHECK(ask(mould, twice, 12) == 24);
    call_free(mould);
}

/* Also a call's that has no server. */
static void
what_a_raw_fork_frees_of_a_plain_call_goes_on(void)
{
    sphttp_call *plain;
    CHECK(sphttp_call_open(CELLS, 1, MOULD & ~SPHTTP_SERVER, "/tmp", &plain) ==
          0);
    start(plain);
    int64_t cell = feed(plain, twice, 14);
    sphttp_call_end_feed(plain);
    pid_t raw = raw_fork();
    if (raw == 0) {
        call_free(plain);
        _exit(0);
    }
    int status, answer;
    CHECK(waitpid(raw, &status, 0) == raw && status == 0);
    CHECK(finish(plain) == SPHTTP_ENDED);
    CHECK(fate_of_cell(plain, cell, &answer) == SPHTTP_RETURNED && answer == 28);
    CHECK(sphttp_nest_renew(plain) == 1);
    leave(plain);
}

static void
a_fork_of_the_host_has_nothing_of_a_block_and_ends_nothing(void)
{
    sphttp_call *mould = block(1), *nest = make(mould), *late = make(mould);
    await(nest);
    int status, answer;
    pid_t forked = fork();
    if (forked == 0) {
        CHECK(count_open(3) == 0 && count_covered(3) == 0);
        sphttp_call *none;
        CHECK(call_open_nest(mould, &none) == -ECHILD);
        call_free(mould);
        call_free(nest);
        call_free(late);
        _exit(0);
    }
    CHECK(waitpid(forked, &status, 0) == forked && status == 0);
    int64_t cell = feed(nest, twice, 13);
    sphttp_call_end_feed(nest);
    CHECK(finish(nest) == SPHTTP_ENDED);
    CHECK(fate_of_cell(nest, cell, &answer) == SPHTTP_RETURNED && answer == 26);
    leave(nest);
    await(late);
    leave(late);
    call_free(mould);
}

/* --- What a nest has ---------------------------------------------------------------------- */

/* In a child: so often is this in what is mapped. */
static int
count_mapped(int argument)
{
    static const char *const names[] = {"/memfd:tep-nest", "/memfd:tep-items"};
    char line[512];
    int found = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps != NULL);
    while (fgets(line, sizeof(line), maps) != NULL) {
        found += strstr(line, names[argument]) != NULL;
    }
    (void)fclose(maps);
    return found;
}

static void
children_have_the_page_of_their_own_nest_alone_and_no_ledger(void)
{
    sphttp_call *mould = block(1), *nests[3];
    for (int i = 0; i < 3; i++) {
        nests[i] = make(mould);
        await(nests[i]);
    }
    CHECK(ask(mould, count_mapped, 0) == 1);
    CHECK(ask(mould, count_mapped, 1) == 1);
    CHECK(ask(mould, count_open, 3) == 4);
    sphttp_call *second = block(1); /* while others are open in the host */
    CHECK(ask(second, count_mapped, 0) == 1);
    CHECK(ask(second, count_mapped, 1) == 1);
    CHECK(ask(second, count_open, 3) == 4);
    call_free(second);
    for (int i = 0; i < 3; i++) {
        leave(nests[i]);
    }
    call_free(mould);
}

/* In a child that forks as any process may. */
static int
fork_and_look(int argument)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        _exit(count_open(3) + count_mapped(0) * 10 + argument);
    }
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void
what_a_child_forks_has_none_of_its_descriptors(void)
{
    sphttp_call *mould = block(1);
    CHECK(ask(mould, fork_and_look, 100) == 110);
    call_free(mould);
}

static void
each_is_in_a_process_group_of_its_own(void)
{
    sphttp_call *mould = block(1), *nest = make(mould);
    await(nest);
    pid_t server = mould->host->nursery_pid;
    pid_t nursery = nest->host->nursery_pid;
    pid_t child = child_of_first_slot(nest);
    CHECK(getpgid(server) == server && getpgid(nursery) == nursery);
    CHECK(getpgid(child) == child || getpgid(child) == nursery); /* at its birth */
    char name[20] = "", path[40];
    (void)sprintf(path, "/proc/%d/comm", (int)server);
    int fd = open(path, O_RDONLY);
    CHECK(read(fd, name, sizeof(name)) == 11 && close(fd) == 0);
    CHECK(strcmp(name, "tep-server\n") == 0);
    leave(nest);
    call_free(mould);
}

/* For want of processes. As another user: to root there is no such limit. */
static void
a_server_that_cannot_fork_says_so_and_lives(void)
{
    int status;
    pid_t host = fork();
    if (host == 0) {
        CHECK(geteuid() != 0 || setresuid(65534, 65534, 65534) == 0);
        sphttp_call *mould = block(1), *nest;
        struct rlimit none = {1, 1};
        CHECK(prlimit(mould->host->nursery_pid, RLIMIT_NPROC, &none, NULL) == 0);
        nest = make(mould);
        (void)feed(nest, twice, 0);
        sphttp_event event = call_finish(nest);
        CHECK(event.kind == SPHTTP_FAILED && event.error == EAGAIN);
        CHECK(strcmp(sphttp_call_doing(nest), "asking the server for a nest") == 0);
        CHECK(call_is_to_fork(nest)); /* it may be tried again */
        call_free(nest);
        CHECK(lives(mould->host->nursery_pid));
        call_free(mould);
        _exit(0);
    }
    CHECK(waitpid(host, &status, 0) == host && status == 0);
}

int
main(void)
{
    static const struct test tests[] = {
        TEST(a_nest_does_what_any_fed_call_does),
        TEST(children_have_the_streams_and_what_was_kept_and_nothing_else_of_the_hosts),
        TEST(ten_thousand_descriptors_are_covered),
        TEST(where_no_number_is_free_no_nest_is_made_and_the_server_lives),
        TEST(what_lies_above_a_limit_that_was_lowered_is_closed),
        TEST(odd_messages_are_dropped_with_what_comes_with_them),
        TEST(a_nest_that_does_not_fit_is_refused),
        TEST(signals_that_ask_a_process_to_end_end_neither_server_nor_nursery),
        TEST(children_have_the_mask_of_the_thread_that_entered),
        TEST(nests_go_on_without_their_server_and_another_can_be_asked),
        TEST(a_server_that_dies_with_a_nest_under_way_is_noticed),
        TEST(a_nest_that_will_never_be_is_aborted_at_once),
        TEST(a_mould_that_is_freed_first_leaves_its_nests_alone),
        TEST(what_a_killed_nursery_has_not_begun_another_does),
        TEST(a_nest_that_is_closed_ends_what_runs_in_it),
        TEST(what_is_closed_before_it_is_there_is_never_there),
        TEST(a_nest_can_be_aborted_at_any_time),
        TEST(nothing_outlives_a_host_that_is_killed),
        TEST(a_raw_fork_of_the_host_keeps_nothing_alive),
        TEST(what_a_raw_fork_of_the_host_frees_goes_on),
        TEST(what_a_raw_fork_frees_of_a_plain_call_goes_on),
        TEST(a_fork_of_the_host_has_nothing_of_a_block_and_ends_nothing),
        TEST(children_have_the_page_of_their_own_nest_alone_and_no_ledger),
        TEST(what_a_child_forks_has_none_of_its_descriptors),
        TEST(each_is_in_a_process_group_of_its_own),
        TEST(a_server_that_cannot_fork_says_so_and_lives),
    };
    for (int fd = 3; fd < 1024; fd++) { /* what whoever runs this has left open */
        (void)close(fd);
    }
    run_tests(tests, sizeof(tests) / sizeof(*tests));
    return 0;
}
