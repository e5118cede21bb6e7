"""A chunk with children: what C found of its items is sent on as it is.

Nothing that a child has sent is unpickled or decoded here, and no codec is called: the caller
does that, as if the children were its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from tep_parallel._cluster.found import Found, nothing_begun
from tep_parallel._cluster.wire import Record
from tep_parallel._engine.block import Block
from tep_parallel._engine.call import Call
from tep_parallel._engine.digest_job import Job
from tep_parallel._engine.drive import drain
from tep_parallel._engine.entry import kept_descriptors
from tep_parallel._engine.flow import Eager, Flow
from tep_parallel._engine.forked import opened, steps_of
from tep_parallel._engine.found import Finder
from tep_parallel._engine.gathering import Gathering
from tep_parallel._engine.home import Home
from tep_parallel._engine.lease import Lease
from tep_parallel._engine.options import Options
from tep_parallel._engine.plan import Plan
from tep_parallel._engine.running import Running
from tep_parallel._engine.statuses import NOT_BEGUN, is_failure, packed
from tep_parallel._errors import AbortedError, DeadlineError
from tep_parallel._worker import ParallelWorker, Process

_SENT_ON = Exception()  # in place of what an item failed with: only the caller knows that


class Raw(Finder):
    """Finds records in place of values and outcomes.

    Attributes:
        failed: Whether an item has failed, as far as records were asked for.
    """

    failed = False

    def value(self, cell: int, result: Any) -> Any:  # noqa: ARG002
        """Nothing that anybody needs to know here."""
        return None, _SENT_ON

    def outcome(self, cell: int, fetched: Any = (None, None)) -> Any:
        """The Record of an item."""
        result = self._call.result(cell)
        fate, text = result.fate, fetched[0]
        self.failed = self.failed or (is_failure(fate) and cell < len(self._items))
        facts = (
            fate,
            result.error,
            result.pid,
            result.wait_status,
            result.attempts,
            result.started_ns,
            result.ended_ns,
            result.cpu_ns,
            result.max_rss,
        )
        if text is not None:
            return Record(*facts, str.encode(text, "utf-8", "surrogatepass"))
        return Record(*facts, self._call.payload(cell, result) if fate > 0 else b"")

    def call_error(self) -> Any:
        """The Record of a setup or teardown that failed; None: none did."""
        record: Record = self.outcome(len(self._items))
        if record.fate != NOT_BEGUN:
            return record
        pid, status = self._call.unready
        return record._replace(pid=pid, wait_status=status) if pid != 0 else None


class _Relay(Flow):
    """What is the same for all that is sent on."""

    finder_of = Raw
    failure: Record | None = None  # of a setup or teardown
    is_short = False

    def _raise_call_error(self) -> None:
        self.failure = self._finder.call_error()  # type: ignore[assignment]

    def _is_short(self, unended: set[int], *, over: bool = True) -> bool:
        self.is_short = super()._is_short(unended, over=over)
        return False  # the caller raises it

    def _found(self, texts: list[Any], known: dict[int, Any], overdue: bool) -> Found:  # noqa: FBT001
        # What was never fed, or could not be, is known by an Outcome.
        records = {
            index: one if isinstance(one, Record) else _unfed(one.error, one.attempts)
            for index, one in known.items()
        }
        if self.failure is not None:
            records[len(texts)] = self.failure
        return Found(texts, records, overdue)


def _unfed(error: BaseException, attempts: int) -> Record:
    if attempts == 0 and not isinstance(error, OSError):
        return Record(NOT_BEGUN)
    fate, said = packed(error, rebuild=True)
    return Record(fate, pid=os.getpid(), said=said)


class FedRelay(_Relay, Gathering):
    """Items that children are fed with; one that is bytes is the pickle of an item."""

    def _packed(self, number: int, item: Any) -> str | bytes:  # noqa: ARG002
        return item  # type: ignore[no-any-return]

    def gather(self) -> bool:
        """Keep what became of those that have ended. In a fed call C does not stop by itself."""
        more = super().gather()
        finder: Raw = self._finder  # type: ignore[assignment]
        if finder.failed and self._plan.on_error == "stop" and not self._call.stopping:
            self._call.stop()
        return more

    def found(self) -> Found:
        """What became of the items, once the steps are over."""
        return self._found(self._values, self._known, self._call.overdue and self.is_short)


class DigestRelay(_Relay, Eager):
    """Files that C digests."""

    def found(self, *, told: bool) -> Found:
        """The same.

        Args:
            told: Whether the caller is told of more than texts.
        """
        values = self.result._values
        known = {
            index: self._finder.outcome(index, (text, None))
            for index, text in enumerate(values)
            if told or text is None
        }
        texts = [None] * len(values) if told else values
        return self._found(texts, known, self._call.overdue and self.is_short)


class Kept(Block):
    """The block in which the chunks of one worker run, with the same options."""

    flow_of = FedRelay

    def _entered(self) -> Home:
        # An executor's worker has threads. No warning: whoever reads it has not started them.
        return Home(self._plan, lambda: kept_descriptors(()))

    def allow(self, chunks: int) -> None:
        """Let so many chunks run at once. No children are forked ahead for more."""
        turns = self._home.turns
        turns.most = max(turns.most, chunks)

    def work(
        self,
        items: list[Any],
        on_error: str,
        left: float | None,
        enter: Callable[[Call], None],
        *,
        discard: bool,
        told: bool,
    ) -> Found:
        """Process the items of a chunk.

        Args:
            left: Seconds to the call's deadline; None: it has none.
            enter: Called with the call that may be aborted from now on.
        """
        lease: Lease = self.lease(self._worker, left)
        try:
            enter(lease)
            try:
                flow = self.gathering(lease, items, on_error, discard=discard, whole=told)
            except (AbortedError, DeadlineError) as error:
                return nothing_begun(len(items), overdue=isinstance(error, DeadlineError))
            drain(lease, steps_of(lease, flow))
            return flow.found()  # type: ignore[attr-defined,no-any-return]
        finally:
            lease.close()


def outside(
    worker: ParallelWorker | Process,
    items: list[Any],
    options: Options,
    on_error: str,
    left: float | None,
    enter: Callable[[Call], None],
    *,
    discard: bool,
    told: bool,
    job: Job | None,
) -> Found:
    """Process the items of a chunk in children of their own. See Kept.work.

    Args:
        job: What C does in the children in place of Python; None: nothing.
    """
    running = Running()
    free = [-1] * len(items)
    if job is not None:
        plan = Plan(worker, items, options, on_error, running, discard, job, known=items)
    else:
        empty = [None] * len(items)
        plan = Plan(worker, empty, options, on_error, running, discard, None, free, items)
    with opened(plan, left) as call:
        enter(call)
        if job is None:
            fed = FedRelay(call, plan, items, whole=True)
            drain(call, steps_of(call, fed))
            return fed.found()
        digests = DigestRelay(call, plan)
        drain(call, steps_of(call, digests))
        return digests.found(told=told)
