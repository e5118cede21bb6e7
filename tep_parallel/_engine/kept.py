"""How a call runs in a block."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from tep_parallel._engine.block import Block
from tep_parallel._engine.drive import advance, drain, end
from tep_parallel._engine.ended import Ended
from tep_parallel._engine.fed import Fed
from tep_parallel._engine.forked import Steps, steps_of
from tep_parallel._engine.gathering import Gathering
from tep_parallel._engine.lease import Lease, how_of
from tep_parallel._engine.options import Options
from tep_parallel._engine.plan import Plan
from tep_parallel._engine.running import Running
from tep_parallel._engine.stream import Stream


def gathered(
    block: Block,
    items: list[Any],
    options: Options,
    running: Running,
    on_error: str,
    *,
    discard: bool,
    whole: bool,
) -> Ended:
    """As run in run.py, in the children of a block."""
    lease = block.lease(running, options.deadline)
    try:
        how = how_of(options, on_error, eager=True, discard=discard, whole=whole)
        plan = lease.begin(how, Plan(block.worker, [], options, on_error, running, discard), items)
        flow = Gathering(lease, plan, items, whole=whole)
        drain(lease, steps_of(lease, flow))
        return flow.result
    finally:
        lease.close()


def streamed(
    block: Block,
    source: Iterator[Any],
    options: Options,
    running: Running,
    on_error: str,
    *,
    ordered: bool,
    known: Collection[Any] | None,
) -> Stream[Any]:
    """As stream in run.py, in the children of a block."""
    lease = block.lease(running, options.deadline)
    plan = Plan(block.worker, [], options, on_error, running)
    steps = _streamed(lease, plan, source, ordered=ordered, known=known)
    return Stream(lease, steps, advance=advance, end=end)


def _streamed(
    lease: Lease,
    plan: Plan,
    source: Iterator[Any],
    *,
    ordered: bool,
    known: Collection[Any] | None,
) -> Steps:
    """The steps of an iterating call: it has a nest from the first of them on."""
    how = how_of(plan.options, plan.on_error, eager=False, discard=False, whole=not ordered)
    plan = lease.begin(how, plan, known)
    flow = Fed(lease, plan, source, ordered=ordered, window=plan.options.items_ahead())
    return (yield from steps_of(lease, flow))
