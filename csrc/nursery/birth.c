/* What a nursery and its children do first, each in its own process. What a child
 * needs, and needs no Python for, the nursery does once for all. */
#include "nursery/birth.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nursery/command.h"
#include "nursery/kill.h"
#include "shared/layout.h"

int
fail_call(struct sphttp_call *call, int trouble, int error)
{
    call->ledger->trouble = trouble;
    call->ledger->error = error;
    page_stop(call->page, STOP_NEW);
    return -error;
}

int
nursery_open_host(pid_t owner)
{
    int fd = open_process(owner);
    pid_t parent = getppid(); /* once it is open */
    if (parent == owner) {
        return fd;
    }
    close_end(&fd);
    return parent == 0 ? -1 : -ESRCH; /* 0: in a pid namespace above ours */
}

/* A process that begins alone, or makes itself so: what has been forked among
 * threads may have threads already, an at-fork handler's (gRPC's), and would
 * then be no place to fork from. The first waits for the second. */
static int
be_alone(const struct sphttp_call *call, const char *name)
{
    (void)setpgid(0, 0);
    if (sphttp_is_alone()) {
        return 0;
    }
    pid_t alone = bare_fork();
    if (alone <= 0) {
        return alone == 0 ? 1 : -errno;
    }
    (void)prctl(PR_SET_NAME, name);
    if (call->plan.server) { /* it lets go of all that is open */
        close_all_but(-1);
    }
    else {
        (void)close(call->nursery->given);
    }
    while (waitpid(alone, NULL, 0) < 0 && errno == EINTR) {
    }
    _exit(0);
}

/* Children must not stop because they print, or wait for somebody to type: a
 * process group in the background would. */
static void
leave_terminal(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (ioctl(fd, TIOCNOTTY) == 0) { /* it needs no descriptor more */
            return;
        }
    }
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
    if (fd >= 0) {
        (void)ioctl(fd, TIOCNOTTY);
        (void)close(fd);
    }
}

int
nursery_no_input(void)
{
    int fd = open("/dev/null", O_RDWR);
    if (fd < 0 || dup2(fd, STDIN_FILENO) < 0) {
        return -errno;
    }
    if (fd != STDIN_FILENO) {
        (void)close(fd);
    }
    return 0;
}

int
nursery_settle(struct nursery *nursery, struct sphttp_call *call,
               const char *name)
{
    int alone = be_alone(call, name);
    (void)prctl(PR_SET_NAME, name);
    call->child.in_child = true;
    reset_handlers();
    /* A host that ignores SIGCHLD would cost us every exit status. */
    nursery->deaf = signal(SIGCHLD, SIG_DFL) == SIG_IGN;
    leave_terminal();
    return alone;
}

/* What it can do without: where there are no more descriptors. `alone`: as it was
 * settled. */
static void
watch_over_lives(struct nursery *nursery, int alone)
{
    const struct sphttp_call *call = nursery->call;
    if (!call->plan.server) { /* else it has the server's */
        /* A raw fork of the host may hold the socket's other end open. */
        nursery->host_process = alone == 0 ? nursery_open_host(call->plan.owner)
                                           : open_process(call->plan.owner);
    }
    if (nursery->host_process == -ESRCH) {
        end_everything(nursery);
    }
    int ends[2];
    if (open_pipe(ends, 0) == 0) {
        (void)held_set(&nursery->pulse, ends[0]);
        nursery->pulse_source = ends[1];
    }
}

int
nursery_begin(struct nursery *nursery, struct sphttp_call *call)
{
    int alone = 0;
    if (call->plan.server) { /* a nest's: the server has seen to the rest */
        (void)setpgid(0, 0);
        (void)prctl(PR_SET_NAME, NURSERY_NAME);
    }
    else {
        alone = nursery_settle(nursery, call, NURSERY_NAME);
        nursery->host_process = -1;
    }
    nursery->self = getpid();
    nursery->host = nursery->given;
    nursery->child_ends = nursery->pulse.fd = nursery->pulse_source = -1;
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    /* The children's copy of the call must not name it: they close it. */
    nursery->given = -1;
    layout_keep_ledger(call);
    if (alone < 0) { /* it forks no child then, and only tells the host */
        (void)fail_call(call, TROUBLE_FORK, -alone);
    }
    /* First: where the host has closed it, the next descriptor would be 0. */
    int err = call->plan.server ? 0 : nursery_no_input();
    if (err != 0) {
        return fail_call(call, TROUBLE_STDIN, -err);
    }
    sigset_t child_ends;
    (void)sigemptyset(&child_ends);
    (void)sigaddset(&child_ends, SIGCHLD);
    int fd = above_streams(
        signalfd(-1, &child_ends, SFD_CLOEXEC | SFD_NONBLOCK));
    if (fd < 0) {
        return fail_call(call, TROUBLE_SIGNALFD, -fd);
    }
    nursery->child_ends = fd;
    if (call->directory.fd < 0 && !call->plan.in_memory) { /* else a lost nursery's */
        fd = scratch_make(call->plan.root, call->plan.owner,
                          &call->ledger->scratch);
        if (!held_set(&call->directory, fd)) {
            return fail_call(call, TROUBLE_SCRATCH, fd < 0 ? -fd : EIO);
        }
    }
    watch_over_lives(nursery, alone);
    if (call->plan.command) {
        commands_begin(nursery);
    }
    return 0;
}

/* Prepare the pulse: the kernel kills the child when the nursery, the only writer of
 * the pipe, is gone. That works also for a child that became another user, to whom
 * the kernel does not send the death signal. Each child needs an open file description
 * of its own, because the signal belongs to that. The nursery opens it, because a
 * child that looks into /proc gets a folder of its own there, and pays for it. */
void
nursery_expect(const struct nursery *nursery)
{
    struct held *pulse = &nursery->call->child.pulse;
    pulse->fd = -1;
    if (nursery->pulse.fd < 0) {
        return;
    }
    char path[40];
    (void)put_decimal(put_text(path, "/proc/self/fd/"),
                      (uint64_t)nursery->pulse.fd);
    int own = above_streams(open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (own >= 0) {
        (void)fcntl(own, F_SETSIG, SIGKILL);
        (void)fcntl(own, F_SETFL, O_NONBLOCK | O_ASYNC);
        *pulse = nursery->pulse; /* all of a pipe are the same file */
        pulse->fd = own;
    }
}

void
child_begin(const struct nursery *nursery, uint32_t index)
{
    struct sphttp_call *call = nursery->call;
    call->child.self = getpid();
    if (call->child.pulse.fd >= 0) {
        (void)fcntl(call->child.pulse.fd, F_SETOWN, call->child.self);
    }
    call->ledger = NULL; /* it is not mapped here; something else may be */
    if (nursery->pulse.fd >= 0) {
        (void)close(nursery->pulse.fd);
        (void)close(nursery->pulse_source);
    }
    /* Exact, for the nursery has one thread; and asked after, because it may
     * have died before. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != nursery->self) {
        _exit(1);
    }
    if (!call->plan.setup) {
        sphttp_child_begin(call);
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
    if (nursery->host_process >= 0) {
        (void)close(nursery->host_process);
    }
}
