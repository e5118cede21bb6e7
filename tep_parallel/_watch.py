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
    """

    def __init__(self, options: Options, items: list[Any]) -> None:
        self._items = items
        self._on_start = options.on_start
        self._on_finish = options.on_finish
        self._progress: Any = options.progress
        self._bar: Any = None
        self._begun = 0

    def __enter__(self) -> Watch:
        if self._progress is True:
            from tqdm import tqdm

            self._bar = self._progress = tqdm(total=len(self._items), unit="item")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def start(self, most: int) -> int | None:
        """Call on_start for up to `most` more items; how many may have started by now.

        None: on_start was not given, and all may.
        """
        if self._on_start is None:
            return None
        for index in range(self._begun, min(self._begun + most, len(self._items))):
            self._on_start(index, self._items[index])
            self._begun += 1
        return self._begun

    def finish(self, outcome: Callable[[], Outcome[Any]]) -> None:
        """Tell of one that has ended; its Outcome is asked for where somebody wants it."""
        if self._on_finish is not None:
            self._on_finish(outcome())
        if self._progress is not None:
            self._progress.update(1)
