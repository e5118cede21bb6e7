/* Items and results as Python's objects: what goes into a call, what a child does with
 * it, and what comes out. Every function here is entered with the GIL held. */
#include "py_fork.h"

#include <errno.h>

#include "base/cdef.h"
#include "child/item.h"
#include "host/feed.h"
#include "host/host.h"
#include "host/news.h"
#include "host/pool.h"
#include "host/result.h"
#include "host/wake.h"

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

/* --- Items that are fed ------------------------------------------------------------- */

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

/* Note in the lists which item is in a cell. False: an exception is raised. */
static bool
note_item(uint32_t cell, PyObject *item, uint64_t number, uintptr_t items,
          uintptr_t numbers)
{
    PyObject *said = PyLong_FromUnsignedLongLong(number);
    return said != NULL &&
           PyList_SetItem((PyObject *)items, cell, Py_NewRef(item)) == 0 &&
           PyList_SetItem((PyObject *)numbers, cell, said) == 0;
}

/* A quick source is asked for so long while there are results: more come at once then.
 * If it blocks, they wait for one of its items, as ever. */
#define MOMENT_NS (SECOND / 10000)

/* So many items of a list are fed before children are told of them: at first, and at
 * most. To tell them takes longer than to feed an item. */
enum { FEW = 4, MANY = 64 };

static int64_t
pull(sphttp_call *call, uintptr_t source, uint64_t number,
             uint32_t most, uintptr_t items, uintptr_t numbers,
             uintptr_t box)
{
    int64_t fed = 0, told = FEW, until = now_ns() + MOMENT_NS;
    while (fed < most && (!sphttp_call_ready(call) || now_ns() < until) &&
           page_stopped(call) == 0 && pause_between_items((unsigned int)fed)) {
        PyObject *item = PyIter_Next((PyObject *)source);
        if (item == NULL && PyErr_Occurred() == NULL) {
            return fed << 2 | SPHTTP_EXHAUSTED;
        }
        int cell = -EAGAIN;
        if (item != NULL && PyUnicode_CheckExact(item)) {
            cell = py_call_feed(call, (uintptr_t)item);
        }
        if (item != NULL && cell < 0) {
            (void)PyList_SetItem((PyObject *)box, 0, item);
            return fed << 2 | SPHTTP_UNFED;
        }
        bool noted = item != NULL &&
                     note_item((uint32_t)cell, item, number + (uint64_t)fed,
                               items, numbers);
        Py_XDECREF(item);
        if (!noted) {
            break;
        }
        if (++fed == told) {
            feed_tell(call);
            told += told < MANY ? told : MANY;
        }
    }
    if (PyErr_Occurred() == NULL) {
        return fed << 2;
    }
    (void)PyList_SetItem((PyObject *)box, 1, take_exception());
    return fed << 2 | SPHTTP_PULL_RAISED;
}

int64_t
py_call_pull(sphttp_call *call, uintptr_t source, uint64_t number,
             uint32_t most, uintptr_t items, uintptr_t numbers,
             uintptr_t box)
{
    /* Any other source may take its time for the next item. */
    call->host->feed.many = Py_TYPE((PyObject *)source) == &PyListIter_Type;
    int64_t fed = pull(call, source, number, most, items, numbers, box);
    call->host->feed.many = false;
    feed_tell(call);
    return fed;
}

/* --- Results ----------------------------------------------------------------------- */

enum { ONE_TEXT = 1 << 10 }; /* of work, in bytes that could be decoded meanwhile */
enum { ONE_PIECE = 1 << 20 }; /* bytes of a large text */

/* So much of a piece are whole characters; there is more of the text behind it. */
static size_t
whole_characters(const char *piece, size_t size)
{
    size_t end = size - 1;
    while (end > 0 && ((unsigned char)piece[end] & 0xC0) == 0x80) {
        end--;
    }
    return end > 0 ? end : size;
}

/* A loop must not stand still for as long as a large text takes: append the next piece of
 * it to what stands in `list`. NULL: an exception may be raised. */
static PyObject *
decode_piece(struct sphttp_call *call, PyObject *list, uint32_t i,
             const sphttp_result *result)
{
    struct payload *payload = payload_of(call, i);
    uint64_t from = call->host->text_from, left = result->size - from;
    size_t size = left < ONE_PIECE ? (size_t)left : ONE_PIECE;
    const char *bytes = pool_piece(call, payload, from, size);
    call->host->text_from = 0;
    if (bytes == NULL) {
        return NULL;
    }
    size = size < left ? whole_characters(bytes, size) : size;
    PyObject *text = NULL;
    PyObject *piece = PyUnicode_DecodeUTF8(bytes, (Py_ssize_t)size,
                                           "surrogatepass");
    if (from == 0) {
        text = piece;
    }
    else {
        text = Py_XNewRef(PyList_GetItem(list, (Py_ssize_t)i));
        /* It grows in place where nobody else has it. */
        (void)PyList_SetItem(list, (Py_ssize_t)i, Py_NewRef(Py_None));
        PyUnicode_AppendAndDel(&text, piece);
    }
    if (text != NULL) {
        call->host->text_from = size < left ? from + size : 0;
        payload_spend(payload, from + size);
    }
    return text;
}

