"""An eager call of a block: items are fed, and what has become of all is gathered."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterator
from typing import Any

from tep_parallel._engine.call import Call
from tep_parallel._engine.ended import Ended, in_slices, raise_first
from tep_parallel._engine.fed import Fed
from tep_parallel._engine.plan import Plan
from tep_parallel._engine.waits import MOST_NS
from tep_parallel._errors import not_begun
from tep_parallel._outcome import Outcome


class Gathering(Fed):
    """The items of an eager call of a block on their way, in and out.

    Args:
        items: The items.
        whole: Whether the caller is handed an Outcome of each.

    Attributes:
        result: What the call returns.
    """

    has_ready = False  # what is handed out is handed out at the end

    def __init__(self, call: Call, plan: Plan, items: list[Any], *, whole: bool) -> None:
        super().__init__(call, plan, iter(items), ordered=True)
        self._given = items
        self._values: list[Any] = [None] * len(items)
        self._unended: set[int] = set()
        options = plan.options
        # Once their cells are used again, nothing but the value is known of items whose texts
        # were taken many at a time.
        self._whole = whole or (options.deadline is not None and len(items) > self._window)
        self._takes = not (self._whole or options.watched) and (
            options.codec is None or bool(plan.discard)
        )
        # Their numbers and cells, the first at the end, while they are looked at in slices.
        self._to_fetch: list[tuple[int, int]] = []
        # The numbers of items, behind the next in input order, of which all is known.
        self._done: set[int] = set()
        breaks = self._finder.break_values
        self.result = Ended(items, self._known, breaks, None, self._values, self._unended)

    def hear(self) -> None:
        """Tell of each item that has ended, and keep what became of it."""
        super().hear()
        batch = self._batch
        if batch:
            self._values[self._next - len(batch) : self._next] = batch
            self._batch = []

    def gather(self) -> bool:
        """Keep what became of those that have ended, if others need their cells."""
        if self._cells and (not self._takes or self._next in self._cells or self._is_held_up()):
            return self.fetch()
        return False

    def hand_out(self) -> Iterator[Any]:
        """Nothing before the end."""
        return iter(())

    def _is_held_up(self) -> bool:
        """Whether children have soon nothing to do, since an item that runs keeps the cells of
        those behind it. To gather those one by one is dear: C takes many at a time, in order."""
        full = self._left == self._window
        return full and not self._over and self._running <= self._window // 2

    def _take_texts(self) -> None:
        while self._next in self._done:
            self._done.remove(self._next)
            self._next += 1
        if not self._call.overdue:
            super()._take_texts()

    def fetch(self) -> bool:
        """Keep what became of those that have ended, and let others have their cells. Whether
        there are more: it takes some milliseconds at most."""
        finder = self._finder
        end = time.monotonic_ns() + MOST_NS
        every = not self._to_fetch
        if every:  # a call elsewhere has no window: the list may be long
            self._to_fetch = list(reversed(self._cells.items()))
        while self._to_fetch:
            number, cell = self._to_fetch.pop()
            if self._cells.get(number) != cell:
                continue
            result = finder.result(cell)
            if finder.is_unended(result):
                continue  # it stays in its cell until the end
            text = self._texts[cell]
            if self._is_kept(result):
                self._known[number] = finder.outcome(cell, (text, None))
            else:
                value, error = (text, None) if text is not None else finder.value(cell, result)
                self._values[number] = value
                if error is not None:
                    self._known[number] = finder.outcome(cell, (None, error))
            del self._cells[number]
            self._free(cell)
            self._leave(number)
            if time.monotonic_ns() >= end:
                return True
        return not every  # others may have come since the list was made

    def _is_kept(self, result: Any) -> bool:  # noqa: ARG002
        """Whether to make the Outcome of an item that has ended."""
        return self._whole or self._call.aborted

    def _leave(self, number: int) -> None:
        """All is known of an item, and it has left its cell."""
        self._left -= 1
        self._done.add(number)

    def _keep(self, number: int) -> Outcome[Any]:
        outcome = super()._keep(number)
        if number not in self._cells:
            self._leave(number)
        return outcome

    def _fail(self, number: int, item: object, error: BaseException) -> None:
        super()._fail(number, item, error)
        self._leave(number)
        if self._plan.on_error != "finish":
            self._call.stop()
            self._stop_pulling()
        if self._plan.on_error == "kill":
            known = [self._known[index] for index in sorted(self._known)]
            self._known.clear()
            raise_first(deque(known), set())

    def conclude(self) -> Iterator[Any]:
        """Raise what concerns the call as a whole."""
        return in_slices(self._see_end())

    def _see_end(self) -> Generator[None, None, None]:
        if not self.aborted:
            self._raise_call_error()
        if self._left or not self._exhausted:
            yield from self._see_unended()
        if self._is_short(self._unended):
            self._raise_short((yield from self._outcomes()), self._unended, len(self._given))
        self.result.settle()

    def _see_unended(self) -> Generator[None, None, None]:
        """Keep what became of those that have not ended, or not begun, or were never fed."""
        unended = self._settle()
        self._unended |= unended
        for number, cell in self._cells.items():
            self._known[number] = self._finder.outcome(cell, (self._texts[cell], None))
            self._free(cell)
            yield
        self._cells.clear()
        why = self._call.stopping
        for number in range(self._pulled, len(self._given)):
            item = self._given[number]
            self._known[number] = Outcome(number, item, error=not_begun(number, item, stopped=why))
            self._unended.add(number)
            yield

    def _outcomes(self) -> Generator[None, None, list[Outcome[Any]]]:
        """Those of all items, in input order."""
        outcomes = []
        for index, item in enumerate(self._given):
            known = self._known.get(index)
            outcomes.append(known or Outcome(index, item, result=self._values[index], attempts=1))
            yield
        return outcomes
