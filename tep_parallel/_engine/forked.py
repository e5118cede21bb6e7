"""A call with children: fork, wait, and see to what concerns the call as a whole."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from tep_parallel._engine.call import CHILD, NEWS, Call, leave
from tep_parallel._engine.ended import Ended
from tep_parallel._engine.found import Finder
from tep_parallel._engine.native import lib
from tep_parallel._engine.plan import Plan
from tep_parallel._engine.watch import Watch
from tep_parallel._errors import DeadlineError
from tep_parallel._outcome import Outcome
from tep_parallel._worker import setup_and_teardown_of

Serve = Callable[[], NoReturn]

_MOST_ALIVE = 512  # children, where the caller names no number


def run_in_children(plan: Plan) -> Ended:
    """Process each item in a child process. What it raises: see run."""
    options = plan.options
    alive = min(options.in_processes or _MOST_ALIVE, len(plan.items))
    root = options.scratch_root or os.path.abspath(os.environ.get("TMPDIR") or "/tmp")
    known: dict[int, Outcome[Any]] = {}
    with Call(len(plan.items), alive=alive, how=_how(plan), root=root) as call:
        finder = Finder(call, plan)
        ended = Ended(plan.items, known, finder.break_values, finder)
        if options.timeout or options.deadline or options.retries:
            call.limit(options.timeout, options.deadline, options.retries)
        if plan.job is None:
            serve = _server(call, plan)
        else:
            call.digest(plan.job)
            serve = partial(leave, 1)  # its children never come to Python
        if options.watched:
            _run_watched(call, serve, plan, finder, known)
        elif call.run() == CHILD:
            serve()
        # Here, and not after the block: the nursery ends meanwhile.
        if options.codec is None and options.on_finish is None:
            ended.fill()
    error = finder.call_error()
    try:
        if error is not None:
            raise error
    finally:
        del error  # otherwise the error keeps this frame, and this frame the error
    _warn_of_overstayed(call, options.timeout)
    if call.overdue:
        _raise_overdue(finder, ended, plan)
    return ended


def _how(plan: Plan) -> int:
    """The flags of enum sphttp_how that the C core needs for this call."""
    setup, teardown = setup_and_teardown_of(plan.worker)
    in_c = plan.job is not None
    flags = {
        lib.SPHTTP_STOP: plan.on_error == "stop",
        lib.SPHTTP_CUT_SHORT: plan.on_error == "kill",
        lib.SPHTTP_POOL: plan.pool,
        lib.SPHTTP_LANES: in_c and plan.options.timeout is None,
        lib.SPHTTP_LINGER: not in_c and (plan.pool or teardown is not None),
        lib.SPHTTP_SETUP: setup is not None,
        lib.SPHTTP_TELL: plan.options.watched,
        lib.SPHTTP_DISCARD: plan.discard,
    }
    return sum(flag for flag, wanted in flags.items() if wanted)


def _server(call: Call, plan: Plan) -> Serve:
    """What a child does from its fork to its end."""
    # Loaded before the fork: see run.
    from tep_parallel._engine.child import serve
    from tep_parallel._engine.prepare import prepare

    return partial(serve, call.handle, call.event, prepare(call.handle, plan))


def _run_watched(
    call: Call, serve: Serve, plan: Plan, finder: Finder, known: dict[int, Outcome[Any]]
) -> None:
    """Run the call, and tell the caller of each item as it starts and as it ends."""

    def outcome_of(index: int) -> Outcome[Any]:
        outcome = finder.outcome(index)
        if not finder.is_unended(finder.result(index)):
            known[index] = outcome
        return outcome

    held = plan.options.on_start is not None
    with Watch(plan.options, plan.items) as watch:
        if held:
            call.allow(0)
            if call.start() == CHILD:
                serve()  # within this block, so that the child cannot close the host's bar
        kind, free = NEWS, call.hands
        while kind == NEWS:
            while held and free > 0 and not call.has_news:
                held = _let_start(call, watch)
                free -= 1
            kind = call.run()
            if kind == CHILD:
                serve()
            for index in call.fresh():
                watch.finish(partial(outcome_of, index))
                free += 1
            watch.read(call.bytes_read)


def _let_start(call: Call, watch: Watch) -> bool:
    """Call on_start for one more item, and let it start. Whether there are others."""
    mark = None if call.stopping else watch.start()
    if mark is not None:
        call.allow(mark)
    return mark is not None


def _warn_of_overstayed(call: Call, timeout: float | None) -> None:
    pid, stage = call.overstayed
    if pid != 0:
        from tep_parallel._engine import ending

        # The level is that of the caller of Parallel's method.
        warnings.warn(ending.overstayed(pid, stage, timeout), RuntimeWarning, stacklevel=6)


def _raise_overdue(finder: Finder, ended: Ended, plan: Plan) -> None:
    """Raise DeadlineError, unless all items had ended: then only a teardown took so long."""
    count = len(plan.items)
    unended = {index for index in range(count) if finder.is_unended(finder.result(index))}
    if unended:
        msg = f"the call was not over after {plan.options.deadline} s: {len(unended)} of "
        msg += f"{count} items had not ended"
        outcomes = [one for one in ended.outcomes() if one.index not in unended]
        raise DeadlineError(msg, outcomes=outcomes)
