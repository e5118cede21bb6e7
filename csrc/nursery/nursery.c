/* The nursery: the one process that a call forks from its host. It never runs
 * Python. It makes the scratch directory, forks the children, waits for them,
 * and ends: at a goodbye by leaving, at anything else as kill.c says. It calls
 * only what is async-signal-safe, since it was forked among threads, and it
 * allocates nothing. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Note what could not be done, and begin no new item. Returns -error. */
static int
fail_call(struct sphttp_call *call, int trouble, int error)
{
    call->page->trouble = trouble;
    call->page->error = error;
    hand_stop(call->page, STOP_NEW);
    return -error;
}

/* A process that begins alone, or makes itself so: what has been forked among
 * threads may have threads already, an at-fork handler's (gRPC's), and would
 * then be no place to fork from. The first waits for the second. */
static void
be_alone(struct sphttp_call *call)
{
    (void)setpgid(0, 0);
    if (sphttp_thread_count() == 1) {
        return;
    }
    pid_t alone = bare_fork();
    if (alone == 0) {
        return;
    }
    if (alone < 0) { /* it forks no child then, and only tells the host */
        (void)fail_call(call, TROUBLE_FORK, errno);
        return;
    }
    (void)prctl(PR_SET_NAME, NURSERY_NAME);
    (void)close(call->nursery_end);
    while (waitpid(alone, NULL, 0) < 0 && errno == EINTR) {
    }
    _exit(0);
}

struct nursery {
    struct sphttp_call *call;
    pid_t self;
    int host;         /* our end of the socket */
    int child_ends;   /* a signalfd: SIGCHLD */
    bool deaf;        /* the host ignores SIGCHLD, and so shall its children */
    uint32_t next;    /* no item below it is free */
    uint32_t running; /* children */
    bool starved;     /* no fork succeeds until a child has ended */
    bool told;        /* the host knows that it is all over */
    int64_t patience_ns; /* until when nested nurseries are waited for; or 0 */
};

/* A child's first steps, before it is Python's. Its signals stay blocked. It
 * writes to its stack and the shared page only: each other page would be one
 * more to copy. */
static void
be_child(const struct nursery *nursery, uint32_t index)
{
    /* Exact, for the nursery has one thread; and asked after, because it may
     * have died before. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != nursery->self) {
        _exit(1);
    }
    struct sphttp_call *call = nursery->call;
    pid_t pid = getpid();
    for (uint32_t lane = 0; lane < call->lanes; lane++) {
        call->hands[call->hand + lane].pid = pid;
    }
    call->hands[call->hand].since_ns = call->setup ? 0 : now_ns();
    if (!call->pool) {
        /* The nursery notes it too, and may be killed before it has. */
        call->report[index].pid = pid;
    }
    (void)setpgid(0, 0);
    char name[32];
    (void)put_decimal(put_text(name, "tep-child-"), index);
    (void)prctl(PR_SET_NAME, name);
    if (nursery->deaf) {
        (void)signal(SIGCHLD, SIG_IGN);
    }
    (void)close(nursery->host);
    (void)close(nursery->child_ends);
}

/* Note that item `index` is in that hand. */
static void
hand_out(struct sphttp_call *call, uint32_t index, uint32_t hand)
{
    call->report[index].started_ns = now_ns();
    call->report[index].attempts++;
    call->state[index] = item_running(hand);
}

static void
take_back(struct sphttp_call *call, uint32_t index)
{
    call->state[index] = ITEM_FREE;
    call->report[index].started_ns = 0;
    call->report[index].attempts--;
}

/* Fork a child into `slot`: for item `index`, or a pool's, which takes an item
 * itself. True in the child. */
static bool
fork_child(struct nursery *nursery, uint32_t index, uint32_t slot)
{
    struct sphttp_call *call = nursery->call;
    call->slot = slot;
    call->hand = slot * call->lanes;
    for (uint32_t lane = 0; lane < call->lanes; lane++) {
        call->hands[call->hand + lane].since_ns = 0;
        call->hands[call->hand + lane].item = 0;
        call->asked[call->hand + lane] = call->pool ? -1 : (int64_t)index;
    }
    if (!call->pool) {
        hand_out(call, index, call->hand);
    }
    pid_t pid = bare_fork();
    if (pid == 0) {
        be_child(nursery, call->pool ? slot : index);
        return true;
    }
    if (pid < 0) {
        int err = errno;
        if (!call->pool) {
            take_back(call, index);
        }
        if (nursery->running > 0 && (err == EAGAIN || err == ENOMEM)) {
            nursery->starved = true; /* go on with the children there are */
        }
        else {
            (void)fail_call(call, TROUBLE_FORK, err);
        }
        return false;
    }
    if (!call->pool) {
        call->report[index].pid = pid;
        nursery->next = index + 1;
    }
    call->pids[slot] = pid;
    nursery->running++;
    return false;
}

