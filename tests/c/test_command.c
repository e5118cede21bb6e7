/* Commands in place of forked children. Built and run as test_core.c is. */
#include "check.h"

#include "base/cdef.h"
#include "host/call.h"
#include "host/host.h"
#include "host/open.h"
#include "nursery/command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

enum { HOW = SPHTTP_FED | SPHTTP_TELL | SPHTTP_DISCARD | SPHTTP_COMMAND };

static char root[] = "/tmp/tep_command_XXXXXX";

static sphttp_call *
open_call(uint32_t cells, uint32_t alive, int how)
{
    sphttp_call *call;
    CHECK(sphttp_call_open(cells, alive, HOW | how, root, &call) == 0);
    return call;
}

/* Feed a command: its words, and NULL. */
static void
feed(sphttp_call *call, ...)
{
    char words[4096];
    size_t size = 0;
    const char *word;
    va_list rest;
    va_start(rest, call);
    while ((word = va_arg(rest, const char *)) != NULL) {
        (void)strcpy(words + size, word);
        size += strlen(word) + 1;
    }
    va_end(rest);
    CHECK(feed_put(call, words, size, true) >= 0);
}

static void
feed_shell(sphttp_call *call, const char *script)
{
    feed(call, "/bin/sh", "sh", "-c", script, NULL);
}

static void
start(sphttp_call *call)
{
    CHECK(call_fork(call).kind == SPHTTP_STARTED);
}

/* The cell of an item that has ended, with all that is known of it. */
static uint32_t
next(sphttp_call *call, sphttp_result *result)
{
    int64_t cell;
    while ((cell = sphttp_call_next(call)) < 0) {
        int kind = call_finish(call).kind;
        if (kind == SPHTTP_FORK_AGAIN) {
            start(call);
            kind = call_finish(call).kind;
        }
        CHECK(kind == SPHTTP_NEWS || kind == SPHTTP_ENDED);
    }
    sphttp_call_result(call, (uint32_t)cell, result);
    return (uint32_t)cell;
}

/* Has it printed this, and nothing else? */
static bool
has_printed(sphttp_call *call, uint64_t number, int stream, const char *text)
{
    char found[4096] = "";
    int fd = sphttp_call_output(call, number, stream);
    if (fd < 0) {
        return fd == -ENOENT && *text == '\0';
    }
    CHECK(read(fd, found, sizeof(found) - 1) >= 0);
    (void)close(fd);
    CHECK(sphttp_call_output(call, number, stream) == -ENOENT); /* once */
    return strcmp(found, text) == 0;
}

/* Run one command alone. */
static sphttp_result
run_one(sphttp_call *call)
{
    sphttp_result result;
    sphttp_call_end_feed(call);
    start(call);
    (void)next(call, &result);
    return result;
}

static void
finish(sphttp_call *call)
{
    while (call_finish(call).kind == SPHTTP_NEWS) {
    }
    call_free(call);
    CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
    CHECK(rmdir(root) == 0 && mkdir(root, 0700) == 0); /* it is empty */
}

static void
nap(int ms)
{
    (void)nanosleep(&(struct timespec){0, ms * 1000000}, NULL);
}

/* Is it no more, or waits only for whoever is its parent now? */
static bool
is_gone(pid_t pid)
{
    char path[40], text[256] = "";
    (void)put_text(put_decimal(put_text(path, "/proc/"), (uint64_t)pid), "/stat");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    return n <= 0 || strstr(text, ") Z ") != NULL;
}

/* --- Tests --------------------------------------------------------------------------- */

static void
what_a_command_prints_is_kept(void)
{
    sphttp_call *call = open_call(4, 2, 0);
    feed_shell(call, "echo out; echo err >&2");
    sphttp_result result = run_one(call);
    CHECK(result.fate == SPHTTP_DISCARDED && result.attempts == 1);
    CHECK(result.wait_status == 0 && result.pid > 0);
    CHECK(result.cpu_ns > 0 && result.max_rss > 0);
    CHECK(result.ended_ns > result.started_ns);
    CHECK(has_printed(call, 0, 0, "out\n"));
    CHECK(has_printed(call, 0, 1, "err\n"));
    finish(call);
}

