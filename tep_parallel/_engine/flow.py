"""The items of a call on their way: those of an eager call, which are there before the fork."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from functools import partial
from typing import Any, NoReturn

from tep_parallel._engine.call import Call
from tep_parallel._engine.ended import Ended, in_slices
from tep_parallel._engine.found import Finder
from tep_parallel._engine.plan import Plan
from tep_parallel._engine.watch import Watch
from tep_parallel._errors import AbortedError, DeadlineError
from tep_parallel._outcome import Outcome


class Flow:
    """What may start in a call, and what has become of it.

    Attributes:
        watch: Tells the caller.
        is_idle: Whether nothing was forked, and nothing will be.
        has_ready: Whether something can be handed out now.
        aborted: Whether the call was aborted before all was told of its items.
    """

    is_idle = has_ready = False
    finder_of = Finder  # what looks for what became of an item

    def __init__(self, call: Call, plan: Plan) -> None:
        self.watch = Watch(plan.options, plan.known)
        self.aborted = False
        self._call = call
        self._plan = plan
        self._finder = self.finder_of(call, plan)
        # Outcomes that have been made already, by the item's index.
        self._known: dict[int, Outcome[Any]] = {}

    def prepare(self) -> None:
        """Just before the fork: find out what the children do."""
        call, plan = self._call, self._plan
        if plan.job is not None:
            call.digest(plan.job)
            return
        # Loaded before the fork: a child must not import, since another thread of the host may
        # have held an import lock at the fork.
        from tep_parallel._engine.child import serve
        from tep_parallel._engine.prepare import prepare

        call.serve = partial(serve, call.handle, call.event, prepare(call.handle, plan))

    def begin(self) -> bool:
        """Before the first step. Whether to call this again soon."""
        return False

    def start(self) -> None:
        """Let items start, as many as may start now."""
        raise NotImplementedError

    def decode(self) -> bool:
        """Before `hear`. Whether to call this again soon."""
        return False

    def hear(self) -> None:
        """Hear of the items that have ended."""
        raise NotImplementedError

    def gather(self) -> bool:
        """After `hear`. Whether to call this again soon."""
        return False

    def hand_out(self) -> Iterable[Any]:
        """What can be handed out now."""
        return ()

    def fetch(self) -> bool:
        """All children have ended, and the nursery ends. Whether to call this again soon."""
        return False

    def conclude(self) -> Iterable[Any]:
        """What is left to hand out, None where others may go on before; or raise what concerns
        the call as a whole."""
        raise NotImplementedError

    def _raise_call_error(self) -> None:
        """Raise what setup or teardown raised."""
        error = self._finder.call_error()
        try:
            if error is not None:
                raise error
        finally:
            del error  # otherwise the error keeps this frame, and this frame the error

    def _is_short(self, unended: set[int], *, over: bool = True) -> bool:
        """Whether the call was aborted, or cut short at its deadline.

        Args:
            unended: The indices of those items that were not begun or not ended.
            over: Whether no more items would have come. If all had ended too, the deadline only
                ended a teardown.
        """
        return self.aborted or (self._call.overdue and (bool(unended) or not over))

    def _raise_short(self, outcomes: list[Outcome[Any]], unended: set[int], count: int) -> NoReturn:
        """Raise that.

        Args:
            outcomes: Those of the items, in input order.
            unended: See _is_short.
            count: How many items there are.
        """
        ended = [one for one in outcomes if one.index not in unended]
        counts = f"{len(unended)} of {count} items had not ended"
        if self.aborted:
            msg = f"the call was aborted: {counts}"
            raise AbortedError(msg, outcomes=ended)
        msg = f"the call was not over after {self._plan.options.deadline} s: {counts}"
        raise DeadlineError(msg, outcomes=ended)


class Eager(Flow):
    """An eager call: all items are there before the fork.

    Attributes:
        result: What the call returns.
    """

    def __init__(self, call: Call, plan: Plan) -> None:
        super().__init__(call, plan)
        self.result = Ended(plan.items, self._known, self._finder.break_values, self._finder)
        self._started = 0
        # How many children are free for items that on_start must be called for first.
        self._free = 0
        self._held = plan.options.on_start is not None

    def begin(self) -> bool:
        """Before the first step. Whether to call this again soon."""
        self.prepare()
        if self._held:
            self._free = self._call.hands
            self._call.allow(0)
            self._call.start()
        return False

    def start(self) -> None:
        """Call on_start for as many items as there are free children, and let them start."""
        items = self._plan.items
        while self._held and self._free > 0 and not self._call.ready:
            self._held = not self._call.stopping and self._started < len(items)
            if self._held:
                self.watch.start(self._started, items[self._started])
                self._started += 1
                self._free -= 1
                self._call.allow(self._started)

    def hear(self) -> None:
        """Tell of each item that has ended."""
        for index in self._call.fresh():
            self.watch.finish(partial(self._outcome_of, index))
            self._free += 1
        self.watch.read(self._call.bytes_read)

    def _outcome_of(self, index: int) -> Outcome[Any]:
        outcome = self._finder.outcome(index)
        if not self._finder.is_unended(self._finder.result(index)):
            self._known[index] = outcome
        return outcome

    def fetch(self) -> bool:
        """Fetch the results that are text. Meanwhile, the nursery ends."""
        options = self._plan.options
        if options.codec is None and options.on_finish is None and not self.aborted:
            return self.result.fill()
        return False

    def conclude(self) -> Iterable[Any]:
        """Raise what concerns the call as a whole."""
        return in_slices(self._see_end())

    def _see_end(self) -> Generator[None, None, None]:
        if not self.aborted:
            self._raise_call_error()
        if self.aborted or self._call.overdue:
            finder = self._finder
            count = len(self._plan.items)
            unended = set()
            for index in range(count):
                if finder.is_unended(finder.result(index)):
                    unended.add(index)
                yield
            if self._is_short(unended):
                self._raise_short((yield from self.result.gathered_outcomes()), unended, count)
