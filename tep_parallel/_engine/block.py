"""The block of a Parallel: what is kept from call to call, and for whom."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from functools import partial

from tep_parallel._engine import counting
from tep_parallel._engine.arguments import Items
from tep_parallel._engine.drive import advance, drain, end
from tep_parallel._engine.ended import Ended
from tep_parallel._engine.entry import kept_descriptors, user, warn_of_threads
from tep_parallel._engine.fed import Fed
from tep_parallel._engine.forked import Steps, steps_of
from tep_parallel._engine.gathering import Gathering
from tep_parallel._engine.home import Home
from tep_parallel._engine.lease import Lease, how_of
from tep_parallel._engine.nest import Nest, cells_of
from tep_parallel._engine.options import Options
from tep_parallel._engine.plan import Plan
from tep_parallel._engine.running import Running
from tep_parallel._engine.source import source_of
from tep_parallel._engine.stream import Stream
from tep_parallel._typing import Any
from tep_parallel._worker import ParallelWorker, Process


class Block:
    """What a Parallel keeps from its `with` to the end of that.

    It belongs to the process that made it. A process that was forked from that one makes
    another server, when it first calls something, and never uses its parent's.

    Args:
        worker: The worker, or a function of one item.
        options: The caller's.
        running: Where calls are entered while abort can end them.

    Raises:
        OSError, RuntimeError: See Home.
    """

    flow_of = Gathering  # of an eager call

    def __init__(
        self, worker: ParallelWorker | Process, options: Options, running: Running
    ) -> None:
        cells = cells_of(options.items_ahead())
        free = [-1] * cells
        self._worker = worker
        self._options = options
        self._running = running
        self._plan = Plan(
            worker, [None] * cells, options, "finish", running, discard=None, numbers=free
        )
        self._user = user()
        self._closed = False
        self._home = self._entered()

    def _entered(self) -> Home:
        warn_of_threads()
        return Home(self._plan, partial(kept_descriptors, self._options.keep))

    @property
    def serves(self) -> bool:
        """Whether calls of this process run in the block: those of its children do not."""
        return counting.forked_by is None or self._home.pid == os.getpid()

    def run(
        self,
        worker: ParallelWorker | Process,
        items: list[Any],
        on_error: str,
        *,
        discard: bool,
        whole: bool,
    ) -> Ended:
        """Process the items, and return what has ended. See run.py.

        Args:
            whole: Whether the caller is handed an Outcome of each item.
        """
        lease = self.lease(worker, self._options.deadline)
        try:
            flow = self.gathering(lease, items, on_error, discard=discard, whole=whole)
            drain(lease, steps_of(lease, flow))
            return flow.result
        finally:
            lease.close()

    def gathering(
        self, lease: Lease, items: list[Any], on_error: str, *, discard: bool, whole: bool
    ) -> Gathering:
        """Begin an eager call; what its steps need."""
        options = self._options
        how = how_of(options, on_error, eager=True, discard=discard, whole=whole)
        nest = lease.begin(how, items)
        plan = _plan(nest, self._worker, options, on_error, self._running, items, discard)
        return self.flow_of(lease, plan, items, whole=whole)

    def stream(
        self, worker: ParallelWorker | Process, items: Items, on_error: str, *, ordered: bool
    ) -> Stream[Any]:
        """Process items that are pulled as they can be begun. See run.py."""
        source = source_of(items)
        known = items if isinstance(items, Collection) else None
        lease = self.lease(worker, self._options.deadline)
        steps = self.streamed(lease, source, on_error, known, ordered=ordered)
        return Stream(lease, steps, advance=advance, end=end)

    def streamed(
        self,
        lease: Lease,
        source: Iterator[Any],
        on_error: str,
        known: Collection[Any] | None,
        *,
        ordered: bool,
    ) -> Steps:
        """The steps of an iterating call: it has a nest from the first of them on."""
        options = self._options
        how = how_of(options, on_error, eager=False, discard=False, whole=not ordered)
        nest = lease.begin(how, known)
        plan = _plan(nest, self._worker, options, on_error, self._running, known)
        flow = Fed(lease, plan, source, ordered=ordered, window=options.items_ahead())
        return (yield from steps_of(lease, flow))

    def lease(self, worker: ParallelWorker | Process, deadline: float | None) -> Lease:
        """A call that is to run in this block.

        Args:
            deadline: Seconds that it may take from now on; None: any time.

        Raises:
            RuntimeError: The block has ended; or worker or rights are not those of its entry.
            OSError: See Home.
        """
        if self._closed:
            msg = "the block of this Parallel has ended"
            raise RuntimeError(msg)
        if worker is not self._worker:
            msg = "the worker of this Parallel was replaced in its block: children have the former"
            raise RuntimeError(msg)
        if user() != self._user:
            msg = "the user or the groups of this process are not those that it had when it entered"
            msg += " the block: the kept children have the former rights; enter the block later"
            raise RuntimeError(msg)
        home = self._home
        if home.pid != os.getpid():
            home = self._home = self._entered()
        return Lease(home, self._running, deadline)

    def end(self) -> Home | None:
        """Let no more calls begin. What is to be closed; None: it is not this process's."""
        self._closed = True
        return self._home if self._home.pid == os.getpid() else None

    def close(self, *, well: bool, failed: bool) -> None:
        """End the block: what runs in it is aborted.

        Args:
            well: Whether children may run `teardown`; otherwise they are killed.
            failed: Whether something has been raised already.

        Raises:
            Exception: What a teardown has raised, if nothing else was.
        """
        home = self.end()
        if home is None:
            return  # it is the parent's
        try:
            for call in self._running.calls():
                if isinstance(call, Lease) and call.home is home:
                    call.abort()
            if well:
                errors = home.close()
                if errors and not failed:
                    raise errors.pop(0)
        finally:
            home.forget()


def _plan(
    nest: Nest,
    worker: ParallelWorker | Process,
    options: Options,
    on_error: str,
    running: Running,
    known: Collection[Any] | None,
    discard: bool = False,  # noqa: FBT001, FBT002
) -> Plan:
    """What a call is to do that has this nest."""
    items, numbers, texts = nest.items, nest.numbers, nest.texts
    return Plan(worker, items, options, on_error, running, discard, None, numbers, known, texts)
