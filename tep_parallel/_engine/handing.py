"""The results of an iterating call on their way out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from functools import partial

from tep_parallel._engine.call import Call
from tep_parallel._engine.ended import raise_first
from tep_parallel._engine.flow import Flow
from tep_parallel._engine.found import ValueOrError
from tep_parallel._engine.plan import Plan
from tep_parallel._errors import DeadWorkerError, nursery_gone
from tep_parallel._outcome import Outcome
from tep_parallel._typing import Any


class Handing(Flow):
    """What is handed out of an iterating call: results in input order, or outcomes as items end.

    An item is in a cell of C's from when it is fed until its result has been fetched.

    Args:
        ordered: See stream in run.py.
    """

    def __init__(self, call: Call, plan: Plan, *, ordered: bool) -> None:
        super().__init__(call, plan)
        assert plan.numbers is not None
        self._numbers = plan.numbers
        self._items = plan.items
        self._texts: list[str | None] = plan.texts or [None] * len(plan.items)  # returned, by cell
        # Those that were pulled; of them, not handed out; and fed, and not ended.
        self._pulled = self._left = self._running = 0
        self._exhausted = self._over = False  # the source has no more; no more will be fed
        # The cells of those that have ended and were not fetched, by number. Other outcomes are
        # in _known.
        self._cells: dict[int, int] = {}
        # The numbers of those that can be handed out now; None: in input order.
        self._ready: deque[int] | None = None if ordered else deque()
        self._late: list[int] = []  # those that are handed out at the end
        self._failed = False  # one that was handed out as an outcome
        self._next = 0  # in input order
        # Whether texts are taken out of C in input order, many at a time; and those.
        self._takes = ordered and plan.options.codec is None and not plan.options.watched
        self._batch: list[str] = []

    @property
    def has_ready(self) -> bool:  # type: ignore[override]
        """Whether something can be handed out now."""
        if self._ready is not None:
            return bool(self._ready)
        return bool(self._batch) or self._next in self._cells or self._next in self._known

    def hear(self) -> None:
        """Tell of each item that has ended, and fetch the text that it returned."""
        numbers, cells, ready = self._numbers, self._cells, self._ready
        watched = self._plan.options.watched
        if self._takes:
            self._take_texts()
        elif self._plan.options.codec is None:
            self._call.fill(self._texts)
        for cell in self._call.fresh():
            number = numbers[cell]
            if number < 0:
                continue  # it is in the batch
            cells[number] = cell
            self._running -= 1
            if ready is not None:
                ready.append(number)
            if watched:
                self.watch.read_item(self._items[cell])
                self.watch.finish(partial(self._keep, number))

    def _stop_pulling(self) -> None:
        """Pull no more items."""
        raise NotImplementedError

    def _note(self, number: int) -> None:
        if self._ready is not None:
            self._ready.append(number)

    def _keep(self, number: int) -> Outcome[Any]:
        cell = self._cells[number]
        if self._finder.is_unended(self._finder.result(cell)):
            return self._finder.outcome(cell)
        self._known[number] = outcome = self._take(number)
        return outcome

    def _take(self, number: int) -> Outcome[Any]:
        """The Outcome of an item, which nobody else will ask for."""
        if number in self._known:
            return self._known.pop(number)
        cell = self._cells.pop(number)
        outcome = self._finder.outcome(cell, (self._texts[cell], None))
        self._free(cell)
        return outcome

    def _free(self, cell: int) -> None:
        self._numbers[cell] = -1
        self._items[cell] = self._texts[cell] = None
        self._call.release(cell)

    def hand_out(self) -> Iterator[list[Any]]:
        """What can be handed out now."""
        if self._ready is None:
            return self._in_order()
        return self._as_completed(self._ready)

    def _as_completed(self, ready: deque[int]) -> Iterator[list[Outcome[Any]]]:
        finder, cut = self._finder, self._call.stopping
        while ready and not self._call.aborted:
            number = ready.popleft()
            cell = self._cells.get(number) if cut else None
            if cell is not None and finder.is_unended(finder.result(cell)):
                self._late.append(number)  # it stays in its cell: _settle counts it
                continue
            outcome = self._take(number)
            if outcome.ok or not cut:
                self._left -= 1
                self._failed = self._failed or not outcome.ok
                if self._failed and self._plan.on_error == "stop":
                    cut = True
                    self._call.stop()
                yield [outcome]
            else:  # a setup that failed has failed an item, too: then no more than that is said
                self._known[number] = outcome
                self._late.append(number)

    def _take_texts(self) -> None:
        """Take the results from the next in input order on, up to the first that is no text."""
        number = self._next
        if number < 0 or self._call.aborted:
            return
        batch = self._call.take(number, self._items, self._numbers, self._texts)
        heard = 0
        if self._cells:
            for taken in range(number, number + len(batch)):
                heard += self._cells.pop(taken, None) is not None
        self._running -= len(batch) - heard
        self._left -= len(batch)
        self._next = number + len(batch)
        self._batch += batch

    def _in_order(self) -> Iterator[list[Any]]:
        """Results up to the first failure. That is raised at the end."""
        finder, cells = self._finder, self._cells
        while not self._call.aborted or self._batch:
            if self._takes and not self._batch:
                self._take_texts()
            if self._batch:
                batch, self._batch = self._batch, []
                yield batch
                continue
            number = self._next
            value: Any
            error: BaseException | None
            if number in self._known:
                outcome = self._known[number]
                value, error = outcome.result, outcome.error
            elif number in cells:
                cell = cells[number]
                result = finder.result(cell)
                fetched: ValueOrError = (self._texts[cell], None)
                if fetched[0] is None:
                    fetched = finder.value(cell, result)
                value, error = fetched
                if error is None and not finder.break_values:
                    del cells[number]
                    self._free(cell)
                elif not finder.is_unended(result):
                    del cells[number]
                    self._known[number] = finder.outcome(cell, fetched)
                    self._free(cell)
            else:
                return
            if error is not None or number in finder.break_values:
                self._next = -1  # nothing more is handed out
                self._stop_pulling()
                if self._plan.on_error == "stop":
                    self._call.stop()
                if self._plan.on_error == "kill" and error is not None and not self._is_cut():
                    raise_first(deque([self._known.pop(number)]), set())
                return
            self._known.pop(number, None)
            self._next += 1
            self._left -= 1
            yield [value]

    def _is_cut(self) -> bool:
        """Whether C knows of a failure or of a Break, and sees to what runs."""
        return self._call.stopping or bool(self._finder.break_values)

    def conclude(self) -> Iterator[list[Any]]:
        """Hand out what is left, and raise what concerns the call as a whole."""
        if self._batch:
            batch, self._batch = self._batch, []
            yield batch
        unended = self._settle()
        order = sorted({*self._cells, *self._known})
        if self._ready is not None:
            order = [*self._late, *self._ready]
        outcomes = deque(map(self._take, order))
        if self._is_short(unended, over=self._exhausted):
            self._raise_short(sorted(outcomes, key=lambda one: one.index), unended, self._pulled)
        error = self._finder.call_error()
        if self._ready is None:
            breaks = self._finder.break_values
            while outcomes and outcomes[0].ok and outcomes[0].index not in breaks:
                yield [outcomes.popleft().result]
        else:
            while outcomes:
                outcome = outcomes.popleft()
                if self._is_told(outcome, unended, failed=error is not None):
                    self._failed = self._failed or not outcome.ok
                    yield [outcome]
        try:
            if error is not None:
                raise error
        finally:
            del error  # otherwise the error keeps this frame, and this frame the error
        if self._finder.break_values:
            return
        if self._ready is None:
            raise_first(outcomes, unended)
        if not self._exhausted and not (self._failed and self._plan.on_error != "finish"):
            raise nursery_gone(self._pulled)

    def _settle(self) -> set[int]:
        """After the end: the numbers of those not begun or not ended. The unfetched get cells."""
        unended = set()
        for cell, number in enumerate(self._numbers):
            if number >= 0:
                if number not in self._cells:
                    self._cells[number] = cell
                    self._note(number)
                if self._finder.is_unended(self._finder.result(cell)):
                    unended.add(number)
        return unended

    def _is_told(self, outcome: Outcome[Any], unended: set[int], *, failed: bool) -> bool:
        """Whether as_completed tells of an item: not of those that a Break, or a failure, has
        kept from being begun, or has ended."""
        if self._finder.break_values:
            return outcome.attempts > 0
        if self._plan.on_error != "finish" and outcome.index in unended:
            return False
        lost = outcome.index in unended or isinstance(outcome.error, DeadWorkerError)
        return not failed or not lost
