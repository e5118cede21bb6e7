"""What became of one item."""

import os
from functools import cache

from tep_parallel._typing import Generic, TypeVar, public

# This module has no annotations as text: typing.get_type_hints would look their names up in the
# package, which is the __module__ of Outcome.
T_co = TypeVar("T_co", covariant=True)


@public
class Outcome(Generic[T_co]):
    """What became of one item. It is immutable.

    Attributes:
        index: The item's place in the input, from 0.
        item: The item.
        result: What `process` returned; None if the item failed.
        error: What map_processes would raise for the item; None if it did not fail.
        host: The name of the machine that ran the item; None if it was never begun.
        pid: The process that ran the item; None if it was never begun.
        exit_code: The child's exit code, 0 to 255; None if a signal ended it, or if nobody
            saw its end. A child that serves several items has exit code and signal only in
            the Outcome of the item that it died with.
        signal: The signal that killed the child; otherwise None.
        attempts: How often the item was begun.
        started: When the item was begun, in seconds of time.monotonic; None: never.
        seconds: From the fork until the child had been reaped; in a pool from when the item was
            taken until its result was written.
        cpu_seconds: CPU time of the child, user and system; None if it served other items.
        max_rss: The child's peak of memory in bytes, with pages that it shared with its
            parent; None if it served other items.

    Source: wait4(2), getrusage(2), uname(2).
    """

    __slots__ = (
        "attempts",
        "cpu_seconds",
        "error",
        "exit_code",
        "host",
        "index",
        "item",
        "max_rss",
        "pid",
        "result",
        "seconds",
        "signal",
        "started",
    )

    index: int
    item: object
    result: T_co | None
    error: BaseException | None
    host: str | None
    pid: int | None
    exit_code: int | None
    signal: int | None
    attempts: int
    started: float | None
    seconds: float
    cpu_seconds: float | None
    max_rss: int | None

    def __init__(
        self,
        index: int,
        item: object,
        *,
        result: T_co | None = None,
        error: BaseException | None = None,
        host: str | None = None,
        pid: int | None = None,
        exit_code: int | None = None,
        signal: int | None = None,
        attempts: int = 0,
        started: float | None = None,
        seconds: float = 0.0,
        cpu_seconds: float | None = None,
        max_rss: int | None = None,
    ) -> None:
        put = object.__setattr__
        put(self, "index", index)
        put(self, "item", item)
        put(self, "result", result)
        put(self, "error", error)
        put(self, "host", host)
        put(self, "pid", pid)
        put(self, "exit_code", exit_code)
        put(self, "signal", signal)
        put(self, "attempts", attempts)
        put(self, "started", started)
        put(self, "seconds", seconds)
        put(self, "cpu_seconds", cpu_seconds)
        put(self, "max_rss", max_rss)

    @property
    def ok(self) -> bool:
        """Whether the item did not fail."""
        return self.error is None

    def __setattr__(self, name: str, value: object) -> None:
        msg = f"an Outcome is immutable: cannot set {name!r}"
        raise AttributeError(msg)

    def __delattr__(self, name: str) -> None:
        msg = f"an Outcome is immutable: cannot delete {name!r}"
        raise AttributeError(msg)

    def __reduce__(self) -> tuple[object, ...]:
        fields = {name: getattr(self, name) for name in self.__slots__}
        return (_rebuild, (fields,))

    def __repr__(self) -> str:
        end = f"result={self.result!r}" if self.ok else f"error={self.error!r}"
        return f"Outcome(index={self.index}, item={self.item!r}, {end}, pid={self.pid})"


@cache
def this_host() -> str:
    """The name of this machine."""
    return os.uname().nodename


def _rebuild(fields: dict[str, object]) -> Outcome[object]:
    return Outcome(**fields)  # type: ignore[arg-type]
