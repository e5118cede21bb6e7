"""How the faces run a call with an executor."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from typing import Any

from tep_parallel._cluster.call import FarCall
from tep_parallel._cluster.engine import Engine
from tep_parallel._cluster.finder import FarFinder
from tep_parallel._cluster.load import Terms
from tep_parallel._cluster.shipping import Bundle, Shipper, bundled
from tep_parallel._cluster.sizes import Sizes
from tep_parallel._cluster.traffic import Traffic
from tep_parallel._engine.digest_job import Job
from tep_parallel._engine.fed import Fed
from tep_parallel._engine.gathering import Gathering
from tep_parallel._engine.options import Options
from tep_parallel._engine.plan import Plan
from tep_parallel._engine.running import Running
from tep_parallel._engine.waits import MOST_NS
from tep_parallel._worker import ParallelWorker, Process

_MOST_CELLS = 1 << 16  # items of an iterating call that are under way
_LEAST_AHEAD = 64  # items
_MOST_SENT = 4  # workers that are told to end at once; others end by themselves

# What C digests in place of a worker, with its codec; None: nothing.
JobOf = Callable[[Any, list[Any], Any], Job | None]


class FarGathering(Gathering):
    """The items of an eager call, all of which were pickled before the first is sent."""

    finder_of = FarFinder

    def __init__(self, call: FarCall, plan: Plan, items: list[Any], *, whole: bool) -> None:
        super().__init__(call, plan, items, whole=whole)
        self._shipper = Shipper()
        self._sent: list[str | bytes] = []

    def begin(self) -> bool:
        """Before the first step: pickle items for some milliseconds. Whether there are more.

        Raises:
            TypeError: An item cannot be shipped.
        """
        sent, ship = self._sent, self._shipper.ship
        end = time.monotonic_ns() + MOST_NS
        for index in range(len(sent), len(self._given)):
            item = self._given[index]
            sent.append(item if type(item) is str else ship(index, item))
            if not index & 63 and time.monotonic_ns() >= end:
                return not self._call.aborted
        return False

    def _packed(self, number: int, item: object) -> str | bytes:  # noqa: ARG002
        return self._sent[number]

    def _is_kept(self, result: Any) -> bool:
        return result.pid != 0 or super()._is_kept(result)


class FarFed(Fed):
    """The items of an iterating call."""

    finder_of = FarFinder

    def __init__(
        self, call: FarCall, plan: Plan, source: Iterator[Any], *, ordered: bool, window: int | None
    ) -> None:
        super().__init__(call, plan, source, ordered=ordered, window=window or _MOST_CELLS)
        self._given = window
        self._shipper = Shipper()

    def start(self) -> None:
        """Pull items; as many as make chunks that take long enough."""
        if self._given is None:
            ahead = max(self._call.hands, _LEAST_AHEAD)
            self._window = self._most = min(ahead, _MOST_CELLS)
        super().start()

    def _packed(self, number: int, item: object) -> str | bytes:
        return self._shipper.ship(number, item)


class Far:
    """Where the calls of a Parallel run that has an executor.

    Args:
        job_of: What C digests in place of a worker.
    """

    def __init__(self, options: Options, job_of: JobOf) -> None:
        self._options = options
        self._engine = Engine(options.executor)
        self._job_of = job_of
        self._sent: deque[bytes] = deque(maxlen=_MOST_SENT)  # the hashes of the last workers

    def leave(self) -> None:
        """Let the executor's workers end the children that they keep for these calls."""
        if self._sent and self._options.in_processes:
            self._engine.leave(list(self._sent), far_options(self._options))
        self._sent.clear()

    def eager(
        self,
        worker: ParallelWorker | Process,
        items: list[Any],
        on_error: str,
        running: Running,
        left: float | None,
        *,
        discard: bool,
        whole: bool,
    ) -> tuple[FarCall, FarGathering]:
        """Begin a call of which all items are there; what its steps need.

        Args:
            items: At least one.
            left: Seconds to its deadline; None: it has none.
            whole: Whether the caller is handed an Outcome of each.

        Raises:
            TypeError: The worker cannot be shipped.
        """
        bundle = bundled(worker, self._options.codec)
        plan = self._plan(worker, len(items), on_error, running, items, discard=discard)
        call = self._call(bundle, plan, left, eager=True, told=whole, total=len(items))
        return call, FarGathering(call, plan, items, whole=whole)

    def lazy(
        self,
        worker: ParallelWorker | Process,
        source: Iterator[Any],
        on_error: str,
        running: Running,
        left: float | None,
        known: Collection[Any] | None,
        *,
        ordered: bool,
    ) -> tuple[FarCall, FarFed]:
        """Begin a call that pulls its items while it is under way. See eager.

        Args:
            known: All items; None: nobody knows how many there are.
            ordered: See stream in run.py of _engine.
        """
        bundle = bundled(worker, self._options.codec)
        window = self._options.window
        total = None if known is None else len(known)
        plan = self._plan(worker, 1, on_error, running, known)
        call = self._call(bundle, plan, left, eager=False, told=not ordered, total=total)
        return call, FarFed(call, plan, source, ordered=ordered, window=window)

    def _plan(
        self,
        worker: ParallelWorker | Process,
        cells: int,
        on_error: str,
        running: Running,
        known: Collection[Any] | None,
        *,
        discard: bool = False,
    ) -> Plan:
        empty, free = [None] * cells, [-1] * cells
        texts: list[str | None] = [None] * cells
        options = self._options
        return Plan(worker, empty, options, on_error, running, discard, None, free, known, texts)

    def _call(
        self,
        bundle: Bundle,
        plan: Plan,
        left: float | None,
        *,
        eager: bool,
        told: bool,
        total: int | None,
    ) -> FarCall:
        options = plan.options
        job = self._job_of(plan.worker, [], options.codec) if options.in_processes else None
        told = told or options.on_finish is not None or left is not None
        terms = Terms(
            bundle,
            far_options(options),
            False if job is None else job.key,
            plan.on_error,
            bool(plan.discard),
            told,
        )
        if bundle.hash not in self._sent:
            self._sent.append(bundle.hash)
        until = None if left is None else time.monotonic() + left
        sizes = Sizes(options.chunk_size, max(options.in_processes or 1, 1))
        traffic = Traffic(self._engine, terms, sizes, until)
        return FarCall(plan, traffic, eager=eager, total=total, until=until)


def far_options(options: Options) -> dict[str, Any]:
    """What of the options is kept by an executor's workers."""
    return {
        "in_processes": True if options.all_processors else options.in_processes,
        "isolation": options.isolation,
        "max_items_per_child": options.max_items if options.in_processes else None,
        "timeout": options.timeout,
        "retries": options.retries,
        "rebuild_exceptions": options.rebuild,
        "scratch_root": options.scratch_root,
    }
