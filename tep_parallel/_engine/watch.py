"""Who wants to know of a call's items while it runs: the caller's hooks, and a progress bar."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from types import TracebackType
from typing import Any

from tep_parallel._engine import counting
from tep_parallel._engine.options import Options
from tep_parallel._outcome import Outcome


class Watch:
    """The caller's on_start, on_finish and progress in one call; a block that ends the bar.

    Args:
        options: The caller's.
        items: All items of the call.
    """

    def __init__(self, options: Options, items: list[Any]) -> None:
        self._items = items
        self._on_start = options.on_start
        self._on_finish = options.on_finish
        self._progress: Any = options.progress
        self._in_bytes = options.in_bytes
        self._bar: Any = None
        self._started = 0
        self._read = 0  # bytes that progress has been told of

    def __enter__(self) -> Watch:
        if self._progress is True:
            bar = _bar(os.getpid())
            if not self._in_bytes:
                self._bar = bar(total=len(self._items), unit="item", miniters=1)
            else:
                total = sum(map(_size_of, self._items))
                self._bar = bar(
                    total=total, unit="B", unit_scale=True, unit_divisor=1024, miniters=1
                )
            self._progress = self._bar
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def start(self) -> int | None:
        """Call on_start for the next item; how many may have started by now.

        None: there is none left, or on_start was not given, and all may.
        """
        index = self._started
        if self._on_start is None or index == len(self._items):
            return None
        self._on_start(index, self._items[index])
        self._started += 1
        return self._started

    def finish(self, outcome: Callable[[], Outcome[Any]]) -> None:
        """Tell of one that has ended; its Outcome is asked for where somebody wants it."""
        if self._on_finish is not None:
            self._on_finish(outcome())
        if self._progress is not None and not self._in_bytes:
            self._progress.update(1)

    def read_item(self, item: object) -> None:
        """Where progress is counted in bytes: those of `item` have been read."""
        if self._progress is not None and self._in_bytes:
            self._progress.update(_size_of(item))

    def read(self, total: int) -> None:
        """Likewise: so many have been read by now."""
        more, self._read = total - self._read, total
        if self._progress is not None and self._in_bytes and more > 0:
            self._progress.update(more)


def _size_of(path: Any) -> int:
    """The size of the file in bytes; 0 if the system does not tell."""
    try:
        return os.stat(path).st_size
    except (OSError, ValueError):
        return 0


@functools.cache
def _bar(pid: int) -> Any:  # noqa: ARG001  # each process has one of its own
    """tqdm's bar, with a lock that no child has.

    tqdm's own lock is shared with all that the process forks, and whoever is killed holding it
    keeps it. Nor does this bar need tqdm's monitor, a thread: with miniters=1 every update looks
    at the clock.
    """
    from tqdm import std

    # The part of tqdm's lock that is the threads', so that bars of the host take turns. A thread
    # of the host's may have held it when this child was forked.
    lock = std.TqdmDefaultWriteLock.th_lock if counting.forked_by is None else std.TRLock()
    return type("Bar", (std.tqdm,), {"_lock": lock, "monitor_interval": 0})
