"""What a stream is made of: a text layer, a buffer with a lock, and what writes.

What an object is, is asked of its `type`: a proxy says of itself that it is what it stands
for. And what the layers are, is asked of io's own classes: a subclass may answer otherwise,
and its `__init__` may do anything.
"""

from __future__ import annotations

import contextlib
import io
import select
from collections.abc import Callable, Iterator
from typing import Any

Renewal = Callable[[], None]

_DEEPEST = 3  # stand-ins, one in the other
_MOST = 50  # objects that are looked into

_buffer_of: Any = io.TextIOWrapper.__dict__["buffer"].__get__
# Those that have a lock.
_BUFFERED: tuple[Any, ...] = (io.BufferedWriter, io.BufferedRandom)


def renewals(stream: object) -> list[Renewal]:
    """What gives a stream of the host's a fresh lock and an empty buffer in a child.

    Its settings and attributes are kept. For what stands in for a stream: the same for all
    streams that are found in it. [] for what cannot be renewed, or need not.
    """
    renewal = _renewal(stream)
    if renewal is not None:
        return [renewal]
    if issubclass(type(stream), (io.StringIO, io.BytesIO, io.FileIO)):
        return []
    found = {id(each): each for each in _streams_in(stream)}
    return [each for each in map(_renewal, found.values()) if each is not None]


def is_behind(stream: Any) -> bool:
    """Whether it is a stream of io's that takes nothing just now: a pipe that nobody reads."""
    if not issubclass(type(stream), (io.TextIOWrapper, *_BUFFERED)):
        return False
    try:
        asked = select.poll()
        asked.register(stream.fileno(), select.POLLOUT)
        return not asked.poll(0)
    except (AttributeError, OSError, ValueError):  # it has no descriptor: nobody knows
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
    """For a text layer, if there is one, and the buffer below it."""
    raw = kind.raw.__get__(buffer)
    if raw is None or raw.closed:
        return None
    size = kind.__sizeof__(buffer) - type(buffer).__basicsize__  # it has no other way to say
    nowhere = io.BytesIO()
    initialise, flush_text = kind.__init__, io.TextIOWrapper.flush

    def renew() -> None:
        try:
            if raw.closed:  # in the last moment, by another thread
                return
            try:
                # What the text layer holds can only be flushed; and not be initialised again,
                # since nobody can ask it how it ends its lines.
                initialise(buffer, nowhere)
                if text is not None:
                    flush_text(text)
            finally:
                initialise(buffer, raw, size)
        except (OSError, ValueError):
            pass  # likewise closed: who writes to it will hear of it

    return renew


def _streams_in(stand_in: object) -> Iterator[object]:
    """The streams of io's that something which stands in for a stream writes to in the end."""
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
    """What it is made of: what it says it is a proxy of, and its attributes."""
    if issubclass(type(stand_in), io.TextIOWrapper):
        with contextlib.suppress(AttributeError, ValueError):  # detached, closed
            yield _buffer_of(stand_in)  # one that is nobody's we know
    for name in ("__wrapped__", "_get_current_object", "__dict__"):
        try:
            # Not getattr: a proxy would hand that on to what it stands for.
            value = object.__getattribute__(stand_in, name)
            if name == "_get_current_object":
                value = value()
        except Exception:  # noqa: BLE001  # a proxy of nothing, just now
            continue
        if name != "__dict__":
            yield value
            continue
        for attribute in list(value.values()):
            if type(attribute) in (list, tuple):
                yield from attribute
            else:
                yield attribute