static void
how_it_ended_is_told(void)
{
    sphttp_call *call = open_call(4, 1, 0);
    sphttp_result result;
    feed_shell(call, "exit 7");
    feed_shell(call, "echo before; kill -KILL $$");
    sphttp_call_end_feed(call);
    start(call);
    uint32_t cell = next(call, &result);
    CHECK(page_number(call, cell) == 0 && result.fate == SPHTTP_DIED);
    CHECK(WEXITSTATUS(result.wait_status) == 7);
    (void)next(call, &result);
    CHECK(result.fate == SPHTTP_DIED);
    CHECK(WTERMSIG(result.wait_status) == SIGKILL);
    CHECK(has_printed(call, 1, 0, "before\n"));
    finish(call);
}

static void
what_cannot_be_executed_says_why(void)
{
    const struct {
        const char *path;
        int error;
    } tries[] = {
        {"", ENOENT}, {"/nonexistent", ENOENT}, {"/", EACCES}};
    for (size_t i = 0; i < sizeof(tries) / sizeof(*tries); i++) {
        sphttp_call *call = open_call(1, 1, SPHTTP_STOP);
        CHECK(sphttp_call_limit(call, 0, 0, 3) == 0); /* that helps nothing */
        feed(call, tries[i].path, "name", NULL);
        sphttp_result result = run_one(call);
        CHECK(result.fate == SPHTTP_NOT_STARTED && result.attempts == 1);
        CHECK(result.error == tries[i].error && result.wait_status == -1);
        CHECK(sphttp_call_stopping(call));
        while (call_finish(call).kind == SPHTTP_NEWS) {
        }
        call_free(call);
    }
}

