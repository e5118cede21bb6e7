"""The standard streams, and those of logging's handlers, on both sides of a fork.

A stream's buffer has a lock. Where the host has threads, one of them may hold it at the
fork, and nobody in the child would ever give it back; and what the host had buffered
would be written twice. So a child of such a host gives its streams fresh locks and empty
buffers. In a host of one thread nobody can hold a lock: to flush before the fork is
enough there, and cheaper.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator

from tep_parallel._native import lib


def settle_before_fork() -> bool:
    """Flush what can be flushed; whether the children must renew their streams."""
    if lib.sphttp_thread_count() != 1:
        return True
    try:
        for stream in _writers():
            stream.flush()
    except OSError:
        return True  # the host still has it all, and hears of it at its own next flush
    return False


def settle_in_child(*, renew: bool) -> None:
    """Make the streams this process's own.

    Args:
        renew: What settle_before_fork returned.
    """
    if renew:
        for stream in _writers():
            _renew(stream)
    # Whatever the host, it may have read ahead; descriptor 0 is /dev/null by now.
    stdin = sys.stdin
    if isinstance(stdin, io.TextIOWrapper) and not stdin.closed:
        _renew(stdin)


def flush() -> None:
    """Write out what the child has printed.

    Raises:
        OSError: It could not be written.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()


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


def _renew(stream: io.TextIOWrapper) -> None:
    """Initialise the two layers again: a new lock, an empty buffer, the same settings."""
    buffer = stream.buffer
    if not isinstance(buffer, io.BufferedWriter | io.BufferedReader):
        return
    buffer.__init__(buffer.raw)  # type: ignore[misc]
    stream.__init__(  # type: ignore[misc]
        buffer,
        encoding=stream.encoding,
        errors=stream.errors,
        newline="\n" if buffer.writable() else None,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
