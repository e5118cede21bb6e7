"""The standard streams, and those of logging's handlers, on both sides of a fork.

A stream's buffer has a lock. Where the host has threads, one of them may hold it at the
fork, and nobody in the child would ever give it back; and what the host had buffered
would be written twice. So a child of such a host gives its streams fresh locks and empty
buffers. In a host of one thread nobody can hold a lock: to flush before the fork is
enough there, and cheaper.
"""

from __future__ import annotations

import functools
import io
import sys
from collections.abc import Callable, Iterator

from tep_parallel._native import lib


def prepare_writers(*, renew: bool) -> Iterator[Callable[[], None]]:
    """In the host, before the fork: flush what can be flushed; what each child must call.

    Args:
        renew: Whether more may be written, or threads begin, before the fork.
    """
    if not _flushed_alone() or renew:
        for stream in _writers():
            yield _renewal(stream)


def prepare_stdin() -> io.TextIOWrapper | None:
    """The standard input of the children; None: what is in its place is left alone.

    Descriptor 0 is /dev/null there; but the host's reader may have read ahead.
    """
    if not isinstance(sys.stdin, io.TextIOWrapper):
        return None
    try:
        return _unread_stdin()
    except OSError:  # the host has closed descriptor 0: nobody can have read ahead
        return None


def _flushed_alone() -> bool:
    """Whether nobody else can hold a lock, and nothing is left in a buffer."""
    if lib.sphttp_thread_count() != 1:
        return False
    try:
        for stream in _writers():
            stream.flush()
    except OSError:
        return False  # the host still has it all, and hears of it at its own next flush
    return True


@functools.cache
def _unread_stdin() -> io.TextIOWrapper:
    """A reader of descriptor 0 that has read nothing: what the host reads, reads its own."""
    return open(0, encoding="utf-8", closefd=False)  # it stays open


def _writers() -> Iterator[io.TextIOWrapper]:
    """Each buffered stream once. What was put in their place is somebody else's matter."""
    found = [sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__]
    logging = sys.modules.get("logging")
    if logging is not None:
        handlers = [reference() for reference in list(logging._handlerList)]
        found += [getattr(handler, "stream", None) for handler in handlers]
    seen = set()
    for stream in found:
        if not isinstance(stream, io.TextIOWrapper) or id(stream) in seen:
            continue
        seen.add(id(stream))
        try:
            usable = not stream.closed and isinstance(stream.buffer, io.BufferedWriter)
        except ValueError:  # detached: there is no buffer, and no lock
            continue
        if usable:
            yield stream


def _renewal(stream: io.TextIOWrapper) -> Callable[[], None]:
    """What initialises both layers again: a new lock, an empty buffer, the same settings."""
    buffer = stream.buffer
    assert isinstance(buffer, io.BufferedWriter)
    raw = buffer.raw
    # encoding, errors, newline, line_buffering, write_through. The newline cannot be asked
    # for; "\n" is that of the standard streams, and on POSIX that of open().
    settings = (
        stream.encoding,
        stream.errors,
        "\n",
        stream.line_buffering,
        stream.write_through,
    )

    def renew() -> None:
        if not raw.closed:  # in the last moment, by another thread
            buffer.__init__(raw)  # type: ignore[misc]
            stream.__init__(buffer, *settings)  # type: ignore[misc]

    return renew
