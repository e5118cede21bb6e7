/* The end of everything below a nursery, whatever it does to stay: daemons,
 * stopped processes, trees that grow while they are cut down. Async-signal-safe. */
#include "nursery/kill.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "shared/store.h"

/* Open for reading; also where the last descriptor is gone: no child will be
 * forked any more that could inherit the higher limit. */
static int
open_by_all_means(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct rlimit limit;
    if (fd < 0 && errno == EMFILE && getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
        fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    return fd;
}

static bool
is_name(const char *line, ssize_t size, const char *name)
{
    size_t length = strlen(name);
    return size == (ssize_t)length + 1 && line[length] == '\n' &&
           memcmp(line, name, length) == 0;
}

/* Is this child of ours the nursery of a call that one of our children made, or a
 * server of nests? It sees that its host is dead, and cleans up after itself. Also
 * where that cannot be told. */
static bool
is_nursery(pid_t pid)
{
    char path[40];
    char *end = put_decimal(put_text(path, "/proc/"), (uint64_t)pid);
    (void)put_text(end, "/comm");
    int fd = open_by_all_means(path);
    if (fd < 0) {
        return errno != ENOENT && errno != ESRCH;
    }
    char name[sizeof(NURSERY_NAME)];
    ssize_t n = read(fd, name, sizeof(name));
    (void)close(fd);
    return is_name(name, n, NURSERY_NAME) || is_name(name, n, SERVER_NAME);
}

void
kill_with_group(pid_t pid)
{
    (void)kill(-pid, SIGKILL);
    (void)kill(pid, SIGKILL);
}

/* Does this stand in our status? A line end is what it begins with, and may end with.
 * Groups may be thousands, so there is no saying where. */
static bool
status_says(const char *text)
{
    int fd = open_by_all_means("/proc/self/status");
    const char *at = text;
    char buffer[512];
    ssize_t n;
    while (fd >= 0 && *at != '\0' &&
           (n = read(fd, buffer, sizeof(buffer))) > 0) {
        for (ssize_t i = 0; i < n && *at != '\0'; i++) {
            if (buffer[i] != *at) {
                at = text;
            }
            at += buffer[i] == *at;
        }
    }
    close_end(&fd);
    return *at == '\0';
}

/* Does /proc show the processes of our own pid namespace? The numbers of another
 * are strangers'. In it we have one number, ours. */
static bool
proc_is_ours(void)
{
    char own[40];
    uint64_t self = (uint64_t)getpid();
    (void)put_text(put_decimal(put_text(own, "\nNSpid:\t"), self), "\n");
    if (status_says(own)) {
        return true;
    }
    /* A kernel without such namespaces does not say. */
    (void)put_text(put_decimal(put_text(own, "\nPid:\t"), self), "\n");
    return status_says(own) && !status_says("\nNSpid:");
}

/* Read the list to its end. 0 or -errno. */
static int
read_children(int fd, void (*found)(void *whose, pid_t pid), void *whose)
{
    pid_t pid = 0;
    char buffer[512];
    ssize_t n;
    while ((n = read(fd, buffer, sizeof(buffer))) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            if (buffer[i] >= '0' && buffer[i] <= '9') {
                pid = pid * 10 + (buffer[i] - '0');
                continue;
            }
            if (pid > 0) {
                found(whose, pid);
            }
            pid = 0;
        }
    }
    return n < 0 ? -errno : 0;
}

int
list_children(void (*found)(void *whose, pid_t pid), void *whose)
{
    if (!proc_is_ours()) {
        return -ENOENT;
    }
    int fd = open_by_all_means("/proc/thread-self/children");
    if (fd < 0) {
        return -errno;
    }
    (void)read_children(fd, found, whose);
    (void)close(fd);
    return 0;
}

int
children_open(void)
{
    if (!proc_is_ours()) {
        return -1;
    }
    int fd = above_streams(
        open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC));
    return fd >= 0 ? fd : -1;
}

static void
count_one(void *whose, pid_t pid)
{
    (void)pid;
    ++*(int64_t *)whose;
}

int64_t
children_count(int list)
{
    int64_t count = 0;
    return lseek(list, 0, SEEK_SET) == 0 &&
                   read_children(list, count_one, &count) == 0
               ? count
               : -1;
}

/* Whom to kill of children, and how many nurseries are left. */
struct doomed {
    int whom, nurseries;
};

static void
kill_doomed(void *whose, pid_t pid)
{
    struct doomed *doomed = whose;
    if (!(doomed->whom & KILL_NURSERIES) && is_nursery(pid)) {
        doomed->nurseries++;
    }
    else if (doomed->whom & KILL_OTHERS) {
        kill_with_group(pid);
    }
}

int
kill_children(int whom)
{
    struct doomed doomed = {.whom = whom};
    int err = list_children(kill_doomed, &doomed);
    return err != 0 ? err : doomed.nurseries;
}

bool
kill_all(const struct sphttp_call *call, bool spare_nurseries)
{
    int whom = spare_nurseries ? KILL_OTHERS : KILL_OTHERS | KILL_NURSERIES;
    if (kill_children(whom) >= 0) {
        return true;
    }
    for (uint32_t i = 0; i < call->plan.alive; i++) {
        if (call->living[i].pid > 0) {
            kill_with_group(call->living[i].pid);
        }
    }
    return false;
}

bool
all_are_strangers(const struct sphttp_call *call)
{
    for (uint32_t i = 0; i < call->plan.alive; i++) {
        pid_t pid = call->living[i].pid;
        if (pid > 0 && (kill(pid, 0) == 0 || errno != EPERM)) {
            return false;
        }
    }
    return true;
}

/* What is left of children while they are killed. */
struct killed {
    const struct sphttp_call *call;
    bool reaped; /* some, this time */
};

static void
note_killed(void *whose, pid_t pid, int status, const struct rusage *usage)
{
    struct killed *killed = whose;
    (void)status;
    (void)usage;
    killed->reaped = true;
    for (uint32_t i = 0; i < killed->call->plan.alive; i++) {
        if (killed->call->living[i].pid == pid) {
            killed->call->living[i].pid = 0; /* anybody's now */
        }
    }
}

_Noreturn void
end_everything(struct nursery *nursery)
{
    const struct sphttp_call *call = nursery->call;
    int64_t begun = now_ns();
    /* Its port is free again, and its peers see that it is gone. */
    close_all_but(call->directory.fd);
    for (;;) {
        int64_t waited = now_ns() - begun;
        bool listed = kill_all(call, waited < SECOND);
        struct killed killed = {.call = call};
        bool left = reap_ended(note_killed, &killed);
        /* What is left may be strangers: that nobody can name, or kill. */
        if (!left || waited > (listed ? 3 : 1) * SECOND) {
            break;
        }
        if (!killed.reaped) {
            (void)nanosleep(&(struct timespec){0, 5000000}, NULL);
        }
    }
    /* After an abort the host reads first what there is. */
    if (call->directory.fd >= 0 && call->ledger->aborted == 0) {
        char path[SCRATCH_SIZE];
        store_path(call, path);
        (void)scratch_remove(path, call->directory.fd);
    }
    _exit(0);
}
