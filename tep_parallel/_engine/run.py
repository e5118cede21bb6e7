"""How the faces run a call: with child processes, or without."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tep_parallel._engine.call import Call
    from tep_parallel._engine.digest_job import Job
    from tep_parallel._engine.ended import Ended
    from tep_parallel._engine.options import Options
    from tep_parallel._engine.plan import Plan
    from tep_parallel._worker import ParallelWorker, Process


def run(
    worker: ParallelWorker | Process,
    items: list[Any],
    options: Options,
    *,
    on_error: str,
    discard: bool = False,
    job: Job | None = None,
) -> Ended:
    """Process the items, and return what has ended.

    Args:
        worker: The worker, or a function of one item.
        items: At least one.
        options: The caller's.
        on_error: What a failure does: "stop", "finish" or "kill".
        discard: Whether nobody wants to know what `process` returns.
        job: What C does in the children in place of Python; None: nothing.

    Raises:
        OSError, RuntimeError: See Call.run.
        DeadlineError: The call was cut short at its deadline.
        Exception: What setup, teardown, on_start, on_finish or progress raised.
    """
    # Loaded here, before the fork: a child must not import, since another thread of the host
    # may have held an import lock at the fork.
    from tep_parallel._engine.plan import Plan

    plan = Plan(worker, items, options, on_error, discard, job)
    if options.in_processes == 0:
        from tep_parallel._engine.serial import run_here

        return run_here(plan)
    return _run_in_children(plan)


def _run_in_children(plan: Plan) -> Ended:
    from tep_parallel._engine.drive import advance
    from tep_parallel._engine.flow import Flow
    from tep_parallel._engine.forked import opened, prepare, steps

    with opened(plan) as call:
        flow = Flow(call, plan)
        prepare(call, plan)
        try:
            advance(call, steps(call, flow))
        except StopIteration as end:
            raised = end.value
    if isinstance(raised, StopIteration):
        raise raised
    _warn_of_overstayed(call, plan.options.timeout)
    return flow.result


def _warn_of_overstayed(call: Call, timeout: float | None) -> None:
    pid, stage = call.overstayed
    if pid != 0:
        from tep_parallel._engine import ending

        # The level is that of the caller of Parallel's method.
        warnings.warn(ending.overstayed(pid, stage, timeout), RuntimeWarning, stacklevel=6)