/* Is there a free item among those set aside for the child of this slot? */
static bool
slot_left(const struct sphttp_call *call, uint32_t slot)
{
    bool left = false;
    for (uint32_t lane = 0; lane < call->lanes; lane++) {
        left = left || hand_left(call, slot * call->lanes + lane);
    }
    return left;
}

/* A free slot while a child may be forked, else -1. */
static int64_t
slot_to_fill(struct nursery *nursery)
{
    const struct sphttp_call *call = nursery->call;
    if (call->page->stop || nursery->starved ||
        nursery->running >= call->alive) {
        return -1;
    }
    if (call->pool) {
        nursery->next = call->page->next;
    }
    /* After the loss of a nursery the next one finds gaps. */
    while (nursery->next < call->count &&
           call->state[nursery->next] != ITEM_FREE) {
        nursery->next++;
    }
    bool any = nursery->next < call->count &&
               nursery->next < call->page->watermark;
    uint32_t slot = nursery->next % call->alive; /* most often the free one */
    for (uint32_t i = 0; i < call->alive; i++) {
        bool wanted = any || (call->pool && slot_left(call, slot));
        if (call->pids[slot] == 0 && wanted) {
            return slot;
        }
        slot = (slot + 1) % call->alive;
    }
    return -1;
}

/* The child whose hand it is has ended. */
static void
finish_hand(struct nursery *nursery, uint32_t hand, int status,
            const struct rusage *usage)
{
    struct sphttp_call *call = nursery->call;
    uint32_t item = hand_item(call, hand);
    uint64_t kind = hand_kind_of_lost(call, item);
    int64_t lost = hand_give_up(call, hand, item, kind);
    int64_t index = lost >= 0 ? lost : call->asked[hand];
    if (index < 0) {
        return; /* a pool's, and it had nothing in hand */
    }
    if (lost >= 0 && kind == ITEM_FREE) {
        call->lives[index]++;
        record_remove(call, (uint32_t)index); /* half a one, or not committed */
        nursery->next = index < nursery->next ? (uint32_t)index : nursery->next;
        return;
    }
    struct report *report = &call->report[index];
    report->pid = call->pids[hand / call->lanes];
    report->wait_status = status;
    report->max_rss = (int64_t)usage->ru_maxrss * 1024;
    report->cpu_ns =
        (int64_t)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * SECOND +
        (int64_t)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) * 1000;
    report->ended_ns = now_ns();
    if (!item_committed(call->state[index]) && call->stop_at_failure != 0) {
        hand_stop(call->page, call->stop_at_failure);
    }
    news_push(call, (uint32_t)index);
}

/* The child in `slot` has ended. */
static void
finish_slot(struct nursery *nursery, uint32_t slot, int status,
            const struct rusage *usage)
{
    struct sphttp_call *call = nursery->call;
    for (uint32_t lane = 0; lane < call->lanes; lane++) {
        uint32_t hand = slot * call->lanes + lane;
        finish_hand(nursery, hand, status, usage);
        /* Reaped: from now on the number may be anybody's. */
        call->hands[hand].pid = 0;
    }
    if (call->pool) {
        news_missed(call);
    }
    call->pids[slot] = 0;
    nursery->running--;
    nursery->starved = false;
}

/* Take note of every child that has ended. Any may be waited for here: what
 * is not in a slot was left to us by one that is gone. True: others live. */
static bool
reap_ended(struct nursery *nursery)
{
    const struct sphttp_call *call = nursery->call;
    for (;;) {
        int status;
        struct rusage usage;
        pid_t pid = wait4(-1, &status, WNOHANG, &usage);
        if (pid <= 0) {
            return pid == 0;
        }
        for (uint32_t i = 0; i < call->alive; i++) {
            if (call->pids[i] == pid) {
                finish_slot(nursery, i, status, &usage);
                break;
            }
        }
    }
}

/* Sleep until a child ends, the host speaks, or it is `end`, by now_ns. Leaves at
 * a goodbye, ends everything where the host is gone. */
static void
wait_for_event(struct nursery *nursery, int64_t end)
{
    struct pollfd fds[] = {
        {.fd = nursery->host, .events = POLLIN},
        {.fd = nursery->child_ends, .events = POLLIN},
    };
    int64_t ns = end - now_ns();
    ns = ns > 0 ? ns : 0;
    struct timespec left = {ns / SECOND, ns % SECOND};
    if (ppoll(fds, 2, end == INT64_MAX ? NULL : &left, NULL) <= 0) {
        return;
    }
    if (fds[1].revents != 0) {
        struct signalfd_siginfo ended;
        (void)read(nursery->child_ends, &ended, sizeof(ended));
    }
    if (fds[0].revents == 0) {
        return;
    }
    char byte = BYTE_LOOK;
    ssize_t n = recv(nursery->host, &byte, 1, MSG_DONTWAIT);
    if (n > 0 && byte == BYTE_GOODBYE) {
        _exit(0); /* the host has removed the scratch directory */
    }
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        end_everything(nursery->call);
    }
}

