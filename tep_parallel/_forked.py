"""A call with children: fork, wait, and make results or outcomes of what is found."""

from __future__ import annotations

import os
from typing import Any

from tep_parallel import _child
from tep_parallel._engine import NEWS, Call
from tep_parallel._errors import DeadlineError, Failure
from tep_parallel._found import Finder
from tep_parallel._native import lib
from tep_parallel._options import Options
from tep_parallel._outcome import Outcome
from tep_parallel._watch import Watch
from tep_parallel._worker import Hooks, ParallelWorker, Process, hooks_of

_NOT_BEGUN = lib.SPHTTP_NOT_BEGUN
_CUT = lib.SPHTTP_CUT

_MOST_ALIVE = 512  # children, where the caller names no number


class Ended:
    """A call whose children have all ended; its results are still in C.

    Args:
        worker: For messages.
        process: Its function of one item.
        items: At least one.
        options: The caller's.
        on_error: What a failure does: "stop", "finish" or "kill".
        discard: Nobody wants to know what `process` returns.

    Raises:
        OSError, RuntimeError: See Call.run.
        DeadlineError: It was cut short at its deadline.
        Exception: What setup, teardown, on_start, on_finish or progress raised.
    """

    def __init__(
        self,
        worker: ParallelWorker | Process,
        process: Process,
        items: list[Any],
        options: Options,
        *,
        on_error: str,
        discard: bool,
    ) -> None:
        self._items = items
        self._options = options
        self._on_error = on_error
        self._pool = options.in_processes is not None and not options.isolation
        self._known: dict[int, Outcome[Any]] = {}  # what has been fetched from C
        hooks = hooks_of(worker)
        alive = min(options.in_processes or _MOST_ALIVE, len(items))
        root = options.scratch_root or os.path.abspath(os.environ.get("TMPDIR") or "/tmp")
        with Call(len(items), alive=alive, how=self._how(hooks), root=root) as self._call:
            self._finder = Finder(self._call, items, worker, options, pool=self._pool)
            if options.timeout or options.deadline or options.retries:
                self._call.limit(options.timeout, options.deadline, options.retries)
            prepared = _child.prepare()
            event = self._watch(alive) if options.watched else self._call.run()
            if event != 0:
                _child.serve(
                    self._call.handle,
                    event - 1,
                    process,
                    items,
                    prepared,
                    hooks,
                    self._pool,
                    discard,
                    options.codec,
                    options.rebuild,
                )
            # While the nursery ends.
            self._values: list[Any] = [None] * len(items)
            self._left = len(items)
            if options.codec is None and not options.watched:
                self._left = self._call.fill(self._values)
        error = self._finder.call_error()
        if error is not None:
            raise error
        if self._call.overdue:
            self._raise_overdue()

    def _how(self, hooks: Hooks) -> int:
        setup, teardown = hooks
        how: int = {"stop": lib.SPHTTP_STOP, "kill": lib.SPHTTP_CUT_SHORT}.get(self._on_error, 0)
        if self._pool:
            how |= lib.SPHTTP_POOL
        if self._pool or teardown is not None:
            how |= lib.SPHTTP_LINGER
        if setup is not None:
            how |= lib.SPHTTP_SETUP
        if self._options.watched:
            how |= lib.SPHTTP_TELL
        return how

    def _watch(self, alive: int) -> int:
        """Run the call, and tell of each item as it ends; in a child as Call.run."""
        with Watch(self._options, self._items) as watch:
            mark = watch.start(alive)
            if mark is not None:
                self._call.allow(mark)
            stopping = False
            event = NEWS
            while event == NEWS:
                event = self._call.run()
                if event > 0:
                    break  # a child
                for index in self._call.fresh():
                    outcome = self._known[index] = self._finder.outcome(index)
                    watch.finish(outcome)
                    failed = outcome.error is not None and self._on_error in ("stop", "kill")
                    stopping = stopping or failed or bool(self._finder.given)
                    mark = None if stopping else watch.start(1)
                    if mark is not None:
                        self._call.allow(mark)
        return event

    def results(self) -> tuple[list[Any], list[Failure]]:
        """What the items returned, None for those that did not; and the failures."""
        values = self._values
        failures: list[Failure] = []
        others: list[int] = []
        for index, item in enumerate(self._items):
            if self._left == 0:
                break
            if values[index] is not None:
                continue
            result = self._call.result(index)
            error: BaseException | None
            if result.fate in (_NOT_BEGUN, _CUT):
                others.append(index)
                continue
            if index in self._known:
                values[index], error = self._known[index].result, self._known[index].error
            else:
                values[index], error = self._finder.value(index, result)
            if error is not None:
                failures.append((index, item, error))
        # Because of another that failed, or of a Break; unless there is neither, and more amiss.
        if others and not failures and not self.given:
            for index in others:
                error = self._finder.outcome(index).error
                assert error is not None
                failures.append((index, self._items[index], error))
        return values, failures

    @property
    def given(self) -> dict[int, Any]:
        """What Break and Kill gave, by index; after results or outcomes."""
        return self._finder.given

    def outcomes(self) -> list[Outcome[Any]]:
        """What became of each item, in input order; after a Break of those that were begun."""
        for index in range(len(self._items)):
            if index not in self._known:
                self._known[index] = self._finder.outcome(index, self._values[index])
        outcomes = [self._known[index] for index in range(len(self._items))]
        if self.given:
            return [outcome for outcome in outcomes if outcome.attempts > 0]
        return outcomes

    def _raise_overdue(self) -> None:
        ended, cut = [], 0
        for outcome in self.outcomes():
            fate = self._call.result(outcome.index).fate
            if fate in (_CUT, _NOT_BEGUN):
                cut += 1
            else:
                ended.append(outcome)
        if cut > 0:  # else it was the children's teardown that took so long
            msg = f"the call was not over after {self._options.deadline} s: {cut} of "
            msg += f"{len(self._items)} items had not ended"
            raise DeadlineError(msg, outcomes=ended)
