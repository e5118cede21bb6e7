/* The one file that knows Python.h: the GIL, and the interpreter's at-fork
 * hooks round fork. Every function here is entered with the GIL held: see
 * build_ext.py. Source of the order: os_fork_impl in CPython's posixmodule.c. */
#include <Python.h>

#include <errno.h>
#include <unistd.h>

#include "base/cdef.h"
#include "child/item.h"
#include "digest/file.h"
#include "host/call.h"
#include "host/farewell.h"
#include "host/host.h"
#include "host/open.h"
#include "host/result.h"
#include "host/wake.h"

/* Below this many bytes giving the GIL up costs more than it frees; hashlib
 * draws the line here too. */
enum { LONG_MESSAGE = 2048 };

/* A child that waits looks for signals so often: one that another thread received,
 * or that came in the last moment before it slept, does not wake it. */
#define NAP_NS (SECOND / 10)

/* After so many bytes of a file, some 50 ms, Python may handle its signals. */
enum { SIGNALS_EVERY = 128 << 20 };

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

/* The exception that is raised, which then is no more, as an object. */
static PyObject *
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
    if (hand_back(call) == -2) {
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
    while (!woken) {
        if (PyErr_CheckSignals() != 0) {
            raised_idle = take_exception();
            return false;
        }
        PyThreadState *thread = PyEval_SaveThread();
        woken = page_sleep(page, turn, NAP_NS);
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

int
py_call_open(uint32_t count, uint32_t alive, int how, const char *root,
             sphttp_call **call)
{
    return may_fork() ? sphttp_call_open(count, alive, how, root, call)
                      : SPHTTP_NOT_MAIN;
}

int
py_call_feed(sphttp_call *call, uintptr_t item)
{
    PyObject *given = (PyObject *)item, *bytes = NULL;
    bool pickled = PyBytes_Check(given);
    const char *at = NULL;
    Py_ssize_t size = 0;
    if (!pickled) {
        at = PyUnicode_AsUTF8AndSize(given, &size);
    }
    if (at == NULL) { /* or it has lone surrogates */
        PyErr_Clear();
        bytes = pickled ? Py_NewRef(given)
                        : PyUnicode_AsEncodedString(given, "utf-8",
                                                    "surrogatepass");
        char *found = NULL;
        if (bytes == NULL ||
            PyBytes_AsStringAndSize(bytes, &found, &size) != 0) {
            PyErr_Clear();
            Py_XDECREF(bytes);
            return -ENOMEM;
        }
        at = found;
    }
    int64_t cell = feed_put(call, at, (size_t)size, pickled);
    Py_XDECREF(bytes);
    return (int)cell;
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
    call->host->in_loop = true;
    *event = start(call);
    return event->kind;
}

int
py_call_run(sphttp_call *call, sphttp_event *event)
{
    bool heard = call->host->rested && sphttp_call_ready(call) != 0;
    if (!heard && watch_on(call)) {
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

/* --- Results --------------------------------------------------------------------- */

enum { ONE_TEXT = 1 << 10 }; /* of work, in bytes that could be decoded meanwhile */

int64_t
py_call_texts(sphttp_call *call, uintptr_t list)
{
    struct host *host = call->host;
    struct fresh *fresh = call->plan.fed ? host->fresh : NULL;
    uint32_t end = fresh != NULL ? host->fresh_to : call->plan.count;
    host->texts = fresh != NULL ? host->fresh_from : host->texts;
    turn_begin(call);
    for (; host->texts < end; host->texts++) {
        uint32_t i = fresh != NULL ? fresh[host->texts].index : host->texts;
        sphttp_result result;
        sphttp_call_result(call, i, &result);
        PyObject *text = NULL;
        if (result.fate == SPHTTP_RETURNED) {
            text = PyUnicode_DecodeUTF8(result.payload,
                                        (Py_ssize_t)result.size,
                                        "surrogatepass");
        }
        if (text != NULL &&
            PyList_SetItem((PyObject *)list, (Py_ssize_t)i, text) == 0) {
            if (payload_of(call, i)->record != NULL) {
                sphttp_call_drop(call, i);
            }
        }
        else {
            /* Whoever asks for this one by itself meets the error again. */
            PyErr_Clear();
            host->texts_left += result.fate != SPHTTP_DISCARDED;
        }
        if (fresh == NULL && turn_over(call, ONE_TEXT + result.size)) {
            host->texts++;
            return -1;
        }
    }
    return host->texts_left;
}

int64_t
py_child_commit_text(sphttp_call *call, uint32_t index, uintptr_t text)
{
    Py_ssize_t size;
    const char *utf8 = PyUnicode_AsUTF8AndSize((PyObject *)text, &size);
    if (utf8 == NULL) {
        PyErr_Clear();
        return SPHTTP_NO_UTF8;
    }
    return sphttp_child_commit(call, index, SPHTTP_RETURNED, utf8,
                               (size_t)size);
}

/* What the interpreter does between two functions of Python, for functions that
 * are none: handle signals, and now and then let other threads run. False: a
 * handler has raised. */
static bool
pause_between_items(unsigned int done)
{
    if (done % 64 == 63) {
        PyEval_RestoreThread(PyEval_SaveThread());
    }
    return PyErr_CheckSignals() == 0;
}

/* What was fed into this cell, as a str, or with `*pickled` as bytes. NULL: an
 * exception is raised. */
static PyObject *
fed_item(struct sphttp_call *call, uint32_t cell, int *pickled)
{
    const char *at;
    size_t size;
    *pickled = item_find(call, cell, &at, &size);
    if (*pickled < 0) {
        errno = -*pickled;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    Py_ssize_t length = (Py_ssize_t)size;
    return *pickled ? PyBytes_FromStringAndSize(at, length)
                    : PyUnicode_DecodeUTF8(at, length, "surrogatepass");
}

int
py_child_item(sphttp_call *call, uint32_t cell, uintptr_t box)
{
    int pickled;
    PyObject *item = fed_item(call, cell, &pickled);
    if (item == NULL) {
        PyErr_Clear();
        return pickled < 0 ? pickled : -ENOMEM;
    }
    (void)PyList_SetItem((PyObject *)box, 0, item);
    return pickled;
}

/* Item `index`, for its child to process. NULL: an exception is raised. */
static PyObject *
item_of(struct sphttp_call *call, uint32_t index, uintptr_t items,
        uintptr_t loads)
{
    if (loads == 0) {
        PyObject *item = PyList_GetItem((PyObject *)items, (Py_ssize_t)index);
        Py_XINCREF(item);
        return item;
    }
    int pickled;
    PyObject *item = fed_item(call, index, &pickled);
    if (item != NULL && pickled) {
        PyObject *bytes = item;
        item = PyObject_CallFunctionObjArgs((PyObject *)loads, bytes, NULL);
        Py_DECREF(bytes);
    }
    return item;
}

int64_t
py_child_work(sphttp_call *call, uint32_t index, uintptr_t process,
              uintptr_t items, uintptr_t loads, int discard, uintptr_t box)
{
    int64_t next = index;
    for (unsigned int done = 0; next >= 0; done++) {
        PyObject *item = item_of(call, (uint32_t)next, items, loads);
        PyObject *result = NULL;
        if (item != NULL && pause_between_items(done)) {
            result = PyObject_CallFunctionObjArgs((PyObject *)process, item,
                                                  NULL);
        }
        Py_XDECREF(item);
        int64_t after = SPHTTP_NO_UTF8;
        if (result != NULL && discard) {
            after = sphttp_child_commit(call, (uint32_t)next,
                                        SPHTTP_DISCARDED, "", 0);
        }
        else if (result != NULL && PyUnicode_Check(result)) {
            after = py_child_commit_text(call, (uint32_t)next,
                                         (uintptr_t)result);
        }
        if (after == SPHTTP_NO_UTF8) {
            Py_ssize_t place = result != NULL ? 0 : 1;
            (void)PyList_SetItem((PyObject *)box, place,
                                 result != NULL ? result : take_exception());
            return next;
        }
        Py_DECREF(result);
        next = after;
    }
    return next;
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
