"""A call with in_processes=0: no fork, and the same results and errors, for debugging."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from tep_parallel._control import Break
from tep_parallel._engine import counting
from tep_parallel._engine.codec import decoded, encoded
from tep_parallel._engine.ended import Ended
from tep_parallel._engine.plan import Plan
from tep_parallel._engine.travel import raised
from tep_parallel._engine.watch import Watch
from tep_parallel._errors import dead, dead_in_setup
from tep_parallel._outcome import Outcome
from tep_parallel._worker import Process, not_text, process_of, setup_and_teardown_of

# What an item returned or gave with Break; what it raised; whether it was Break.
Processed = tuple[Any, Exception | None, bool]


def run_here(plan: Plan) -> Ended:
    """Process each item in this process. What it raises: see run.

    KeyboardInterrupt gets through: it is the caller's here.
    """
    known: dict[int, Outcome[Any]] = {}
    break_values: dict[int, Any] = {}
    options = plan.options
    setup, teardown = setup_and_teardown_of(plan.worker)
    former = counting.without_child.set(True)
    try:
        _call_once("setup", setup, rebuild=options.rebuild)
        with Watch(options, plan.items) as watch:
            _process_all(plan, watch, known, break_values)
        _call_once("teardown", teardown, rebuild=options.rebuild)
    except BaseException:
        # What is raised passes this frame, and must not have the outcomes within its reach.
        known.clear()
        raise
    finally:
        counting.without_child.reset(former)
    return Ended(plan.items[: len(known)], known, break_values)


def _call_once(name: str, method: Callable[[], object] | None, *, rebuild: bool) -> None:
    """Call setup or teardown, and raise what a child would let the call fail with."""
    if method is None:
        return
    try:
        method()
    except SystemExit as end:
        raise dead_in_setup(os.getpid(), _wait_status(end), by=name) from end
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # it fails the call, as in a child
        failure = raised.as_if_sent(error, rebuild=rebuild, where="setup or teardown")
        raised.add_note(failure, "tep_parallel: raised by setup or teardown, not for an item")
        try:
            raise failure from failure.__cause__
        finally:
            del failure  # otherwise it keeps this frame, and this frame it


def _process_all(
    plan: Plan, watch: Watch, known: dict[int, Outcome[Any]], break_values: dict[int, Any]
) -> None:
    process = process_of(plan.worker)
    for index, item in enumerate(plan.items):
        watch.start()
        started = time.monotonic()
        processed = _process(plan, process, index, item)
        known[index] = _outcome(index, item, processed, started)
        failed, broke = processed[1] is not None, processed[2]
        if broke:
            break_values[index] = processed[0]
        # This frame stays in the traceback of what was raised: the two would keep each other.
        del processed
        watch.finish(partial(known.__getitem__, index))
        watch.read_item(item)
        if broke or (failed and plan.on_error != "finish"):
            break


def _outcome(index: int, item: object, processed: Processed, started: float) -> Outcome[Any]:
    return Outcome(
        index,
        item,
        result=processed[0],
        error=processed[1],
        pid=os.getpid(),
        attempts=1,
        started=started,
        seconds=time.monotonic() - started,
    )


def _process(plan: Plan, process: Process, index: int, item: object) -> Processed:
    codec, rebuild = plan.options.codec, plan.options.rebuild
    broke = False
    try:
        try:
            result = process(item)
        except Break as end:
            result, broke = end.value, True
        wanted = broke or not plan.discard
        if codec is not None and wanted:
            payload, is_text = encoded(codec, result)
    except SystemExit as end:
        return None, dead(index, item, os.getpid(), _wait_status(end)), False
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # it is the item's outcome
        # In no variable: the error's traceback has this frame, and they would keep each other.
        return None, raised.as_if_sent(error, rebuild=rebuild, index=index, item=item), False
    if not wanted or (broke and result is None and codec is None):
        return None, None, broke
    if codec is not None:
        value, failed = decoded(codec, payload, is_text=is_text, index=index, item=item)
        return value, failed, broke and failed is None
    if not isinstance(result, str):
        return None, not_text(plan.worker, index, item, type(result).__qualname__), False
    return str.__str__(result), None, broke  # a child sends the text of a subclass of str, too


def _wait_status(end: SystemExit) -> int:
    """The wait status of a child that would have ended in this way."""
    code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return (code & 0xFF) << 8
