/* The GIL, and the interpreter's at-fork hooks round fork. Every function here is entered with the GIL held: see
 * build_ext.py. Source of the order: os_fork_impl in CPython's posixmodule.c. */
#include "py_fork.h"

#include <errno.h>
#include <unistd.h>

#include "base/cdef.h"
#include "child/hand.h"
#include "child/item.h"
#include "digest/file.h"
#include "host/call.h"
#include "host/farewell.h"
#include "host/host.h"
#include "host/open.h"
#include "host/result.h"
#include "host/small.h"
#include "host/wake.h"

/* Below this many bytes giving the GIL up costs more than it frees; hashlib
 * draws the line here too. */
enum { LONG_MESSAGE = 2048 };

/* A child that waits looks for signals so often: one that another thread received,
 * or that came in the last moment before it slept, does not wake it. */
#define LOOK_EVERY_NS (SECOND / 10)

/* A kept child may be idle for hours: after the first second less often. */
#define LOOK_LATER_NS SECOND
enum { LOOKS_MOST = 10 };

/* After so many bytes of a file, some 50 ms, Python may handle its signals; and where
 * files are small, after so long. */
enum { SIGNALS_EVERY = 128 << 20 };
#define SIGNALS_EVERY_NS (SECOND / 20)

/* Only the main interpreter may fork: the hooks know no other, and the child
 * of another hangs or dies. */
static bool
may_fork(void)
{
    return PyInterpreterState_GetID(PyInterpreterState_Get()) == 0;
}

int
py_fork(void)
{
    if (!may_fork()) {
        return SPHTTP_NOT_MAIN;
    }
    PyOS_BeforeFork();
    pid_t pid = fork();
    int err = -errno;
    if (pid == 0) {
        PyOS_AfterFork_Child();
        return 0;
    }
    PyOS_AfterFork_Parent();
    return pid > 0 ? pid : err;
}

PyObject *
take_exception(void)
{
    PyObject *type, *error, *frames;
    PyErr_Fetch(&type, &error, &frames);
    PyErr_NormalizeException(&type, &error, &frames);
    if (frames != NULL && error != NULL) {
        (void)PyException_SetTraceback(error, frames);
    }
    Py_XDECREF(type);
    Py_XDECREF(frames);
    return error;
}

/* --- Signals -------------------------------------------------------------------- */

static PyObject *set_wakeup_fd; /* of the module signal */

/* Call signal.set_wakeup_fd: from C, so that no signal handler can raise before its
 * result is kept. Returns the descriptor that was set before. -2: nothing was changed,
 * because this is not Python's main thread, or the file was refused. */
static int
exchange_wakeup(int fd, bool warn)
{
    PyObject *given = Py_BuildValue("(i)", fd);
    PyObject *how = Py_BuildValue("{s:i}", "warn_on_full_buffer", (int)warn);
    PyObject *found = given == NULL || how == NULL
                          ? NULL
                          : PyObject_Call(set_wakeup_fd, given, how);
    int before = found != NULL ? (int)PyLong_AsLong(found) : -2;
    PyErr_Clear();
    Py_XDECREF(found);
    Py_XDECREF(how);
    Py_XDECREF(given);
    return before;
}

/* Code of the host's may have chosen another since. Did the host have its own? */
static bool
watch_on(struct sphttp_call *call)
{
    bool rested = call->host->rested;
    int ours = call->host->watching;
    int found = call->host->wake[1] >= 0 ? exchange_wakeup(ours, false) : -2;
    if (found != -2 && found != ours) {
        (void)held_set(&call->host->forward, found);
    }
    call->host->rested = false;
    return rested;
}

/* Set the host's own again, or the one that it has chosen since. As exchange_wakeup. */
static int
hand_back(struct sphttp_call *call)
{
    int next = held_still(&call->host->forward) ? call->host->forward.fd : -1;
    int found = exchange_wakeup(next, true);
    found = found != -2 ? found : exchange_wakeup(-1, true); /* it may block now */
    if (found != -2 && found != call->host->watching) {
        (void)exchange_wakeup(found, true);
    }
    return found;
}

/* The host of a fed call goes on in a loop of its own between two steps. */
static void
rest(struct sphttp_call *call)
{
    if (call->plan.fed && call->host->watching >= 0 && !call->host->rested) {
        (void)hand_back(call);
        (void)forward_signals(call);
        call->host->rested = true;
    }
}