/* It is all over: tell the host to look at the page. This never blocks: a host
 * that does not read must not stop what goes on here. */
static void
tell_host(struct nursery *nursery)
{
    nursery->call->page->finished = 1;
    nursery->told = true;
    (void)send(nursery->host, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* May nurseries of calls that our children made, and did not live to see the end
 * of, still clean up after themselves? This call ends after they have. */
static bool
patient(struct nursery *nursery)
{
    if (nursery->patience_ns == 0) {
        nursery->patience_ns = now_ns() + SECOND;
    }
    return now_ns() < nursery->patience_ns;
}

/* What there is to do when no child can be forked. Until when there is nothing
 * more, by now_ns. `left`: there are processes below this one. */
static int64_t
tend(struct nursery *nursery, bool left)
{
    struct sphttp_call *call = nursery->call;
    if (call->page->stop == STOP_ALL && left) {
        bool wait = patient(nursery);
        bool listed = limits_cut(call, wait);
        /* For a stranger that must not be killed, another user's, not for ever. */
        bool hope = listed && now_ns() < nursery->patience_ns + 2 * SECOND;
        if (wait || hope || nursery->running > 0) {
            return now_ns() + 5000000;
        }
    }
    bool over = nursery->running == 0 &&
                (call->page->stop != 0 || nursery->next >= call->count);
    if (!over) {
        return limits_next(call);
    }
    if (!nursery->told && left && patient(nursery) && kill_children(0) > 0) {
        return now_ns() + 2000000;
    }
    if (!nursery->told) {
        tell_host(nursery);
    }
    return INT64_MAX;
}

/* What has to be done once, before the first child. 0 or -errno. */
static int
settle(struct nursery *nursery)
{
    struct sphttp_call *call = nursery->call;
    (void)prctl(PR_SET_NAME, NURSERY_NAME);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    /* The children's copy of the call must not name it: they close it. */
    nursery->host = call->nursery_end;
    call->nursery_end = -1;
    call->in_child = true;
    reset_handlers();
    /* A host that ignores SIGCHLD would cost us every exit status. */
    nursery->deaf = signal(SIGCHLD, SIG_DFL) == SIG_IGN;
    /* First: where the host has closed it, the next descriptor would be 0. */
    int fd = open("/dev/null", O_RDWR);
    if (fd < 0 || dup2(fd, STDIN_FILENO) < 0) {
        return fail_call(call, TROUBLE_STDIN, errno);
    }
    if (fd != STDIN_FILENO) {
        (void)close(fd);
    }
    sigset_t child_ends;
    (void)sigemptyset(&child_ends);
    (void)sigaddset(&child_ends, SIGCHLD);
    nursery->child_ends =
        above_streams(signalfd(-1, &child_ends, SFD_CLOEXEC | SFD_NONBLOCK));
    if (nursery->child_ends < 0) {
        return fail_call(call, TROUBLE_SIGNALFD, -nursery->child_ends);
    }
    if (call->directory < 0 && !call->pool) { /* else a lost nursery's */
        call->directory = scratch_make(call);
    }
    if (call->directory < 0 && !call->pool) {
        return fail_call(call, TROUBLE_SCRATCH, -call->directory);
    }
    return 0;
}

uint32_t
nursery_run(struct sphttp_call *call)
{
    be_alone(call);
    struct nursery nursery = {.call = call, .self = getpid()};
    (void)settle(&nursery); /* where it failed, no child is forked */
    for (;;) {
        int64_t slot = slot_to_fill(&nursery);
        uint32_t index = nursery.next;
        if (slot >= 0 && fork_child(&nursery, index, (uint32_t)slot)) {
            if (call->pool) {
                pool_enter(call);
            }
            if (call->digest != NULL) {
                digest_serve(call, index); /* it never comes back */
            }
            int64_t taken = call->pool ? hand_take(call, 0) : index;
            if (taken < 0) {
                _exit(0); /* others have taken all there was */
            }
            return (uint32_t)taken;
        }
        bool left = reap_ended(&nursery);
        limits_enforce(call); /* also while there are children to fork */
        int64_t until = slot_to_fill(&nursery) >= 0 ? 0 : tend(&nursery, left);
        wait_for_event(&nursery, until);
    }
}
