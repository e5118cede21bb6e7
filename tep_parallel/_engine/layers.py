"""The layers of a stream: text, a buffer with a lock, and the raw file.

This module asks `type` for the class of an object: a proxy would give the class of what it stands
for. It calls the methods of io's own classes: a subclass may override them with anything.
"""

from __future__ import annotations

import contextlib
import io
import select
from collections.abc import Callable, Iterator

from tep_parallel._typing import Any

Renewal = Callable[[], None]

_DEEPEST = 3  # objects in place of streams, one in the other
_MOST = 50  # objects that are looked at

_buffer_of: Any = io.TextIOWrapper.__dict__["buffer"].__get__
# Those that have a lock.
_BUFFERED: tuple[Any, ...] = (io.BufferedWriter, io.BufferedRandom)


def renewals(stream: object) -> list[Renewal]:
    """Functions that give a stream of the host's a fresh lock and an empty buffer in a child.

    The stream keeps its settings and attributes. If `stream` is an object in place of one, the
    functions are for all streams found in it. The list is empty if nothing can or need be
    renewed.
    """
    renewal = _renewal(stream)
    if renewal is not None:
        return [renewal]
    if issubclass(type(stream), (io.StringIO, io.BytesIO, io.FileIO)):
        return []
    found = {id(each): each for each in _streams_in(stream)}
    return [each for each in map(_renewal, found.values()) if each is not None]


def is_behind(stream: Any) -> bool:
    """Whether `stream` is of io and takes no more just now: its pipe is full, say."""
    if not issubclass(type(stream), (io.TextIOWrapper, *_BUFFERED)):
        return False
    try:
        asked = select.poll()
        asked.register(stream.fileno(), select.POLLOUT)
        return not asked.poll(0)
    except (AttributeError, OSError, ValueError):  # it has no descriptor, so that nobody knows
        return True


def _renewal(stream: object) -> Renewal | None:
    text = stream if issubclass(type(stream), io.TextIOWrapper) else None
    try:
        buffer = stream if text is None else _buffer_of(text)
        for kind in _BUFFERED:
            if issubclass(type(buffer), kind):
                return _renewal_of(text, buffer, kind)
    except (AttributeError, ValueError):  # detached, closed, or never initialised
        pass
    return None


def _renewal_of(text: Any, buffer: Any, kind: Any) -> Renewal | None:
    """The renewal of a buffer, and of the text layer above it, if there is one."""
    raw = kind.raw.__get__(buffer)
    if raw is None or raw.closed:
        return None
    size = kind.__sizeof__(buffer) - type(buffer).__basicsize__  # the only way to learn it
    nowhere = io.BytesIO()
    initialise, flush_text = kind.__init__, io.TextIOWrapper.flush

    def renew() -> None:
        try:
            if raw.closed:  # in the last moment, by another thread
                return
            try:
                # The text layer cannot be initialised again, since it does not tell how it ends
                # its lines. What it holds can only be flushed: to nowhere.
                initialise(buffer, nowhere)
                if text is not None:
                    flush_text(text)
            finally:
                initialise(buffer, raw, size)
        except (OSError, ValueError):
            pass  # the stream is closed: the next write to it raises

    return renew


def _streams_in(stand_in: object) -> Iterator[object]:
    """The streams of io to which an object in place of a stream may write in the end."""
    level, seen = [stand_in], {id(stand_in)}
    for _ in range(_DEEPEST):
        below: list[object] = []
        for each in level:
            for value in _inside(each):
                if id(value) in seen or len(seen) > _MOST:
                    continue
                seen.add(id(value))
                if issubclass(type(value), (io.TextIOWrapper, *_BUFFERED)):
                    yield value
                elif hasattr(type(value), "write"):
                    below.append(value)
        level = below


def _inside(stand_in: object) -> Iterator[object]:
    """What an object refers to: what it is a proxy of, and its attributes."""
    if issubclass(type(stand_in), io.TextIOWrapper):
        with contextlib.suppress(AttributeError, ValueError):  # detached, closed
            yield _buffer_of(stand_in)  # a buffer of a class of the caller's
    for name in ("__wrapped__", "_get_current_object", "__dict__"):
        try:
            # Not getattr: a proxy would ask what it stands for.
            value = object.__getattribute__(stand_in, name)
            if name == "_get_current_object":
                value = value()
        except Exception:  # noqa: BLE001  # the proxy stands for nothing just now
            continue
        if name != "__dict__":
            yield value
            continue
        for attribute in list(value.values()):
            if type(attribute) in (list, tuple):
                yield from attribute
            else:
                yield attribute
