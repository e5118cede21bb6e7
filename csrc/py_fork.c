/* The one file that knows Python.h: the GIL, and the interpreter's at-fork
 * hooks round fork. Every function here is entered with the GIL held: see
 * build_ext.py. Source of the order: os_fork_impl in CPython's posixmodule.c. */
#include <Python.h>

#include "internal.h"

#include <errno.h>
#include <unistd.h>

/* Below this many bytes giving the GIL up costs more than it frees; hashlib
 * draws the line here too. */
enum { LONG_MESSAGE = 2048 };

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

/* --- A call --------------------------------------------------------------------- */

/* A child that waits lets its other threads run. */
static void
py_await_mark(struct page *page, uint32_t mark)
{
    PyThreadState *thread = PyEval_SaveThread();
    page_await_mark(page, mark);
    PyEval_RestoreThread(thread);
}

sphttp_event
py_call_start(sphttp_call *call)
{
    if (!may_fork()) {
        return (sphttp_event){.kind = SPHTTP_ELSEWHERE};
    }
    if (call->owner != getpid()) {
        call->doing = "going on with the call of another process";
        return event_of(-ECHILD);
    }
    /* The hooks stay outside the region where call_fork blocks signals: a
     * thread that one of them starts would inherit the mask. */
    PyOS_BeforeFork();
    sphttp_event event = call_fork(call);
    if (event.kind == SPHTTP_CHILD) {
        PyOS_AfterFork_Child();
        call->await_mark = py_await_mark;
    }
    else {
        PyOS_AfterFork_Parent();
    }
    return event;
}

sphttp_event
py_call_run(sphttp_call *call)
{
    for (;;) {
        if (!call->ended && call->nursery == 0) {
            sphttp_event event = py_call_start(call);
            if (event.kind != SPHTTP_STARTED) {
                return event;
            }
        }
        PyThreadState *thread = PyEval_SaveThread();
        sphttp_event event = call_finish(call);
        PyEval_RestoreThread(thread);
        if (event.kind != SPHTTP_FORK_AGAIN) {
            return event;
        }
    }
}

void
py_call_close(sphttp_call *call)
{
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

uint32_t
py_call_texts(sphttp_call *call, uintptr_t list)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < call->count; i++) {
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
            left += result.fate != SPHTTP_DISCARDED;
        }
    }
    return left;
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

int64_t
py_child_work(sphttp_call *call, uint32_t index, uintptr_t process,
              uintptr_t items, int discard, uintptr_t box)
{
    int64_t next = index;
    for (unsigned int done = 0; next >= 0; done++) {
        PyObject *item = PyList_GetItem((PyObject *)items, (Py_ssize_t)next);
        PyObject *result = NULL;
        if (item != NULL && pause_between_items(done)) {
            result = PyObject_CallFunctionObjArgs((PyObject *)process, item,
                                                  NULL);
        }
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
    int err = file_go_on(file, key, key_size, path,
                         in_main_thread() ? SIGNALS_EVERY
                                              : UINT64_MAX / 2,
                         hex);
    PyEval_RestoreThread(thread);
    return err;
}
