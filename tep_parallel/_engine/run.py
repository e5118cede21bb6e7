"""How the faces run a call: with child processes, or without."""

from __future__ import annotations

from tep_parallel._typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tep_parallel._engine.arguments import Items
    from tep_parallel._engine.digest_job import Job
    from tep_parallel._engine.ended import Ended
    from tep_parallel._engine.far import Far
    from tep_parallel._engine.options import Options
    from tep_parallel._engine.plan import Plan
    from tep_parallel._engine.running import Running
    from tep_parallel._engine.stream import Stream
    from tep_parallel._outcome import Outcome
    from tep_parallel._worker import ParallelWorker, Process


def run(
    worker: ParallelWorker | Process,
    items: list[Any],
    options: Options,
    running: Running,
    on_error: str,
    *,
    discard: bool = False,
    job: Job | None = None,
) -> Ended:
    """Process the items, and return what has ended.

    Args:
        worker: The worker, or a function of one item.
        items: At least one.
        options: The caller's.
        running: Where the call is entered while abort can end it.
        on_error: What a failure does: "stop", "finish" or "kill".
        discard: Whether nobody wants to know what `process` returns.
        job: What C does in the children in place of Python; None: nothing.

    Raises:
        OSError, RuntimeError: See Call.run.
        DeadlineError: The call was cut short at its deadline.
        AbortedError: The call was aborted.
        Exception: What setup, teardown, on_start, on_finish or progress raised.
    """
    # Loaded here, before the fork: a child must not import, since another thread of the host
    # may have held an import lock at the fork.
    from tep_parallel._engine.plan import Plan

    plan = Plan(worker, items, options, on_error, running, discard, job, known=items)
    return _run_here(plan) if options.in_processes == 0 else _run_in_children(plan)


def _run_here(plan: Plan) -> Ended:
    from tep_parallel._engine.drive import drain
    from tep_parallel._engine.ended import Ended
    from tep_parallel._engine.serial import Here
    from tep_parallel._errors import AbortedError

    here = Here(plan, plan.items)
    try:
        drain(here, here.steps())
    except AbortedError as error:
        error.outcomes += here.out
        raise
    except BaseException:
        # What is raised passes this frame, and must not have the outcomes within its reach.
        here.out.clear()
        raise
    known: dict[int, Outcome[Any]] = {outcome.index: outcome for outcome in here.out}
    here.out.clear()  # what an item raised has passed frames that refer to it
    return Ended(plan.items[: len(known)], known, here.break_values)


def _run_in_children(plan: Plan) -> Ended:
    from tep_parallel._engine.drive import drain
    from tep_parallel._engine.flow import Eager
    from tep_parallel._engine.forked import opened, steps_of

    with opened(plan) as call:
        flow = Eager(call, plan)
        drain(call, steps_of(call, flow))
    if call.overstayed[0] != 0:
        from tep_parallel._engine.told import warn_of_overstayed

        warn_of_overstayed(call, plan.options.timeout)
    return flow.result


def stream(
    worker: ParallelWorker | Process,
    items: Items,
    options: Options,
    running: Running,
    on_error: str,
    *,
    ordered: bool,
) -> Stream[Any]:
    """Process items that are pulled as they can be begun.

    Args:
        worker: See run.
        items: An iterable, or a function that raises StopIteration when there are no more.
        options: See run.
        running: See run.
        on_error: See run.
        ordered: Whether results are handed out in input order; otherwise the Outcome of each item
            as it ends.

    Raises:
        TypeError: See source_of.
        OSError, RuntimeError: See Call.
    """
    from collections.abc import Collection

    from tep_parallel._engine.drive import advance, end
    from tep_parallel._engine.fed import Fed
    from tep_parallel._engine.forked import opened, steps_of
    from tep_parallel._engine.plan import Plan
    from tep_parallel._engine.serial import Here
    from tep_parallel._engine.source import Coming, patient, source_of
    from tep_parallel._engine.stream import Stream

    source = source_of(items)
    known = items if isinstance(items, Collection) else None
    if options.in_processes == 0:
        plan = Plan(worker, [], options, on_error, running, known=known)
        here = Here(plan, patient(source))
        steps = here.steps(ordered=ordered)
        return Stream(here, steps, advance=advance, end=end)
    ahead = options.items_ahead()
    free = [-1] * ahead
    plan = Plan(worker, [None] * ahead, options, on_error, running, numbers=free, known=known)
    call = opened(plan)
    if isinstance(source, Coming):
        call.source = source
    flow = Fed(call, plan, source, ordered=ordered)
    return Stream(call, steps_of(call, flow), advance=advance, end=end, flow=flow)


def run_far(
    far: Far,
    worker: ParallelWorker | Process,
    items: list[Any],
    options: Options,
    running: Running,
    on_error: str,
    *,
    discard: bool = False,
    whole: bool = False,
) -> Ended:
    """The same as run, where an executor's workers process the items.

    Args:
        far: Where the call runs.
        whole: Whether the caller is handed an Outcome of each item.

    Raises:
        TypeError: The worker or an item cannot be shipped.
        ParallelError: The executor is broken.
    """
    from tep_parallel._engine.drive import drain
    from tep_parallel._engine.forked import steps_of

    given = worker, items, on_error, running, options.deadline
    call, flow = far.eager(*given, discard=discard, whole=whole)
    try:
        drain(call, steps_of(call, flow))
        return flow.result
    finally:
        call.close()


def stream_far(
    far: Far,
    worker: ParallelWorker | Process,
    items: Items,
    options: Options,
    running: Running,
    on_error: str,
    *,
    ordered: bool,
) -> Stream[Any]:
    """The same as stream, where an executor's workers process the items. See run_far."""
    from collections.abc import Collection

    from tep_parallel._engine.drive import advance, end
    from tep_parallel._engine.forked import steps_of
    from tep_parallel._engine.source import Coming, source_of
    from tep_parallel._engine.stream import Stream

    source = source_of(items)
    known = items if isinstance(items, Collection) else None
    given = worker, source, on_error, running, options.deadline, known
    call, flow = far.lazy(*given, ordered=ordered)
    if isinstance(source, Coming):
        call.source = source
    return Stream(call, steps_of(call, flow), advance=advance, end=end, flow=flow)
