"""What a child does with its items, from the fork to its end.

A child pays 2 to 3 us for each page of memory that it touches first, and that is most of its
cost. Every function and object is on some page. So the usual path has few functions, and what
can be found out before the fork is found out there: see prepare.py.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from io import TextIOWrapper
from os import getpid
from signal import set_wakeup_fd

from tep_parallel._control import Break
from tep_parallel._engine import counting, ending
from tep_parallel._engine.call import (
    commit,
    commit_text,
    discards,
    fail_call,
    first,
    kept_leave,
    leave,
    raised_idle,
    work,
)
from tep_parallel._engine.codec import encoded
from tep_parallel._engine.native import lib
from tep_parallel._engine.statuses import (
    DISCARDED,
    ENCODED,
    ENCODED_TEXT,
    NOT_TEXT,
    RETURNED,
    break_value,
    packed,
)
from tep_parallel._typing import TYPE_CHECKING, Any, NoReturn
from tep_parallel._worker import Process

if TYPE_CHECKING:
    from tep_parallel._protocols import Codec

_NO_UTF8 = lib.SPHTTP_NO_UTF8
_RAISED_IDLE = lib.SPHTTP_RAISED_IDLE

_before_last = ending.before_last
_after_failure = ending.after_failure

EACH = 2
# A plain tuple: to unpack a NamedTuple would cost a child more. Its parts: the standard input
# of a child (None: its own is left alone); what it calls first; the worker's function; the items;
# the id of what unpickles items (0: they are inherited); what it calls last; whether more items
# may follow the first; whether results are dropped, as an int (EACH: each call of a block says
# that); what results travel as (None: text); whether an exception may travel as a pickle.
Prepared = tuple[
    TextIOWrapper | None,
    list[Callable[[], object]],
    Process,
    Any,
    int,
    Callable[[], object] | None,
    bool,
    int,
    "Codec[Any] | None",
    bool,
]


def serve(handle: object, event: Any, prepared: Prepared) -> NoReturn:
    """Process this child's items, and end this process, whatever happens.

    `handle` is that of its call; `event` has the index of its first item.
    """
    try:
        stdin, steps, process, items, loads, teardown, pool, discard, codec, rebuild = prepared
        try:
            set_wakeup_fd(-1)  # the host's, or the call's
            counting.forked_by = handle
            if stdin is not None:
                sys.stdin = stdin
            for step in steps:
                step()
        except BaseException as error:  # noqa: BLE001  # it travels to the caller
            _fail(handle, b"setup", error, rebuild=rebuild)
        index = event.index if discard != EACH else first(handle)
        box: list[Any] = [None, None]
        while index >= 0:
            try:
                if pool and codec is None:
                    # C takes items and commits texts; it comes back when there is more to do.
                    index = work(handle, index, id(process), id(items), loads, discard, id(box))
                    if index < 0:
                        break
                    result, error_in_c = box
                    box[:] = None, None
                    if error_in_c is not None:
                        raise error_in_c
                else:
                    result = process(items[index])
                if discard and (discard != EACH or discards(handle)):
                    status, payload = DISCARDED, b""
                elif codec is not None:
                    payload, is_text = encoded(codec, result)
                    status = ENCODED_TEXT if is_text else ENCODED
                elif isinstance(result, str):
                    if not pool:
                        _before_last(handle)
                    after = commit_text(handle, index, id(result))
                    if after != _NO_UTF8:
                        index = after
                        continue
                    status, payload = RETURNED, str.encode(result, "utf-8", "surrogatepass")
                else:
                    status, payload = NOT_TEXT, type(result).__qualname__.encode()
                if not pool:
                    _before_last(handle)
            except BaseException as error:  # noqa: BLE001  # it travels to the caller
                status, payload = _instead(handle, error, codec, rebuild=rebuild)
            index = commit(handle, index, status, payload, len(payload))
        try:
            if index == _RAISED_IDLE:
                raise _raised_in_c(handle, box)
            ending.end(handle, teardown)
        except BaseException as error:  # noqa: BLE001  # it travels to the caller
            _fail(handle, b"teardown", error, rebuild=rebuild)
        (leave if discard != EACH else partial(kept_leave, handle))(0 if index == -1 else 1)
    finally:
        leave(1)  # even a MemoryError must not reach the caller's program


def _raised_in_c(handle: object, box: list[Any]) -> BaseException:
    """What a signal handler raised between two items of this child."""
    raised_idle(id(box))
    error: BaseException = box[1]
    _exit_if_asked(handle, error)
    return error


def _instead(
    handle: object, error: BaseException, codec: Codec[Any] | None, *, rebuild: bool
) -> tuple[int, bytes]:
    """The status and the payload of an item that raised `error`."""
    _exit_if_asked(handle, error)
    if issubclass(type(error), Break):  # isinstance may call code of the caller's class
        status, payload = break_value(error, codec, rebuild=rebuild)
    else:
        status, payload = packed(error, rebuild=rebuild)
    _after_failure(handle)
    return status, payload


def _fail(handle: object, by: bytes, error: BaseException, *, rebuild: bool) -> NoReturn:
    """End this child, and let the call fail because of what setup or teardown raised."""
    if issubclass(type(error), SystemExit):
        # Two numbers, and not a pickle: the caller may have forbidden to unpickle.
        status, payload = NOT_TEXT, b"%s %d %d" % (by, getpid(), _exit_status(handle, error))
    else:
        status, payload = packed(error, rebuild=rebuild)
        _after_failure(handle)
    fail_call(handle, status, payload, len(payload))


def _exit_if_asked(handle: object, error: BaseException) -> None:
    """End this child as the interpreter would, if `error` comes from sys.exit."""
    if issubclass(type(error), SystemExit):
        try:
            ending.settle()
        finally:
            leave(_exit_status(handle, error))


def _exit_status(handle: object, end: Any) -> int:
    """The exit status that the interpreter would choose."""
    code = end.code
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    _after_failure(handle)
    return (code or 0) & 0xFF
