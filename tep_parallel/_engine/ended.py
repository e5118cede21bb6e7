"""A call that has ended, with children or without."""

from __future__ import annotations

import time

from tep_parallel._engine.waits import MOST_NS
from tep_parallel._errors import Failure, shown
from tep_parallel._typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Collection, Generator

    from tep_parallel._engine.found import Finder
    from tep_parallel._outcome import Outcome

Done = TypeVar("Done")

_MANY = 1024  # items that take a moment if nothing is done for them


class Ended:
    """What became of the items of a call. Results or outcomes can be asked for once.

    Args:
        items: The items.
        known: The outcomes that have been made already, by index.
        break_values: What Break and Kill gave, by index. The finder adds to it.
        finder: Looks in C for what is not known; None: all is known.
        values: The results that are there already, by index; None: there are none.
        unended: The known outcomes of items that were not begun, or not ended.

    Attributes:
        break_values: See above; complete after results or outcomes.
    """

    def __init__(
        self,
        items: list[Any],
        known: dict[int, Outcome[Any]],
        break_values: dict[int, Any],
        finder: Finder | None = None,
        values: list[Any] | None = None,
        unended: Collection[int] = (),
    ) -> None:
        self.break_values = break_values
        self._items = items
        self._known = known
        self._finder = finder
        self._values: list[Any] = [None] * len(items) if values is None else values
        self._unended = unended
        self._left = len(items)

    def fill(self) -> bool:
        """Fetch the texts of the items that returned one; whether there are more."""
        assert self._finder is not None
        left = self._finder.fill(self._values)
        if left >= 0:
            self._left = left
        return left < 0

    def settle(self) -> None:
        """All that is not known has its value."""
        self._left = len(self._known)

    def results(self, *, every: bool = False) -> tuple[list[Any], list[Failure]]:
        """What the items returned, None for those that did not; and the failures. See gathered."""
        return finished(self.gathered(every=every))

    def gathered(
        self, *, every: bool = False
    ) -> Generator[None, None, tuple[list[Any], list[Failure]]]:
        """The same, step by step.

        Args:
            every: Whether an item that has not ended is a failure in any case. Otherwise it is
                one only if no other item failed, and none raised Break or Kill.
        """
        values = self._values
        failures: list[Failure] = []
        unended: list[int] = []
        for index in range(len(self._items) if self._left else 0):
            if index % _MANY == 0:
                yield
            if values[index] is not None:
                continue
            outcome = self._known.get(index)
            error: BaseException | None
            if index in self._unended:
                unended.append(index)
                continue
            if outcome is not None:
                values[index], error = outcome.result, outcome.error
            elif self._finder is None:
                continue  # it has returned, and nobody wants to know what
            else:
                result = self._finder.result(index)
                if self._finder.is_unended(result):
                    unended.append(index)
                    continue
                values[index], error = self._finder.value(index, result)
                yield
            if error is not None:
                failures.append((index, self._items[index], error))
        if every or (not failures and not self.break_values):
            for index in unended:
                one = self._one(index)
                if one.error is not None:
                    failures.append((index, one.item, one.error))
                yield
        while self._finder is not None and self._finder.gives_back():
            yield
        # The caller's frame holds this object: an error that is raised from there must not be
        # within its reach, or the two keep each other.
        self._known.clear()
        return values, failures

    def outcomes(self) -> list[Outcome[Any]]:
        """What became of each item, in input order. After a Break: of each item that was begun."""
        return finished(self.gathered_outcomes())

    def gathered_outcomes(self) -> Generator[None, None, list[Outcome[Any]]]:
        """The same, one item after the other."""
        outcomes: list[Outcome[Any]] = []
        for index in range(len(self._items)):
            outcomes.append(self._one(index))
            yield
        while self._finder is not None and self._finder.gives_back():
            yield
        self._known.clear()  # see results
        if self.break_values:
            return [outcome for outcome in outcomes if outcome.attempts > 0]
        return outcomes

    def _one(self, index: int) -> Outcome[Any]:
        outcome = self._known.get(index)
        if outcome is None:
            assert self._finder is not None
            outcome = self._finder.outcome(index, (self._values[index], None))
        return outcome


def values_of(ended: Ended) -> Any:
    """What a call returns: its results, or what the first Break gave; or raise its first failure.

    First means first by input order.
    """
    return value_of(ended.break_values, *ended.results())


def value_of(break_values: dict[int, Any], values: list[Any], failures: list[Failure]) -> Any:
    """The same of a call whose results have been gathered."""
    if break_values:
        return break_values[min(break_values)]
    if failures:
        raise first_of(failures)
    return values


def finished(work: Generator[None, None, Done]) -> Done:
    """Do the work to its end; what comes of it."""
    try:
        while True:
            next(work)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def in_slices(work: Generator[None, None, Done]) -> Generator[None, None, Done]:
    """The same, and let others go on whenever it has taken some milliseconds."""
    end = time.monotonic_ns() + MOST_NS
    try:
        while True:
            next(work)
            if time.monotonic_ns() >= end:
                yield
                end = time.monotonic_ns() + MOST_NS
    except StopIteration as over:
        return over.value  # type: ignore[no-any-return]


def first_of(failures: list[Failure]) -> BaseException:
    """The first failure by input order; a note says which item failed, and how many others did.

    The list is empty afterwards. The exception passes frames that refer to the list: the two
    would keep each other, and all that they refer to, until the garbage collector comes.
    """
    from tep_parallel._engine.travel.raised import add_note, add_others

    index, item, error = failures[0]
    others = failures[1:]
    failures.clear()
    more = f"{len(others)} more failed" if others else "no other failed"
    add_note(error, f"tep_parallel: item {index} ({shown(item)}); {more}")
    add_others(error, others)
    return error


def raise_first(outcomes: deque[Outcome[Any]], unended: set[int]) -> None:
    """Raise the first failure by input order. One that has not ended is none if another failed."""
    failures = [(one.index, one.item, one.error) for one in outcomes if one.error is not None]
    outcomes.clear()  # an error that is raised must not be within the reach of its frames
    failures = [one for one in failures if one[0] not in unended] or failures
    if failures:
        raise first_of(failures)
