"""A call with children, step by step.

One generator decides what is done next, and yields what it waits for. Whoever drives it only
waits, each in the way that its callers expect: see drive.py.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable
from typing import Any

from tep_parallel._engine.asking import NEWS
from tep_parallel._engine.call import Call
from tep_parallel._engine.flow import Flow
from tep_parallel._engine.native import lib
from tep_parallel._engine.plan import Plan
from tep_parallel._engine.waits import END, LEFT, TURN, WORD
from tep_parallel._worker import setup_and_teardown_of

# The steps of a call. They yield a Wait, and are sent the answer; or they yield None, when they
# have put what they hand out into `out` of the call. They return None, or the StopIteration that
# a function of the caller's raised: a generator may not raise that.
Steps = Generator[Any, int, StopIteration | None]

_MOST_ALIVE = 512  # children, where the caller names no number


def opened(plan: Plan, left: float | None = None) -> Call:
    """Prepare a call; its deadline counts from here. Nothing is forked.

    Args:
        left: The seconds to its deadline, if some have passed; None: they have not.

    Raises:
        OSError, RuntimeError: See Call.
    """
    options = plan.options
    alive = min(options.in_processes or _MOST_ALIVE, len(plan.items))
    root = options.scratch_root or os.path.abspath(os.environ.get("TMPDIR") or "/tmp")
    call = Call(len(plan.items), alive=alive, how=flags_of(plan), root=root, running=plan.running)
    deadline = options.deadline if left is None else left
    if options.timeout or deadline or options.retries:
        call.limit(options.timeout, deadline, options.retries)
    if plan.pool and options.max_items is not None:
        lib.sphttp_call_quota(call.handle, options.max_items)
    return call


def steps_of(call: Call, flow: Flow) -> Steps:
    """Take the steps of a call, from its fork to its end.

    To end it early, throw an exception into them, and drive them on until they raise it: the
    nursery takes time to end.

    Raises:
        OSError, RuntimeError: See Call.run.
        DeadlineError: The call was cut short at its deadline.
        Exception: What setup, teardown, on_start, on_finish or progress raised.
    """
    try:
        with flow.watch:
            stopped = yield from _under_way(call, flow)
        if stopped is None:
            while flow.fetch():  # here, and not after the end: the nursery ends meanwhile
                yield TURN
    except GeneratorExit:  # nobody drives these steps on: the call's handle ends the call
        raise
    except BaseException:
        yield from _ending(call)
        raise
    if not call.kept or stopped is not None or flow.aborted:
        yield from _ending(call)
    try:
        if stopped is None:
            yield from _handed(call, flow.conclude())
    except GeneratorExit:
        call.part(fetched=False)
        raise
    except BaseException:
        yield from _parting(call, fetched=False)
        raise
    yield from _parting(call, fetched=True)
    return stopped


def _under_way(call: Call, flow: Flow) -> Steps:
    kind: int | None = NEWS
    try:
        while flow.begin():
            yield TURN
        # None: nobody has waited, since a signal handler raised in between. A caller that goes
        # on all the same must not take that for the end.
        while kind is None or kind == NEWS:
            yield from _handed(call, flow.hand_out())
            flow.start()
            if flow.is_idle:
                break
            if flow.has_ready and not call.aborted:
                continue
            kind = yield WORD
            while flow.decode():
                yield TURN
            flow.hear()
            while flow.gather():
                yield TURN
        flow.aborted = call.aborted  # also by a hook that just heard of the last items
    except StopIteration as error:
        return error
    return None


def _handed(call: Call, batches: Iterable[list[Any] | None]) -> Steps:
    """Hand values out; None: there is more to do before. A signal handler may raise behind a
    yield: then nothing is lost."""
    for batch in batches:
        if batch is None:
            yield TURN
            continue
        call.out.extend(batch)
        batch.clear()  # nobody but the caller keeps them any longer
        yield None
    return None


def _ending(call: Call) -> Steps:
    call.leave_if_child()
    yield END
    call.close()
    return None


def _parting(call: Call, *, fetched: bool) -> Steps:
    if call.part(fetched=fetched):
        try:
            yield LEFT
        except GeneratorExit:
            raise
        except BaseException:
            yield from _ending(call)
            raise
    return None


def flags_of(plan: Plan) -> int:
    """The flags of enum sphttp_how that the C core needs for this call."""
    setup, teardown = setup_and_teardown_of(plan.worker)
    in_c = plan.job is not None
    flags = {
        # In input order a failure stops what is behind it, and not the items before it.
        lib.SPHTTP_STOP: plan.on_error == "stop" and not plan.fed,
        lib.SPHTTP_CUT_SHORT: plan.on_error == "kill",
        lib.SPHTTP_POOL: plan.pool,
        lib.SPHTTP_LANES: in_c and plan.options.timeout is None,
        lib.SPHTTP_LINGER: not in_c and (plan.pool or teardown is not None),
        lib.SPHTTP_SETUP: setup is not None,
        lib.SPHTTP_TELL: plan.fed or plan.options.watched,
        lib.SPHTTP_FED: plan.fed,
        lib.SPHTTP_DISCARD: bool(plan.discard),
    }
    return sum(flag for flag, wanted in flags.items() if wanted)