int
py_call_watch(sphttp_call *call)
{
    if (set_wakeup_fd == NULL) {
        PyObject *module = PyImport_ImportModule("_signal");
        if (module != NULL) {
            set_wakeup_fd = PyObject_GetAttrString(module, "set_wakeup_fd");
            Py_DECREF(module);
        }
        PyErr_Clear();
    }
    int err = set_wakeup_fd == NULL ? -ENOMEM : wake_open(call);
    if (err != 0) {
        return err;
    }
    int found = exchange_wakeup(call->host->wake[1], false);
    if (found == -2) {
        wake_close(call);
        return 0;
    }
    call->host->watching = call->host->wake[1];
    (void)held_set(&call->host->forward, found);
    rest(call);
    return 0;
}

static void
unwatch(struct sphttp_call *call)
{
    if (call->host->watching < 0) {
        return;
    }
    if (!call->host->rested && hand_back(call) == -2) {
        /* This is another thread, which happened to drop the last reference. To
         * leave it open is better than that signals are written to another file. */
        call->host->wake[0] = call->host->wake[1] = -1;
    }
    call->host->watching = -1;
    wake_close(call);
}

/* What a handler has raised while this child waited for an item. */
static PyObject *raised_idle;

/* A child that waits lets its other threads run, and handles signals. */
static bool
py_await_turn(struct page *page, uint32_t turn)
{
    bool woken = false;
    for (int looks = 0; !woken; looks++) {
        if (PyErr_CheckSignals() != 0) {
            raised_idle = take_exception();
            return false;
        }
        PyThreadState *thread = PyEval_SaveThread();
        woken = page_sleep(page, turn,
                           looks < LOOKS_MOST ? LOOK_EVERY_NS : LOOK_LATER_NS);
        PyEval_RestoreThread(thread);
    }
    return true;
}

void
py_child_raised(uintptr_t box)
{
    (void)PyList_SetItem((PyObject *)box, 1, raised_idle);
    raised_idle = NULL;
}

/* --- A call --------------------------------------------------------------------- */

sphttp_call *
py_call_open(uint32_t count, uint32_t alive, int how, const char *root,
             int *error)
{
    sphttp_call *call = NULL;
    *error = may_fork() ? sphttp_call_open(count, alive, how, root, &call)
                        : SPHTTP_NOT_MAIN;
    return call;
}

sphttp_call *
py_nest_open(sphttp_call *mould, int *error)
{
    sphttp_call *nest = NULL;
    *error = may_fork() ? call_open_nest(mould, &nest) : SPHTTP_NOT_MAIN;
    return nest;
}

int64_t
py_child_first(sphttp_call *call)
{
    return hand_take_first(call);
}

static sphttp_event
start(struct sphttp_call *call)
{
    if (!may_fork()) {
        return (sphttp_event){.kind = SPHTTP_ELSEWHERE};
    }
    if (call->plan.owner != getpid()) {
        call->host->doing = "going on with the call of another process";
        return event_of(-ECHILD);
    }
    if (call->host->nest) { /* it is not forked from here */
        return call_fork(call);
    }
    /* The hooks stay outside the region where call_fork blocks signals: a
     * thread that one of them starts would inherit the mask. */
    PyOS_BeforeFork();
    sphttp_event event = call_fork(call);
    if (event.kind == SPHTTP_CHILD) {
        PyOS_AfterFork_Child();
        call->child.await_turn = py_await_turn;
    }
    else {
        PyOS_AfterFork_Parent();
    }
    return event;
}

int
py_call_start(sphttp_call *call, sphttp_event *event)
{
    *event = start(call);
    return event->kind;
}

/* The first of the wait for a round, with the GIL held: to give it up costs a host of
 * busy threads 5 ms for each of them. False: the round goes on. */
static bool
run_held(struct sphttp_call *call, sphttp_event *event)
{
    struct round *round = &call->host->round;
    if (call->host->in_loop || !round->on || !round->patient ||
        round->held_ns <= 0 || call_is_to_fork(call) ||
        (call->host->asked && sphttp_nest_ready(call) == 0)) {
        return false;
    }
    int64_t begun = now_ns();
    call->host->give_up_ns = begun + round->held_ns;
    *event = call_finish(call);
    call->host->give_up_ns = 0;
    round->held_ns -= now_ns() - begun;
    return event->kind != SPHTTP_STARTED && event->kind != SPHTTP_FORK_AGAIN;
}

