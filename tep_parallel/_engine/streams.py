"""The standard streams, and those of logging's handlers, on both sides of a fork.

What the host has buffered would be written twice, once more by each child: so it is
flushed before the fork, whatever the stream is. And a stream's buffer has a lock: where the
host has threads, one of them may hold it at the fork, and nobody in the child would ever
give it back. So a child of such a host gives its streams fresh locks and empty buffers. In
a host of one thread nobody can hold a lock: to flush is enough there, and cheaper.
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
from typing import Any

from tep_parallel._engine import handlers
from tep_parallel._engine.layers import Renewal, is_behind, renewals
from tep_parallel._engine.native import lib

_in_child: Callable[[Any], int] = lib.sphttp_call_in_child

# A stream of the host's and what renews it and all that is below it.
_Known = list[tuple[object, list[Renewal]]]
# The calls whose children renew their streams, by their handles.
_calls: dict[weakref.ref[Any], _Known] = {}
# What stands in for a stream and could not be flushed in the host: no child tries it again.
refused: list[object] = []


def prepare_writers(handle: object, *, renew: bool) -> None:
    """In the host, before the fork: flush, and let each child of the call renew its streams
    where that is not enough.

    Args:
        handle: The call's.
        renew: Whether more may be written, or threads begin, before the fork.

    Warns:
        RuntimeWarning: What stands in for a stream could not be flushed.
    """
    if flush_host() and not renew and lib.sphttp_is_alone():
        return
    _let_children_renew()
    known = [(stream, renewals(stream)) for stream in _writers(called=True)]
    _calls[weakref.ref(handle, _forget)] = known


def prepare_stdin() -> io.TextIOWrapper | None:
    """The standard input of the children; None: what is in its place is left alone.

    Descriptor 0 is /dev/null there; but the host's reader may have read ahead.
    """
    if not issubclass(type(sys.stdin), io.TextIOWrapper):
        return None
    try:
        return _unread_stdin()
    except OSError:  # the host has closed descriptor 0: nobody can have read ahead
        return None


def flush_host() -> bool:
    """In the host: flush all that writes. Whether nothing is left in a buffer."""
    found: list[object] = []
    failed = False
    alone = lib.sphttp_is_alone()
    for stream in _writers(called=True):
        if not alone and renewals(stream) and (not _is_standard(stream) or is_behind(stream)):
            continue  # its handler flushes it; or who does may wait for its reader for ever
        try:
            flush((stream,), [])
        except Exception as error:
            if handlers.raised_by_handler(error):
                raise  # the host wants to be out of here
            failed = True
            # A stream that a child renews still has it all, and nobody prints it twice: the
            # host hears of it at its own next flush.
            if not (isinstance(error, OSError) and renewals(stream)):
                found.append(stream)
                _tell_of(stream, error)
    refused[:] = found
    return not failed


def _is_standard(stream: object) -> bool:
    return any(stream is each for each in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__))


def flush(streams: tuple[object, ...], refused: list[object]) -> None:
    """Flush whatever they are, but for those that are known to refuse it.

    What is closed, detached or has no flush needs none.

    Raises:
        Exception: What a flush raised: OSError, if it is a stream.
    """
    for stream in streams:
        # First what costs a child no page: there is seldom anything.
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
    msg += "children may write once more what it holds"
    try:
        warnings.warn(msg, RuntimeWarning, stacklevel=2)
    except Exception as other:
        if isinstance(other, Warning) or handlers.raised_by_handler(other):
            raise
        # Where warnings are written to is what is broken: there is nobody to tell.


@functools.cache
def _unread_stdin() -> io.TextIOWrapper:
    """A reader of descriptor 0 that has read nothing: what the host reads, reads its own."""
    return open(0, encoding="utf-8", closefd=False)  # it stays open


def _writers(*, called: bool) -> list[object]:
    """Each object that text is written to, once.

    Args:
        called: Whether code of the caller's may be called to find it: not in a fresh child.
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
    """That of a handler which has none of its own, but a property."""
    try:
        return getattr(handler, "stream", None)
    except Exception:  # noqa: BLE001  # a handler that cannot say has none
        return None


# --- In a child, before any other at-fork hook ------------------------------------------------


def _forget(reference: weakref.ref[Any]) -> None:
    _calls.pop(reference, None)


def _after_fork() -> None:
    """In any process that is forked: renew the streams if it is a child of a call."""
    for reference, known in _calls.items():
        handle = reference()
        if handle is not None and _in_child(handle):
            _calls.clear()  # what it forks itself is nobody's child
            _renew(known)
            return


def _renew(known: _Known) -> None:
    for _, steps in known:
        for step in steps:
            step()
    # Another thread may have changed one between the preparation and the fork: a log file
    # that was full.
    for stream in _writers(called=False):
        if not any(stream is each for each, _ in known):
            for step in renewals(stream):
                step()


@functools.cache
def _let_children_renew() -> None:
    """Register our hook, and let it run before those that were there before it: they may log.

    Where nothing has to be renewed there is none, for children pay for it. The interpreter
    calls hooks in the order in which they were registered, and has no way to say another. The
    list itself is an object like any other, that knows our hook; it comes first, and once more
    where it was registered, when it finds nothing to do.
    """
    os.register_at_fork(after_in_child=_after_fork)
    for holder in gc.get_referrers(_after_fork):
        if type(holder) is list and all(map(callable, holder)):
            holder.insert(0, _after_fork)
