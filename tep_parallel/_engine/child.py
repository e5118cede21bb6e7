"""What a child does with its items, from the fork to its end.

A child pays 2 to 3 us for each page that it is the first to touch, and that is most of
what it costs: so there are few functions here, and what can be found out before the fork
is found out there.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from io import TextIOWrapper
from os import getpid
from signal import set_wakeup_fd
from typing import Any, NoReturn

from tep_parallel._control import Break, Kill
from tep_parallel._engine import counting, ending, streams
from tep_parallel._engine.call import (
    commit,
    commit_text,
    fail_call,
    leave,
    raised_idle,
    setup_done,
    slot,
    work,
)
from tep_parallel._engine.codec import Codec, encoded
from tep_parallel._engine.native import lib
from tep_parallel._engine.travel import raised
from tep_parallel._worker import Process, SetupAndTeardown

_RETURNED = lib.SPHTTP_RETURNED
_NO_UTF8 = lib.SPHTTP_NO_UTF8
_RAISED_IDLE = lib.SPHTTP_RAISED_IDLE
_ENCODED = lib.SPHTTP_ENCODED
_ENCODED_TEXT = lib.SPHTTP_ENCODED_TEXT
_DISCARDED = lib.SPHTTP_DISCARDED
_NOT_TEXT = lib.SPHTTP_NOT_TEXT
_RAISED = lib.SPHTTP_RAISED
_RAISED_AS = lib.SPHTTP_RAISED_AS
_BREAK = lib.SPHTTP_BREAK
_KILL = lib.SPHTTP_KILL

# Their handlers survive the fork where they are a C library's (faulthandler), not Python's.
_FAULTS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT)

_before_last = ending.before_last
_after_failure = ending.after_failure

Prepared = tuple[TextIOWrapper | None, list[Callable[[], object]]]


def prepare(handle: object, *, watched: bool) -> Prepared:
    """In the host, before the fork: what makes each child a process of its own.

    Args:
        handle: That of the call.
        watched: Whether the host runs code of the caller's between this and a fork.

    What needs no Python the nursery does. Returns the standard input that each child gets
    (None: its own is left alone), and what else it has to call.
    """
    streams.prepare_writers(handle, renew=watched)
    steps: list[Callable[[], object]] = []
    for number in _FAULTS:
        if callable(signal.getsignal(number)):
            steps.append(partial(signal.signal, number, signal.SIG_DFL))
    if "gevent" in sys.modules:
        from tep_parallel._engine import gevent

        steps.append(gevent.destroy_hub)
    if "numpy.random" in sys.modules:
        steps.append(sys.modules["numpy.random"].seed)  # `random` has a hook, this has none
    if "multiprocessing.util" in sys.modules:
        from tep_parallel._engine import multiprocessing

        host = os.getpid()
        steps.append(lambda: multiprocessing.enter(host, slot(handle)))
    return streams.prepare_stdin(), steps


def serve(
    handle: object,
    event: Any,
    process: Process,
    items: list[Any],
    prepared: Prepared,
    ends: SetupAndTeardown,
    pool: bool,  # noqa: FBT001  # keywords would cost each child their tuple's page
    discard: bool,  # noqa: FBT001
    codec: Codec[Any] | None,
    rebuild: bool,  # noqa: FBT001
) -> NoReturn:
    """Process this child's items and end this process, whatever happens.

    Args:
        handle: That of the call that forked this child.
        event: What it was forked for, with its first item's index.
        process: The worker's function.
        items: The call's.
        prepared: What prepare returned.
        ends: The worker's setup and teardown.
        pool: Whether more items may follow the first.
        discard: Nobody wants to know what `process` returns.
        codec: What the caller wants it to travel as; None: it is text.
        rebuild: Whether an exception may travel as a pickle.
    """
    setup, teardown = ends
    try:
        try:
            set_wakeup_fd(-1)  # the host's, or the call's
            counting.forked_by = handle
            stdin, steps = prepared
            if stdin is not None:
                sys.stdin = stdin
            if steps:
                for step in steps:
                    step()
            if pool:
                gc.freeze()  # what is inherited is not looked through, and so not copied
            if setup is not None:
                setup()
                setup_done(handle)
        except SystemExit as end:
            _fail_by_exit(handle, b"setup", end)
        except BaseException as error:  # noqa: BLE001  # it travels to the caller
            _fail(handle, error, rebuild=rebuild)
        index = event.index
        box: list[Any] = [None, None]
        while index >= 0:
            try:
                if pool and codec is None:
                    # The same in C, until there is more to do than to commit a text.
                    index = work(handle, index, id(process), id(items), discard, id(box))
                    if index < 0:
                        break
                    result, raised = box
                    box[:] = None, None
                    if raised is not None:
                        raise raised
                else:
                    result = process(items[index])
                if discard:
                    status, payload = _DISCARDED, b""
                elif codec is not None:
                    payload, is_text = encoded(codec, result)
                    status = _ENCODED_TEXT if is_text else _ENCODED
                elif isinstance(result, str):
                    if not pool:
                        _before_last(handle)
                    after = commit_text(handle, index, id(result))
                    if after != _NO_UTF8:
                        index = after
                        continue
                    status, payload = _RETURNED, str.encode(result, "utf-8", "surrogatepass")
                else:
                    status, payload = _NOT_TEXT, type(result).__qualname__.encode()
                if not pool:
                    _before_last(handle)
            except SystemExit as end:
                _exit(handle, end)
            except Break as end:
                status, payload = _given(end, codec, rebuild=rebuild)
                _after_failure(handle)
            except BaseException as error:  # noqa: BLE001  # it travels to the caller
                status, payload = _packed(error, rebuild=rebuild)
                _after_failure(handle)
            index = commit(handle, index, status, payload, len(payload))
        try:
            if index == _RAISED_IDLE:
                raised_idle(id(box))
                if isinstance(box[1], SystemExit):
                    _exit(handle, box[1])
                raise box[1]
            ending.end(handle, teardown)
        except SystemExit as end:
            _fail_by_exit(handle, b"teardown", end)
        except BaseException as error:  # noqa: BLE001  # it travels to the caller
            _fail(handle, error, rebuild=rebuild)
        leave(0 if index == -1 else 1)
    finally:
        leave(1)  # not even a MemoryError gets from here into the caller's program


def _given(end: Break, codec: Codec[Any] | None, *, rebuild: bool) -> tuple[int, bytes]:
    """The status and the payload for what Break or Kill gave."""
    how = _KILL if isinstance(end, Kill) else _BREAK
    value = end.value
    if codec is not None:
        try:
            payload, is_text = encoded(codec, value)
        except BaseException as error:  # noqa: BLE001  # it travels to the caller
            return _packed(error, rebuild=rebuild)
        return how | (_ENCODED_TEXT if is_text else _ENCODED), payload
    if value is None:
        return how | _DISCARDED, b""
    if isinstance(value, str):
        return how | _RETURNED, str.encode(value, "utf-8", "surrogatepass")
    return _NOT_TEXT, type(value).__qualname__.encode()


def _fail(handle: object, error: BaseException, *, rebuild: bool) -> NoReturn:
    """End this child, and let the call fail with `error`."""
    status, payload = _packed(error, rebuild=rebuild)
    _after_failure(handle)
    fail_call(handle, status, payload, len(payload))


def _fail_by_exit(handle: object, by: bytes, end: SystemExit) -> NoReturn:
    """End this child, and let the call fail because the worker's `by` has ended it."""
    # Numbers, no pickle: this error is the caller's own, whatever may be unpickled there.
    payload = b"%s %d %d" % (by, getpid(), _exit_status(handle, end))
    fail_call(handle, _NOT_TEXT, payload, len(payload))


def _packed(error: BaseException, *, rebuild: bool) -> tuple[int, bytes]:
    """The status and the payload for what was raised."""
    payload, pickled = raised.pack(error, rebuild=rebuild)
    return _RAISED_AS if pickled else _RAISED, payload


def _exit(handle: object, end: SystemExit) -> NoReturn:
    """End this child as its item wants it, and the interpreter would."""
    try:
        ending.settle()
    finally:
        leave(_exit_status(handle, end))


def _exit_status(handle: object, end: SystemExit) -> int:
    """The exit status as the interpreter itself would choose it."""
    code = end.code
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    _after_failure(handle)
    return (code or 0) & 0xFF
