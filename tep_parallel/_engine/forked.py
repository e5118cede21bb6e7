"""A call with children: fork, wait, and make results or outcomes of what is found."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from tep_parallel import _file_digest
from tep_parallel._engine.call import CHILD, NEWS, Call, leave
from tep_parallel._engine.found import Finder
from tep_parallel._engine.native import lib
from tep_parallel._engine.options import Options
from tep_parallel._engine.watch import Watch
from tep_parallel._errors import DeadlineError, Failure
from tep_parallel._outcome import Outcome
from tep_parallel._worker import Hooks, ParallelWorker, Process, hooks_of

_NOT_BEGUN = lib.SPHTTP_NOT_BEGUN
_CUT = lib.SPHTTP_CUT

Serve = Callable[[], NoReturn]

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
        self._job = _file_digest.job_of(worker, items, options)
        hooks = hooks_of(worker)
        alive = min(options.in_processes or _MOST_ALIVE, len(items))
        root = options.scratch_root or os.path.abspath(os.environ.get("TMPDIR") or "/tmp")
        how = self._how(hooks, discard=discard)
        with Call(len(items), alive=alive, how=how, root=root) as self._call:
            self._finder = Finder(self._call, items, worker, options, pool=self._pool)
            if options.timeout or options.deadline or options.retries:
                self._call.limit(options.timeout, options.deadline, options.retries)
            if self._job is None:
                serve = self._server(process, hooks, discard=discard)
            else:
                self._call.digest(self._job)
                serve = _no_child_of_ours
            if options.watched:
                self._watch(serve)
            elif self._call.run() == CHILD:
                serve()
            # While the nursery ends.
            self._values: list[Any] = [None] * len(items)
            self._left = len(items)
            if options.codec is None and options.on_finish is None:
                self._left = self._call.fill(self._values)
        error = self._finder.call_error()
        try:
            if error is not None:
                raise error
        finally:
            del error  # else it keeps this frame, and this frame it
        self._warn_of_overstayed()
        if self._call.overdue:
            self._raise_overdue()

    def _warn_of_overstayed(self) -> None:
        pid, stage = self._call.overstayed
        if pid != 0:
            from tep_parallel._engine import ending

            msg = ending.overstayed(pid, stage, self._options.timeout)
            warnings.warn(msg, RuntimeWarning, stacklevel=5)

    def _server(self, process: Process, hooks: Hooks, *, discard: bool) -> Serve:
        """What a child does."""
        # Loaded now: a child of a busy host cannot import what another thread is importing.
        from tep_parallel._engine import child

        call, options = self._call, self._options
        prepared = child.prepare(call.handle, hooks=options.watched)
        return partial(
            child.serve,
            call.handle,
            call.event,
            process,
            self._items,
            prepared,
            hooks,
            self._pool,
            discard,
            options.codec,
            options.rebuild,
        )

    def _how(self, hooks: Hooks, *, discard: bool) -> int:
        setup, teardown = hooks
        how: int = {"stop": lib.SPHTTP_STOP, "kill": lib.SPHTTP_CUT_SHORT}.get(self._on_error, 0)
        if self._pool:
            how |= lib.SPHTTP_POOL
        if self._job is not None and self._options.timeout is None:
            how |= lib.SPHTTP_LANES
        if self._job is None and (self._pool or teardown is not None):
            how |= lib.SPHTTP_LINGER
        if setup is not None:
            how |= lib.SPHTTP_SETUP
        if self._options.watched:
            how |= lib.SPHTTP_TELL
        if discard:
            how |= lib.SPHTTP_DISCARD
        return how

    def _watch(self, serve: Serve) -> None:
        """Run the call, and tell of each item as it ends."""
        held = self._options.on_start is not None
        size_of = _file_digest.size_of if self._options.in_bytes else None
        with Watch(self._options, self._items, size_of) as watch:
            if held:
                self._call.allow(0)
                if self._call.start() == CHILD:
                    serve()  # here: a child must not close the host's bar
            kind, free = NEWS, self._call.hands
            while kind == NEWS:
                while held and free > 0 and not self._call.has_news:
                    held = self._let_start(watch)
                    free -= 1
                kind = self._call.run()
                if kind == CHILD:
                    serve()
                for ended in self._call.fresh():
                    watch.finish(partial(self._outcome, ended))
                    free += 1
                watch.read(self._call.bytes_read)

    def _let_start(self, watch: Watch) -> bool:
        """Let one more item start, after its hook; whether there are others."""
        mark = None if self._call.stopping else watch.start()
        if mark is not None:
            self._call.allow(mark)
        return mark is not None

    def _outcome(self, index: int) -> Outcome[Any]:
        outcome = self._known[index] = self._finder.outcome(index)
        return outcome

    def results(self, *, every: bool = False) -> tuple[list[Any], list[Failure]]:
        """What the items returned, None for those that did not; and the failures.

        Args:
            every: Whether those that were not begun are among the failures in any case.
        """
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
        if every or (others and not failures and not self.given):
            for index in others:
                error = self._finder.outcome(index).error
                assert error is not None
                failures.append((index, self._items[index], error))
        # Of the caller's frame, which holds this, the one that is raised must not be in reach.
        self._known.clear()
        return values, failures

    @property
    def given(self) -> dict[int, Any]:
        """What Break and Kill gave, by index; after results or outcomes."""
        return self._finder.given

    def outcomes(self) -> list[Outcome[Any]]:
        """What became of each item, in input order; after a Break of those that were begun."""
        outcomes = [
            self._known.get(index) or self._finder.outcome(index, self._values[index])
            for index in range(len(self._items))
        ]
        if self.given:
            return [outcome for outcome in outcomes if outcome.attempts > 0]
        return outcomes

    def _raise_overdue(self) -> None:
        fates = [self._call.result(index).fate for index in range(len(self._items))]
        cut = sum(fate in (_CUT, _NOT_BEGUN) for fate in fates)
        if cut == 0:
            return  # it was the children's teardown that took so long
        msg = f"the call was not over after {self._options.deadline} s: {cut} of "
        msg += f"{len(fates)} items had not ended"
        ended = [one for one in self.outcomes() if fates[one.index] not in (_CUT, _NOT_BEGUN)]
        raise DeadlineError(msg, outcomes=ended)


def _no_child_of_ours() -> NoReturn:
    """The children of a call that is done in C never come to Python."""
    leave(1)
