"""The standard streams, and those of logging's handlers, on both sides of a fork.

Each child would write once more what the host has in its buffers. So the host flushes all its
streams before the fork.

A stream's buffer has a lock. If the host has threads, one of them may hold the lock at the fork,
and in the child nobody would release it. So a child of such a host gives its streams fresh locks
and empty buffers. In a host with one thread nobody can hold a lock: there the flush is enough,
and cheaper.
"""

from __future__ import annotations

import functools
import gc
import io
import os
import sys
import warnings
import weakref
from collections.abc import Callable

from tep_parallel._engine import handlers
from tep_parallel._engine.layers import Renewal, is_behind, renewals
from tep_parallel._engine.native import lib
from tep_parallel._typing import Any

_in_child: Callable[[Any], int] = lib.sphttp_call_in_child

# A stream of the host, and the functions that renew it and all streams below it.
_Known = list[tuple[object, list[Renewal]]]
# The calls whose children renew their streams, by their handles.
_calls: dict[weakref.ref[Any], _Known] = {}
# Objects in place of streams that the host could not flush: no child tries it again.
refused: list[object] = []


def prepare_writers(handle: object, *, renew: bool) -> None:
    """In the host, before the fork: flush. If that is not enough, let each child of the call
    renew its streams.

    Args:
        handle: The call's.
        renew: Whether somebody may write more, or start threads, before the fork.

    Warns:
        RuntimeWarning: An object in place of a stream could not be flushed.
    """
    if flush_host() and not renew and lib.sphttp_is_alone():
        return
    _let_children_renew()
    known = [(stream, renewals(stream)) for stream in _writers(called=True)]
    _calls[weakref.ref(handle, _forget)] = known


def prepare_stdin() -> io.TextIOWrapper | None:
    """The standard input of the children; None: their sys.stdin is left alone.

    Descriptor 0 is /dev/null in a child, but the host's reader may have read ahead of that.
    """
    if not issubclass(type(sys.stdin), io.TextIOWrapper):
        return None
    try:
        return _unread_stdin()
    except OSError:  # the host has closed descriptor 0: nobody can have read ahead
        return None


def flush_host() -> bool:
    """In the host: flush everything that text is written to. Whether nothing is left."""
    found: list[object] = []
    failed = False
    alone = lib.sphttp_is_alone()
    for stream in _writers(called=True):
        if not alone and renewals(stream) and (not _is_standard(stream) or is_behind(stream)):
            continue  # its logging handler flushes it; or a flush might wait for ever
        try:
            flush((stream,), [])
        except Exception as error:
            if handlers.raised_by_handler(error):
                raise  # the handler's exception is for the caller
            failed = True
            # A child empties the buffer of a stream that it renews, so nothing is written twice.
            # The host gets the error at its own next flush.
            if not (isinstance(error, OSError) and renewals(stream)):
                found.append(stream)
                _tell_of(stream, error)
    refused[:] = found
    return not failed


def _is_standard(stream: object) -> bool:
    return any(stream is each for each in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__))


def flush(streams: tuple[object, ...], refused: list[object]) -> None:
    """Flush `streams`, except those in `refused`, and those closed, detached or without flush.

    Raises:
        Exception: What a flush raised; that of a stream of io raises OSError.
    """
    for stream in streams:
        # `refused` is nearly always empty, and to ask that costs a child no page.
        if stream is None or (refused and any(stream is each for each in refused)):
            continue
        try:
            if getattr(stream, "closed", False):
                continue
        except ValueError:  # detached
            continue
        method = getattr(stream, "flush", None)
        if method is not None:
            method()


def _tell_of(stream: object, error: Exception) -> None:
    msg = f"a {type(stream).__name__} could not be flushed before the fork ({error!r}): "
    msg += "children may write its content a second time"
    try:
        warnings.warn(msg, RuntimeWarning, stacklevel=2)
    except Exception as other:
        if isinstance(other, Warning) or handlers.raised_by_handler(other):
            raise
        # The stream that warnings are written to is the broken one: nobody can be told.


@functools.cache
def _unread_stdin() -> io.TextIOWrapper:
    """A reader of descriptor 0 that has read nothing. The host goes on with its own reader."""
    return open(0, encoding="utf-8", closefd=False)  # it stays open


def _writers(*, called: bool) -> list[object]:
    """Each object that text is written to, once.

    Args:
        called: Whether to call code of the caller's to find them. A fresh child must not.
    """
    found: list[object] = [sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__]
    logging = sys.modules.get("logging")
    if logging is not None:
        for reference in list(logging._handlerList):
            handler = reference()
            stream = getattr(handler, "__dict__", {}).get("stream")
            if stream is None and called:
                stream = _stream_of(handler)
            found.append(stream)
    return list({id(stream): stream for stream in found if stream is not None}.values())


def _stream_of(handler: object) -> object:
    """The stream of a logging handler that has it as a property."""
    try:
        return getattr(handler, "stream", None)
    except Exception:  # noqa: BLE001  # the property may raise anything
        return None


# --- In a child, before any other at-fork hook ------------------------------------------------


def _forget(reference: weakref.ref[Any]) -> None:
    _calls.pop(reference, None)


def _after_fork() -> None:
    """In any forked process: renew the streams if this is a child of a call."""
    for reference, known in _calls.items():
        handle = reference()
        if handle is not None and _in_child(handle):
            _calls.clear()  # what this child forks itself is no child of the call
            _renew(known)
            return


def _renew(known: _Known) -> None:
    for _, steps in known:
        for step in steps:
            step()
    # Another thread may have replaced a stream since the preparation: a full log file, say.
    for stream in _writers(called=False):
        if not any(stream is each for each, _ in known):
            for step in renewals(stream):
                step()


@functools.cache
def _let_children_renew() -> None:
    """Register our at-fork hook, and let it run before all others, since they may log.

    This is done only when a call needs it, for children pay for a hook. The interpreter calls
    hooks in the order of their registration, and offers no other order. But the garbage
    collector finds the interpreter's list of hooks, which refers to ours. So ours is put first
    in that list. It runs a second time at its own place, and then has nothing to do.
    """
    os.register_at_fork(after_in_child=_after_fork)
    for holder in gc.get_referrers(_after_fork):
        if type(holder) is list and all(map(callable, holder)):
            holder.insert(0, _after_fork)
