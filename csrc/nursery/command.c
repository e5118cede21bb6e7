/* A command runs in place of a forked child. The nursery starts it by vfork and exec, so
 * no page of the nursery's is copied. What is the same for all commands the nursery has
 * set for itself, once: signal actions, standard input, descriptors that close at exec.
 *
 * What a command prints goes to two files of the scratch directory. To make a file and to
 * remove it may take longer than to run a short command, so the files of a slot whose
 * command has printed nothing, and left nobody who still could, serve the next one. */
#include "nursery/command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cdef.h"
#include "child/item.h"
#include "nursery/kill.h"
#include "shared/store.h"

enum {
    KEPT_OPEN = 32,       /* slots whose files stay open: there are few descriptors */
    LEAST_ROOM = 512,     /* pointers */
    WORDS_MOST = 1 << 22, /* no system allows so many */
    BLOCK = 512,          /* bytes; a file system's are so many, or times that */
    NOT_EXECUTED = 127    /* of which nobody is told: the report says why */
};

/* Where a slot's command prints to, its standard output and its standard error. */
struct output {
    int fds[2]; /* -1: it is not open here, or there is none */
    bool there; /* the files are */
};

struct commands {
    char **words; /* of the command that is being started: its path, its arguments */
    size_t room;  /* for so many */
    int listed;   /* see children_open */
    char shell[8]; /* what runs a script that says nothing of that */
    /* Why it could not be started: errno of exec, or below 0 -errno of its output. A child
     * writes here before its exec, and into `words`, and nowhere else. */
    volatile int refused;
    struct output outputs[]; /* of each slot */
};

extern char **environ;

struct commands *
commands_open(uint32_t alive)
{
    struct commands *commands =
        calloc(1, sizeof(*commands) + alive * sizeof(struct output));
    for (uint32_t slot = 0; commands != NULL && slot < alive; slot++) {
        commands->outputs[slot] = (struct output){.fds = {-1, -1}};
    }
    return commands;
}

void
commands_free(struct commands *commands)
{
    free(commands);
}

/* An exec keeps what is ignored, and Python ignores SIGPIPE. Two or three signals are libc's own, for
 * threads: it lets nobody set them, though whoever began the host may have ignored them by number. */
static void
set_signals_to_defaults(void)
{
    const unsigned long as_the_kernel_has_it[8] = {0}; /* SIG_DFL is 0 */
    for (int number = 1; number < NSIG; number++) {
        if (signal(number, SIG_DFL) == SIG_ERR && number > SIGSYS) {
            (void)syscall(SYS_rt_sigaction, number, as_the_kernel_has_it, NULL,
                          (size_t)NSIG / 8);
        }
    }
}

void
commands_begin(struct nursery *nursery)
{
    set_signals_to_defaults();
    close_at_exec(STDERR_FILENO + 1);
    nursery->commands->listed = children_open();
    (void)strcpy(nursery->commands->shell, "/bin/sh");
}

/* --- What is run ------------------------------------------------------------------- */

/* Make room for so many pointers. 0 or -ENOMEM. */
static int
make_room(struct commands *commands, size_t count)
{
    if (count <= commands->room) {
        return 0;
    }
    size_t room = commands->room == 0 ? LEAST_ROOM : commands->room;
    while (room < count) {
        room *= 2;
    }
    /* Not by malloc: this process was forked among threads. */
    void *at = mmap(NULL, room * sizeof(char *), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) {
        return -ENOMEM;
    }
    if (commands->words != NULL) {
        (void)munmap(commands->words, commands->room * sizeof(char *));
    }
    commands->words = at;
    commands->room = room;
    return 0;
}

/* Find the words of item `index`: the path of the program, and its arguments, of which the
 * first is its name. Each ends with a NUL. 0 or -errno. */
static int
find_words(struct sphttp_call *call, uint32_t index)
{
    struct commands *commands = call->nursery->commands;
    const char *at;
    size_t size, count = 0;
    int err = item_find(call, index, &at, &size);
    if (err < 0) {
        return err;
    }
    if (size == 0 || at[size - 1] != '\0') {
        return -EINVAL;
    }
    for (size_t i = 0; i < size; i++) {
        count += at[i] == '\0';
    }
    if (count < 2 || count > WORDS_MOST) {
        return count < 2 ? -EINVAL : -E2BIG;
    }
    err = make_room(commands, count + 1);
    if (err != 0) {
        return err;
    }
    for (size_t i = 0; i < count; i++) {
        commands->words[i] = (char *)(uintptr_t)at;
        at += strlen(at) + 1;
    }
    commands->words[count] = NULL;
    return 0;
}

