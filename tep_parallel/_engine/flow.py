"""The items of an eager call, which are there before the fork, on their way to its results."""

from __future__ import annotations

from functools import partial
from typing import Any

from tep_parallel._engine.call import Call
from tep_parallel._engine.ended import Ended
from tep_parallel._engine.found import Finder
from tep_parallel._engine.plan import Plan
from tep_parallel._engine.watch import Watch
from tep_parallel._errors import DeadlineError
from tep_parallel._outcome import Outcome


class Flow:
    """What may start in an eager call, and what has become of it.

    Attributes:
        watch: Tells the caller.
        result: What the call returns.
    """

    def __init__(self, call: Call, plan: Plan) -> None:
        self.watch = Watch(plan.options, plan.items)
        self._call = call
        self._plan = plan
        self._finder = Finder(call, plan)
        self._known: dict[int, Outcome[Any]] = {}
        self.result = Ended(plan.items, self._known, self._finder.break_values, self._finder)
        self._held = plan.options.on_start is not None
        self._free = 0

    def begin(self) -> None:
        """If on_start comes first, fork, and let no item start."""
        if self._held:
            self._free = self._call.hands
            self._call.allow(0)
            self._call.start()

    def may_start(self) -> bool:
        """Whether on_start is to be called for one more item now."""
        return self._held and self._free > 0

    def start_next(self) -> None:
        """Call on_start for one more item, and let it start."""
        mark = None if self._call.stopping else self.watch.start()
        if mark is not None:
            self._call.allow(mark)
        self._held = mark is not None
        self._free -= 1

    def ended(self, index: int) -> None:
        """An item has ended."""
        self.watch.finish(partial(self._outcome_of, index))
        self._free += 1

    def _outcome_of(self, index: int) -> Outcome[Any]:
        outcome = self._finder.outcome(index)
        if not self._finder.is_unended(self._finder.result(index)):
            self._known[index] = outcome
        return outcome

    def fetch(self) -> None:
        """After the last item: fetch all results that are text at once."""
        options = self._plan.options
        if options.codec is None and options.on_finish is None:
            self.result.fill()

    def conclude(self) -> None:
        """Raise what concerns the call as a whole."""
        error = self._finder.call_error()
        try:
            if error is not None:
                raise error
        finally:
            del error  # otherwise the error keeps this frame, and this frame the error
        if self._call.overdue:
            self._raise_overdue()

    def _raise_overdue(self) -> None:
        """Raise DeadlineError, unless all items had ended: then only a teardown took so long."""
        count, finder = len(self._plan.items), self._finder
        unended = {index for index in range(count) if finder.is_unended(finder.result(index))}
        if unended:
            msg = f"the call was not over after {self._plan.options.deadline} s: {len(unended)} of "
            msg += f"{count} items had not ended"
            outcomes = [one for one in self.result.outcomes() if one.index not in unended]
            raise DeadlineError(msg, outcomes=outcomes)
