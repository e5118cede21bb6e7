"""What the caller is told while a call runs: on_start, on_finish, and progress."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Collection
from types import TracebackType

from tep_parallel._engine import counting
from tep_parallel._engine.options import Options
from tep_parallel._outcome import Outcome
from tep_parallel._typing import Any


class Watch:
    """The caller's on_start, on_finish and progress in one call; a block that ends the bar.

    Args:
        options: The caller's.
        items: All items of the call; None: nobody knows how many there are.
    """

    def __init__(self, options: Options, items: Collection[Any] | None) -> None:
        self._items = items
        self._on_start = options.on_start
        self._on_finish = options.on_finish
        self._progress: Any = options.progress
        self._in_bytes = options.in_bytes
        self._bar: Any = None
        self._host = os.getpid()
        self._read = 0  # bytes that progress knows of

    def __enter__(self) -> Watch:
        if self._progress is True:
            bar = _bar(os.getpid())
            if not self._in_bytes or self._items is None:
                total = None if self._items is None else len(self._items)
                self._bar = bar(total=total, unit="item", miniters=1)
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
        if self._bar is not None and os.getpid() == self._host:
            self._bar.close()

    def start(self, index: int, item: object) -> None:
        """Tell of an item that may start next."""
        if self._on_start is not None:
            self._on_start(index, item)

    def finish(self, outcome: Callable[[], Outcome[Any]]) -> None:
        """Tell of an item that has ended. `outcome` is called only if on_finish was given."""
        if self._on_finish is not None:
            self._on_finish(outcome())
        if self._progress is not None and not self._in_bytes:
            self._progress.update(1)

    def read_item(self, item: object) -> None:
        """If progress is in bytes: the file `item` has been read."""
        if self._progress is not None and self._in_bytes:
            self._progress.update(_size_of(item))

    def read(self, total: int) -> None:
        """If progress is in bytes: `total` bytes have been read by now."""
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
def _bar(pid: int) -> Any:  # noqa: ARG001  # each process has a bar class of its own
    """The bar class of tqdm, with a lock that no child has.

    The lock of tqdm is shared with every process that this one forks, and stays locked if a
    process is killed while it holds it. The bar needs no monitor either, which is a thread of
    tqdm: with miniters=1 every update looks at the clock.
    """
    from tqdm import std

    # Bars of the host share the lock that tqdm has for threads. A child makes its own lock: a
    # thread of the host may have held that one at the fork.
    lock = std.TqdmDefaultWriteLock.th_lock if counting.forked_by is None else std.TRLock()
    return type("Bar", (std.tqdm,), {"_lock": lock, "monitor_interval": 0})