/* A kept call is driven by many a thread: the first that must wait, and handles signals,
 * has it watched. 0 or -errno. */
static int
watch_kept(struct sphttp_call *call)
{
    struct host *host = call->host;
    if (!call->plan.kept || host->in_loop || host->wake[0] >= 0 ||
        (host->unwatched && pthread_equal(host->unwatched_by, pthread_self()))) {
        return 0;
    }
    int err = py_call_watch(call);
    host->unwatched = host->wake[0] < 0;
    host->unwatched_by = pthread_self();
    return err;
}

int
py_call_run(sphttp_call *call, sphttp_event *event)
{
    if (run_held(call, event)) {
        return event->kind;
    }
    int err = watch_kept(call);
    if (err != 0) {
        *event = event_of(err);
        return event->kind;
    }
    bool heard = call->host->rested && sphttp_call_ready(call) != 0;
    if (!call->host->in_loop && !heard && watch_on(call)) {
        return event->kind = SPHTTP_SIGNALS; /* that came in the last moment before */
    }
    do {
        if (call_is_to_fork(call)) {
            *event = start(call);
            if (event->kind != SPHTTP_STARTED) {
                break;
            }
        }
        PyThreadState *thread = PyEval_SaveThread();
        *event = call_finish(call);
        PyEval_RestoreThread(thread);
    } while (event->kind == SPHTTP_FORK_AGAIN);
    if (event->kind != SPHTTP_CHILD && event->kind != SPHTTP_SIGNALS) {
        rest(call);
    }
    return event->kind;
}

int
py_call_abort(sphttp_call *call)
{
    PyThreadState *thread = PyEval_SaveThread();
    int err = sphttp_call_abort(call);
    PyEval_RestoreThread(thread);
    return err;
}

void
py_call_close(sphttp_call *call)
{
    unwatch(call);
    if (!call_lingers(call)) {
        call_close(call); /* the GIL is not given away for nothing */
        return;
    }
    PyThreadState *thread = PyEval_SaveThread();
    call_close(call);
    PyEval_RestoreThread(thread);
}

void
py_call_free(sphttp_call *call)
{
    if (call != NULL) {
        py_call_close(call);
        call_free(call);
    }
}

/* --- HMAC ------------------------------------------------------------------------ */

int
py_hmac_sha256_hex(const char *key, size_t key_size, const char *message,
                   size_t message_size, char *hex)
{
    if (message_size < LONG_MESSAGE && key_size < LONG_MESSAGE) {
        return sphttp_hmac_sha256_hex(key, key_size, message, message_size,
                                      hex);
    }
    PyThreadState *thread = PyEval_SaveThread();
    int err = sphttp_hmac_sha256_hex(key, key_size, message, message_size,
                                     hex);
    PyEval_RestoreThread(thread);
    return err;
}

int
py_hmac_sha256_file_hex(sphttp_file **file, const char *key, size_t key_size,
                        const char *path, char *hex)
{
    PyThreadState *thread = PyEval_SaveThread();
    int err = file_go_on(file, key, key_size, path, SIGNALS_EVERY, hex);
    PyEval_RestoreThread(thread);
    return err;
}

/* --- A few files ------------------------------------------------------------------- */

sphttp_small *
py_small_open(const char *paths, size_t size, uint32_t count, const char *key,
              size_t key_size, const char *kernel, uint64_t most, int stop,
              int *error)
{
    sphttp_small *small = NULL;
    /* Elsewhere more files would be refused: then few are, too. */
    *error = may_fork() ? small_open(paths, size, count, key, key_size, kernel,
                                     most, stop != 0, &small)
                        : SPHTTP_NOT_MAIN;
    return small;
}

int
py_small_run(sphttp_small *small)
{
    PyThreadState *thread = PyEval_SaveThread();
    int err = small_go_on(small, now_ns() + SIGNALS_EVERY_NS);
    PyEval_RestoreThread(thread);
    return err;
}