/* --- What it prints ------------------------------------------------------------------- */

/* The name of a file while its command runs. */
static void
name_of_slot(char name[OUTPUT_NAME], uint32_t slot, int stream)
{
    *name = 's';
    output_name(name + 1, slot, stream);
}

/* Make a file. A descriptor or -errno. */
static int
make_file(int directory, const char *name)
{
    const int how = O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW |
                    O_CLOEXEC;
    int fd = openat(directory, name, how, 0600);
    if (fd < 0 && errno == EEXIST) { /* a lost nursery's, or of an earlier attempt */
        (void)unlinkat(directory, name, 0);
        fd = openat(directory, name, how, 0600);
    }
    return above_streams(fd);
}

/* Open both files of a slot, unless they are. 0 or -errno. */
static int
open_outputs(const struct sphttp_call *call, struct output *output,
             uint32_t slot)
{
    char name[OUTPUT_NAME];
    output->there = true;
    for (int stream = 0; stream < 2; stream++) {
        if (output->fds[stream] < 0) {
            name_of_slot(name, slot, stream);
            int fd = make_file(call->directory.fd, name);
            if (fd < 0) {
                return fd;
            }
            output->fds[stream] = fd;
        }
    }
    return 0;
}

static void
close_outputs(struct output *output)
{
    close_end(&output->fds[0]);
    close_end(&output->fds[1]);
}

/* The same; where there are no more descriptors, at the cost of those that other slots
 * keep: a command that runs has its own. */
static int
open_outputs_anyhow(const struct sphttp_call *call, struct output *output,
                    uint32_t slot)
{
    int err = open_outputs(call, output, slot);
    if (err == -EMFILE || err == -ENFILE) {
        for (uint32_t i = 0; i < call->plan.alive; i++) {
            close_outputs(&call->nursery->commands->outputs[i]);
        }
        err = open_outputs(call, output, slot);
    }
    return err;
}

/* Look at a file: by its descriptor, for its name may be gone. 0 or -errno. */
static int
look_at(const struct sphttp_call *call, struct output *output, uint32_t slot,
        int stream, struct stat *st)
{
    char name[OUTPUT_NAME];
    const int how = O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC;
    int directory = call->directory.fd;
    if (output->fds[stream] < 0) {
        name_of_slot(name, slot, stream);
        if (fstatat(directory, name, st, AT_SYMLINK_NOFOLLOW) != 0) {
            return -errno;
        }
        output->fds[stream] = above_streams(openat(directory, name, how));
    }
    return output->fds[stream] < 0 || fstat(output->fds[stream], st) == 0
               ? 0
               : -errno;
}

/* May its command have found no room for more in a file of so many bytes? Many do not
 * look. 0; or -errno, as it had it. */
static int
look_for_room(int fd, off_t size)
{
    struct rlimit most;
    struct statfs fs;
    if (size > 0 && getrlimit(RLIMIT_FSIZE, &most) == 0 &&
        (rlim_t)size >= most.rlim_cur) {
        return -EFBIG;
    }
    /* What finds no more room fills a block first. */
    if (fd < 0 || size % BLOCK != 0 ||
        (size == 0 && fstatfs(fd, &fs) == 0 && fs.f_bavail > 0) ||
        fallocate(fd, FALLOC_FL_KEEP_SIZE, size, 1) == 0) {
        return 0;
    }
    if (errno == ENOSPC || errno == EDQUOT) {
        return -errno;
    }
    /* It cannot be asked so. */
    return fstatfs(fd, &fs) == 0 && fs.f_bavail == 0 ? -ENOSPC : 0;
}

/* Has it printed nothing, could nobody who is left of it, and has the next command the
 * use of the files? */
static bool
is_as_new(const struct nursery *nursery, const struct output *output,
          const struct stat st[2])
{
    return output->fds[0] >= 0 && st[0].st_size == 0 && st[0].st_nlink == 1 &&
           output->fds[1] >= 0 && st[1].st_size == 0 && st[1].st_nlink == 1 &&
           children_count(nursery->commands->listed) ==
               (int64_t)nursery->running - 1;
}

/* A file is named for the host, after the item; one with nothing in it is removed. 0 or
 * -errno. */
