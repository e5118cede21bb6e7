"""Who wants to know of a call's items while it runs: the caller's hooks, and a progress bar."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

from tep_parallel._options import Options
from tep_parallel._outcome import Outcome


class Watch:
    """The hooks of one call; a block, at whose end the bar is closed.

    Args:
        options: With on_start, on_finish and progress.
        items: All that the call has.
        size_of: The bytes of an item, where progress is counted in them; None: in items.
    """

    def __init__(
        self, options: Options, items: list[Any], size_of: Callable[[Any], int] | None
    ) -> None:
        self._items = items
        self._on_start = options.on_start
        self._on_finish = options.on_finish
        self._progress: Any = options.progress
        self._size_of = size_of
        self._bar: Any = None
        self._begun = 0
        self._read = 0  # bytes that progress has been told of

    def __enter__(self) -> Watch:
        if self._progress is True:
            from tqdm import tqdm

            if self._size_of is None:
                self._bar = tqdm(total=len(self._items), unit="item")
            else:
                total = sum(map(self._size_of, self._items))
                self._bar = tqdm(total=total, unit="B", unit_scale=True, unit_divisor=1024)
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
        index = self._begun
        if self._on_start is None or index == len(self._items):
            return None
        self._on_start(index, self._items[index])
        self._begun += 1
        return self._begun

    def finish(self, outcome: Callable[[], Outcome[Any]]) -> None:
        """Tell of one that has ended; its Outcome is asked for where somebody wants it."""
        if self._on_finish is not None:
            self._on_finish(outcome())
        if self._progress is not None and self._size_of is None:
            self._progress.update(1)

    def read_item(self, item: object) -> None:
        """Where progress is counted in bytes: those of `item` have been read."""
        if self._progress is not None and self._size_of is not None:
            self._progress.update(self._size_of(item))

    def read(self, total: int) -> None:
        """Likewise: so many have been read by now."""
        more, self._read = total - self._read, total
        if self._progress is not None and self._size_of is not None and more > 0:
            self._progress.update(more)