static void
a_script_that_names_no_interpreter_is_the_shells(void)
{
    char script[64];
    (void)put_text(put_text(script, root), "/script");
    int fd = open(script, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
    CHECK(fd >= 0 && write(fd, "echo ${0##*/} $#$1\n", 18) == 18 && close(fd) == 0);
    sphttp_call *call = open_call(1, 1, 0);
    feed(call, script, "name", "one", NULL);
    CHECK(run_one(call).fate == SPHTTP_DISCARDED);
    CHECK(has_printed(call, 0, 0, "script 1one\n"));
    CHECK(unlink(script) == 0);
    finish(call);
}

static void
words_that_are_too_long_or_none_are_refused(void)
{
    static char words[256 << 10];
    (void)memset(words, 'a', sizeof(words) - 1);
    (void)strcpy(words, "/bin/true");
    const struct {
        size_t size;
        int error;
    } tries[] = {{0, EINVAL}, {9, EINVAL}, {10, EINVAL}, {sizeof(words), E2BIG}};
    for (size_t i = 0; i < sizeof(tries) / sizeof(*tries); i++) {
        sphttp_call *call = open_call(1, 1, 0);
        CHECK(feed_put(call, words, tries[i].size, true) >= 0);
        sphttp_result result = run_one(call);
        CHECK(result.fate == SPHTTP_NOT_STARTED);
        CHECK(result.error == tries[i].error);
        finish(call);
    }
}

static void
many_words_arrive(void)
{
    enum { MANY = 5000 };
    static char words[2 * MANY + 64];
    size_t size = 0;
    const char *first[] = {"/bin/sh", "sh", "-c", "echo $#", "sh"};
    for (size_t i = 0; i < 5; i++) {
        (void)strcpy(words + size, first[i]);
        size += strlen(first[i]) + 1;
    }
    for (int i = 0; i < MANY; i++) {
        (void)strcpy(words + size, "x");
        size += 2;
    }
    sphttp_call *call = open_call(1, 1, 0);
    CHECK(feed_put(call, words, size, true) >= 0);
    CHECK(run_one(call).fate == SPHTTP_DISCARDED);
    CHECK(has_printed(call, 0, 0, "5000\n"));
    finish(call);
}

static void
a_command_inherits_nothing_but_its_streams(void)
{
    int open_here = dup(1); /* without FD_CLOEXEC */
    CHECK(open_here >= 0 && signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    CHECK(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
    sigset_t some;
    (void)sigemptyset(&some);
    (void)sigaddset(&some, SIGUSR1);
    (void)sigprocmask(SIG_BLOCK, &some, NULL);
    sphttp_call *call = open_call(4, 1, 0);
    sphttp_result result;
    /* The shell's own at the end: what it reads the folder with. */
    feed_shell(call, "cd /proc/self/fd; echo [0-9]*; cat");
    feed(call, "/bin/grep", "grep", "-E", "Sig(Blk|Ign)", "/proc/self/status",
         NULL);
    feed_shell(call, "echo $(($$ - $(cut -d' ' -f5 /proc/$$/stat)))");
    sphttp_call_end_feed(call);
    start(call);
    for (int i = 0; i < 3; i++) {
        (void)next(call, &result);
        CHECK(result.fate == SPHTTP_DISCARDED);
    }
    CHECK(has_printed(call, 0, 0, "0 1 2 3\n"));
    CHECK(has_printed(call, 1, 0,
                      "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"));
    CHECK(has_printed(call, 2, 0, "0\n")); /* it leads a group of its own */
    (void)signal(SIGPIPE, SIG_DFL);
    (void)signal(SIGXFSZ, SIG_DFL);
    (void)signal(SIGCHLD, SIG_DFL);
    (void)sigprocmask(SIG_UNBLOCK, &some, NULL);
    (void)close(open_here);
    finish(call);
}

static void
who_is_late_prints_into_nobody_elses_output(void)
{
    sphttp_call *call = open_call(8, 1, 0);
    sphttp_result result;
    feed(call, "/bin/true", "true", NULL);
    feed_shell(call, "(sleep 0.2; echo late) &");
    feed_shell(call, "setsid sh -c 'sleep 0.2; echo late' &");
    feed_shell(call, "sleep 0.6; echo mine");
    sphttp_call_end_feed(call);
    start(call);
    for (int i = 0; i < 4; i++) {
        uint32_t cell = next(call, &result);
        CHECK(page_number(call, cell) == (uint64_t)i);
        CHECK(result.fate == SPHTTP_DISCARDED);
        CHECK(has_printed(call, (uint64_t)i, 0, i == 3 ? "mine\n" : ""));
        CHECK(has_printed(call, (uint64_t)i, 1, ""));
    }
    finish(call);
}

static void
more_run_at_once_than_have_files_that_stay_open(void)
{
    enum { COUNT = 300 };
    sphttp_call *call = open_call(64, 50, 0);
    sphttp_result result;
    uint64_t fed = 0, ended = 0;
    while (ended < COUNT) {
        while (fed < COUNT && fed - ended < 64) {
            char script[64];
            (void)put_text(put_decimal(put_text(script, "echo "), fed), " >&2");
            feed_shell(call, fed % 2 == 0 ? "" : script);
            fed++;
        }
        if (call->host->nursery_pid == 0) {
            start(call);
        }
        if (fed == COUNT) {
            sphttp_call_end_feed(call);
        }
        uint32_t cell = next(call, &result);
        uint64_t number = page_number(call, cell);
        char text[32] = "";
        if (number % 2 == 1) {
            (void)put_text(put_decimal(text, number), "\n");
        }
        CHECK(result.fate == SPHTTP_DISCARDED);
        CHECK(has_printed(call, number, 1, text) && has_printed(call, number, 0, ""));
        sphttp_call_release(call, cell);
        ended++;
    }
    finish(call);
}

/* Two for each command are not there: those there are serve in turn. */
static void
few_descriptors_cost_no_item(void)
{
    enum { COUNT = 60 };
    struct rlimit before, few;
    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    sphttp_call *call = open_call(COUNT, COUNT, 0);
    sphttp_result result;
    for (int i = 0; i < COUNT; i++) {
        feed_shell(call, "echo x; sleep 1");
    }
    sphttp_call_end_feed(call);
    few = before;
    few.rlim_cur = 40;
    CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
    start(call);
    for (int i = 0; i < COUNT; i++) {
        uint32_t cell = next(call, &result);
        CHECK(result.fate == SPHTTP_DISCARDED && result.printed == 1);
        CHECK(has_printed(call, page_number(call, cell), 0, "x\n"));
    }
    finish(call);
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
}

/* The command has removed all files of the directory. */
static void
output_that_is_gone_is_told(void)
{
    for (uint32_t slot = 0; slot < 2; slot++) { /* 40: its files are not kept open */
        uint32_t alive = slot == 0 ? 1 : 40, count = slot == 0 ? 1 : 40;
        sphttp_call *call = open_call(count, alive, 0);
        char script[128];
        char *end = put_text(script, "sleep 0.3; echo x; rm -f ");
        (void)put_text(put_text(end, root), "/*/s*39.*");
        if (slot == 0) {
            (void)put_text(put_text(end, root), "/*/*");
        }
        for (uint32_t i = 0; i + 1 < count; i++) {
            feed_shell(call, "echo x; sleep 0.6");
        }
        feed_shell(call, script);
        sphttp_result result;
        sphttp_call_end_feed(call);
        start(call);
        uint32_t lost = 0;
        for (uint32_t i = 0; i < count; i++) {
            uint32_t cell = next(call, &result);
            if (page_number(call, cell) + 1 < count) {
                CHECK(result.fate == SPHTTP_DISCARDED && result.printed == 1);
                continue;
            }
            lost++;
            CHECK(result.fate == SPHTTP_UNWRITTEN && result.error == ENOENT);
            CHECK(result.printed == 0 && result.wait_status == 0);
        }
        CHECK(lost == 1);
        finish(call);
    }
}

static void
who_loses_an_empty_file_takes_nothing_from_the_next(void)
{
    sphttp_call *call = open_call(2, 1, 0);
    char script[128];
    (void)put_text(put_text(put_text(script, "rm -f "), root), "/*/*");
    feed_shell(call, script);
    feed_shell(call, "echo second");
    sphttp_call_end_feed(call);
    start(call);
    sphttp_result result;
    (void)next(call, &result);
    CHECK(result.fate == SPHTTP_DISCARDED && result.printed == 0);
    (void)next(call, &result);
    CHECK(result.fate == SPHTTP_DISCARDED && result.printed == 1);
    CHECK(has_printed(call, 1, 0, "second\n"));
    finish(call);
}

/* RLIMIT_FSIZE: a command that does not look would seem to have gone well. */
static void
output_that_fills_its_limit_is_told(void)
{
    struct rlimit before, few;
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    sphttp_call *call = open_call(2, 1, 0);
    feed_shell(call, "trap '' XFSZ; head -c 2000000 /dev/zero 2>/dev/null; true");
    feed_shell(call, "head -c 4096 /dev/zero"); /* whole blocks, and yet all of it */
    sphttp_call_end_feed(call);
    few = before;
    few.rlim_cur = 1 << 20;
    CHECK(setrlimit(RLIMIT_FSIZE, &few) == 0);
    start(call);
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
    sphttp_result result;
    (void)next(call, &result);
    CHECK(result.fate == SPHTTP_UNWRITTEN && result.error == EFBIG);
    CHECK(result.printed == 1 && result.wait_status == 0);
    (void)next(call, &result);
    CHECK(result.fate == SPHTTP_DISCARDED && result.printed == 1);
    finish(call);
}

/* Between the two a nursery may be killed: its output is handed over before an item is
 * done. */
static sphttp_call *watched;

int __wrap_renameat(int from, const char *old, int to, const char *new);
int __real_renameat(int from, const char *old, int to, const char *new);

int
__wrap_renameat(int from, const char *old, int to, const char *new)
{
    if (watched != NULL && item_committed(page_item(watched, 0))) {
        _exit(1); /* as one that is killed; the next finds the item done */
    }
    return __real_renameat(from, old, to, new);
}

static void
what_is_done_has_its_output(void)
{
    sphttp_call *call = watched = open_call(1, 1, 0);
    feed_shell(call, "echo x");
    sphttp_result result = run_one(call);
    CHECK(result.fate == SPHTTP_DISCARDED && has_printed(call, 0, 0, "x\n"));
    watched = NULL;
    finish(call);
}

static void
another_attempt_begins_with_an_empty_output(void)
{
    sphttp_call *call = open_call(2, 1, 0);
    CHECK(sphttp_call_limit(call, 0, 0, 2) == 0);
    char script[128];
    char *end = put_text(put_text(script, "mkdir "), root);
    end = put_text(end, "/once 2> /dev/null && echo first && exit 1; rmdir ");
    (void)put_text(put_text(end, root), "/once; echo second >&2");
    feed_shell(call, script);
    sphttp_result result = run_one(call);
    CHECK(result.fate == SPHTTP_DISCARDED && result.attempts == 2);
    CHECK(has_printed(call, 0, 1, "second\n"));
    CHECK(has_printed(call, 0, 0, ""));
    finish(call);
}

static void
what_was_printed_before_a_timeout_is_kept(void)
{
    sphttp_call *call = open_call(2, 1, 0);
    CHECK(sphttp_call_limit(call, SECOND / 5, 0, 0) == 0);
    feed_shell(call, "trap '' TERM INT HUP; echo before; sleep 60; echo behind");
    sphttp_result result = run_one(call);
    CHECK(result.fate == SPHTTP_LATE && WTERMSIG(result.wait_status) == SIGKILL);
    CHECK(has_printed(call, 0, 0, "before\n"));
    finish(call);
}

static void
a_deadline_keeps_what_was_printed_too(void)
{
    sphttp_call *call = open_call(2, 1, 0);
    CHECK(sphttp_call_limit(call, 0, SECOND / 5, 0) == 0);
    feed_shell(call, "echo before; sleep 60");
    feed_shell(call, "echo never");
    sphttp_call_end_feed(call);
    start(call);
    while (call_finish(call).kind == SPHTTP_NEWS) {
    }
    sphttp_result result;
    sphttp_call_result(call, feed_cell(call, 0), &result);
    CHECK(result.fate == SPHTTP_CUT && has_printed(call, 0, 0, "before\n"));
    sphttp_call_result(call, feed_cell(call, 1), &result);
    CHECK(result.fate == SPHTTP_NOT_BEGUN && has_printed(call, 1, 0, ""));
    finish(call);
}

static void
a_failure_stops_the_rest(void)
{
    sphttp_call *call = open_call(4, 1, SPHTTP_STOP);
    sphttp_result result;
    feed_shell(call, "exit 1");
    feed_shell(call, "echo never");
    sphttp_call_end_feed(call);
    start(call);
    while (call_finish(call).kind == SPHTTP_NEWS) {
    }
    sphttp_call_result(call, feed_cell(call, 1), &result);
    CHECK(result.fate == SPHTTP_NOT_BEGUN);
    finish(call);
}

static void
a_lost_nursery_costs_what_ran_and_no_more(void)
{
    sphttp_call *call = open_call(4, 1, 0);
    sphttp_result result;
    feed_shell(call, "exec sleep 60");
    feed_shell(call, "echo second");
    sphttp_call_end_feed(call);
    start(call);
    pid_t pid;
    while ((pid = call->living[0].pid) == 0) {
        nap(1);
    }
    CHECK(kill(call->host->nursery_pid, SIGKILL) == 0);
    for (int i = 0; !is_gone(pid); i++) { /* the host need do nothing for that */
        CHECK(i < 5000);
        nap(1);
    }
    uint32_t cell = next(call, &result);
    CHECK(page_number(call, cell) == 0 && result.fate == SPHTTP_DIED);
    cell = next(call, &result);
    CHECK(page_number(call, cell) == 1 && result.fate == SPHTTP_DISCARDED);
    CHECK(has_printed(call, 1, 0, "second\n"));
    finish(call);
}

static void
a_call_that_is_given_up_leaves_nothing(void)
{
    sphttp_call *call = open_call(4, 2, 0);
    feed_shell(call, "trap '' TERM; setsid sleep 60 & sleep 60");
    feed_shell(call, "echo printed; sleep 60");
    start(call);
    while (call->living[0].pid == 0 || call->living[1].pid == 0) {
        nap(1);
    }
    call_free(call);
    CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
    CHECK(rmdir(root) == 0 && mkdir(root, 0700) == 0);
}

static void
who_prints_more_than_a_file_may_have_dies_of_that(void)
{
    sphttp_call *call = open_call(2, 1, 0);
    feed_shell(call, "ulimit -f 0; exec cat /proc/self/status");
    sphttp_result result = run_one(call);
    CHECK(result.fate == SPHTTP_DIED);
    CHECK(WIFSIGNALED(result.wait_status) &&
          WTERMSIG(result.wait_status) == SIGXFSZ);
    finish(call);
}

int
main(void)
{
    static const struct test tests[] = {
        TEST(what_a_command_prints_is_kept),
        TEST(how_it_ended_is_told),
        TEST(what_cannot_be_executed_says_why),
        TEST(a_script_that_names_no_interpreter_is_the_shells),
        TEST(words_that_are_too_long_or_none_are_refused),
        TEST(many_words_arrive),
        TEST(a_command_inherits_nothing_but_its_streams),
        TEST(who_is_late_prints_into_nobody_elses_output),
        TEST(more_run_at_once_than_have_files_that_stay_open),
        TEST(few_descriptors_cost_no_item),
        TEST(output_that_is_gone_is_told),
        TEST(who_loses_an_empty_file_takes_nothing_from_the_next),
        TEST(output_that_fills_its_limit_is_told),
        TEST(what_is_done_has_its_output),
        TEST(another_attempt_begins_with_an_empty_output),
        TEST(what_was_printed_before_a_timeout_is_kept),
        TEST(a_deadline_keeps_what_was_printed_too),
        TEST(a_failure_stops_the_rest),
        TEST(a_lost_nursery_costs_what_ran_and_no_more),
        TEST(a_call_that_is_given_up_leaves_nothing),
        TEST(who_prints_more_than_a_file_may_have_dies_of_that),
    };
    CHECK(mkdtemp(root) != NULL);
    run_tests(tests, sizeof(tests) / sizeof(*tests));
    CHECK(rmdir(root) == 0);
    return 0;
}