static int
hand_over(const struct sphttp_call *call, uint32_t slot, uint32_t index,
          int stream, const struct stat *st)
{
    char old[OUTPUT_NAME], new[OUTPUT_NAME];
    int directory = call->directory.fd;
    name_of_slot(old, slot, stream);
    if (st->st_size == 0) {
        (void)unlinkat(directory, old, 0);
        return 0;
    }
    output_name(new, page_number(call, index), stream);
    if (renameat(directory, old, directory, new) != 0) {
        return -errno;
    }
    call->report[index].printed |= 1U << stream;
    return 0;
}

/* The command of item `index` has ended: see to what it has printed. 0; or -errno: that is
 * lost, or of one that went well, may not be all. */
static int
see_outputs(const struct nursery *nursery, uint32_t slot, uint32_t index,
            bool well)
{
    const struct sphttp_call *call = nursery->call;
    struct output *output = &nursery->commands->outputs[slot];
    struct stat st[2];
    int found[2], err = 0;
    for (int stream = 0; stream < 2; stream++) {
        found[stream] = look_at(call, output, slot, stream, &st[stream]);
        if (found[stream] == 0 && well && err == 0) {
            err = look_for_room(output->fds[stream], st[stream].st_size);
        }
    }
    if (slot < KEPT_OPEN && found[0] == 0 && found[1] == 0 &&
        is_as_new(nursery, output, st)) {
        return err;
    }
    for (int stream = 0; stream < 2; stream++) {
        if (found[stream] == 0) {
            found[stream] = hand_over(call, slot, index, stream, &st[stream]);
        }
        err = found[stream] != 0 ? found[stream] : err;
    }
    close_outputs(output);
    output->there = false;
    return err;
}

/* What an earlier attempt has printed is not the item's. */
static void
forget_attempt(const struct sphttp_call *call, uint32_t index)
{
    char name[OUTPUT_NAME];
    for (int stream = 0; stream < 2; stream++) {
        output_name(name, page_number(call, index), stream);
        (void)unlinkat(call->directory.fd, name, 0);
    }
    call->report[index].printed = 0;
    call->report[index].lost = 0;
}

/* --- Beginning and end -------------------------------------------------------------- */

/* Be a command, in memory that is the nursery's. */
static _Noreturn void
be_command(const struct nursery *nursery, const int fds[2])
{
    struct commands *commands = nursery->commands;
    sigset_t none;
    (void)setpgid(0, 0);
    /* Asked after, because it may have died before. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (commands->refused != 0 || getppid() != nursery->self) {
        _exit(NOT_EXECUTED);
    }
    for (int stream = 0; stream < 2; stream++) {
        if (fds[stream] >= 0 && dup2(fds[stream], STDOUT_FILENO + stream) < 0) {
            commands->refused = -errno;
            _exit(NOT_EXECUTED);
        }
    }
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    char **words = commands->words;
    (void)execve(words[0], words + 1, environ);
    if (errno == ENOEXEC) { /* a script without #!: as execvp does */
        words[1] = words[0];
        words[0] = commands->shell;
        (void)execve(words[0], words, environ);
    }
    commands->refused = errno;
    _exit(NOT_EXECUTED);
}

pid_t
command_start(struct nursery *nursery, uint32_t index)
{
    struct sphttp_call *call = nursery->call;
    struct commands *commands = nursery->commands;
    struct report *report = &call->report[index];
    struct output *output = &commands->outputs[call->child.slot];
    int err = -find_words(call, index);
    if (err == 0 && !call->plan.ungrouped) {
        if (report->attempts > 1) {
            forget_attempt(call, index);
        }
        err = open_outputs_anyhow(call, output, call->child.slot);
        if (err == -EMFILE || err == -ENFILE) {
            close_outputs(output);
            errno = -err;
            return -1;
        }
    }
    commands->refused = err;
    sphttp_child_begin(call);
    pid_t pid = vfork();
    if (pid == 0) {
        be_command(nursery, output->fds);
    }
    err = errno;
    report->refused = pid > 0 ? commands->refused : 0;
    if (call->child.slot >= KEPT_OPEN) {
        close_outputs(output);
    }
    errno = err;
    return pid;
}

void
command_ended(struct nursery *nursery, uint32_t slot, int status)
{
    struct sphttp_call *call = nursery->call;
    struct output *output = &nursery->commands->outputs[slot];
    uint32_t index = (uint32_t)nursery->seen[slot].asked;
    struct report *report = &call->report[index];
    bool well = status == 0 && report->refused == 0;
    if (output->there) {
        report->lost = -see_outputs(nursery, slot, index, well);
    }
    /* Last: what is done has all its output, also where this process is killed before. */
    if (well && report->lost == 0) {
        (void)page_give_up(call, index, page_number(call, index), slot,
                           ITEM_DISCARDED);
    }
}