/* Is it decoded piece by piece? */
static bool
in_pieces(const struct sphttp_call *call, const sphttp_result *result)
{
    return result->fate == SPHTTP_RETURNED && call->host->in_loop &&
           result->size > 2 * ONE_PIECE &&
           (result->payload == NULL || call->plan.fed || !call->plan.pool ||
            call->host->pool_mapping != NULL);
}

/* Fed: decode one that has been copied, if it is large. False: there is more of it. */
static bool
decode_copied(struct sphttp_call *call, PyObject *list, uint32_t i)
{
    struct payload *payload = payload_of(call, i);
    sphttp_result found = {
        .fate = payload->fate,
        .payload = payload->text,
        .size = payload->size,
    };
    while (in_pieces(call, &found) && !payload->made) {
        PyObject *text = decode_piece(call, list, i, &found);
        if (text == NULL ||
            PyList_SetItem(list, (Py_ssize_t)i, text) != 0) {
            PyErr_Clear();
            sphttp_call_drop(call, i); /* some of it is no more */
            payload->fate = SPHTTP_TAMPERED;
            payload->error = EBADMSG;
            return true;
        }
        if (call->host->text_from == 0) {
            sphttp_call_drop(call, i);
            payload->made = true;
        }
        if (turn_over(call, ONE_PIECE)) {
            return payload->made;
        }
    }
    return true;
}

int
py_call_decode(sphttp_call *call, uintptr_t list)
{
    const struct host *host = call->host;
    turn_begin(call);
    for (uint32_t i = host->fresh_from; call->plan.fed && i < host->fresh_to;
         i++) {
        if (!decode_copied(call, (PyObject *)list, host->fresh[i].index)) {
            return 1;
        }
    }
    return 0;
}

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
        if (payload_of(call, i)->made) {
            continue;
        }
        if (in_pieces(call, &result)) {
            text = decode_piece(call, (PyObject *)list, i, &result);
        }
        else if (result.fate == SPHTTP_RETURNED) {
            text = PyUnicode_DecodeUTF8(result.payload,
                                        (Py_ssize_t)result.size,
                                        "surrogatepass");
        }
        if (text != NULL &&
            PyList_SetItem((PyObject *)list, (Py_ssize_t)i, text) == 0) {
            if (host->text_from != 0) { /* there is more of it */
                if (turn_over(call, ONE_PIECE)) {
                    return -1;
                }
                host->texts--;
                continue;
            }
            if (payload_of(call, i)->record != NULL) {
                sphttp_call_drop(call, i);
            }
        }
        else {
            /* Whoever asks for this one by itself meets the error again. */
            PyErr_Clear();
            host->texts_left += result.fate != SPHTTP_DISCARDED;
        }
        if ((fresh == NULL || host->in_loop) &&
            turn_over(call, ONE_TEXT + result.size)) {
            if (fresh != NULL) {
                return 0; /* whoever asks for another decodes that */
            }
            host->texts++;
            return -1;
        }
    }
    return host->texts_left;
}

/* NULL: an exception is raised. */
static PyObject *
text_of(const struct payload *payload, PyObject *texts, uint32_t cell)
{
    if (payload->fate == SPHTTP_DISCARDED) {
        return Py_NewRef(Py_None);
    }
    if (!payload->made) {
        return PyUnicode_DecodeUTF8(payload->text, (Py_ssize_t)payload->size,
                                    "surrogatepass");
    }
    PyObject *text = Py_XNewRef(PyList_GetItem(texts, (Py_ssize_t)cell));
    (void)PyList_SetItem(texts, (Py_ssize_t)cell, Py_NewRef(Py_None));
    return text;
}

uint32_t
py_call_take(sphttp_call *call, uint64_t number, uintptr_t list,
             uintptr_t items, uintptr_t numbers, uintptr_t texts)
{
    uint32_t taken = 0;
    number += call->host->round.from;
    turn_begin(call);
    for (;; taken++, number++) {
        uint32_t cell = feed_cell(call, number);
        const struct payload *payload = payload_of(call, cell);
        if (page_number(call, cell) != number ||
            (payload->fate != SPHTTP_RETURNED &&
             payload->fate != SPHTTP_DISCARDED)) {
            return taken;
        }
        PyObject *text = text_of(payload, (PyObject *)texts, cell);
        if (text == NULL || PyList_Append((PyObject *)list, text) != 0) {
            PyErr_Clear(); /* whoever asks for it by itself meets that again */
            Py_XDECREF(text);
            return taken;
        }
        uint64_t size = ONE_TEXT + payload->size;
        Py_DECREF(text);
        (void)PyList_SetItem((PyObject *)items, cell, Py_NewRef(Py_None));
        (void)PyList_SetItem((PyObject *)numbers, cell, PyLong_FromLong(-1));
        sphttp_call_release(call, cell);
        if (call->host->in_loop && turn_over(call, size)) {
            return taken + 1;
        }
    }
}

/* --- A child's items ---------------------------------------------------------------- */

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
        bool drop = discard == 1 || (discard != 0 && sphttp_child_discards(call));
        if (result != NULL && drop) {
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

