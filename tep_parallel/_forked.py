"""A call with children: fork, wait, and make an Outcome of what became of each item."""

from __future__ import annotations

import os
from typing import Any

from tep_parallel import _child, _raised
from tep_parallel._engine import Call
from tep_parallel._errors import TamperedResultError, dead, shown
from tep_parallel._native import lib
from tep_parallel._outcome import Outcome
from tep_parallel._worker import ParallelWorker, Process, name_of


def run(
    worker: ParallelWorker | Process,
    process: Process,
    items: list[Any],
    *,
    alive: int,
    stop_on_failure: bool,
    discard: bool,
    rebuild: bool,
    root: str,
) -> list[Outcome[str]]:
    """Process each item in a child; the outcomes of those begun, in input order.

    Args:
        worker: For messages.
        process: Its function of one item.
        items: At least one.
        alive: How many children may be alive at once.
        stop_on_failure: Whether no item is begun after one has failed; else all are.
        discard: Nobody wants to know what `process` returns.
        rebuild: Whether exceptions may be unpickled.
        root: Where the scratch directory is made.

    Raises:
        OSError, RuntimeError: See Call.run.
    """
    alive = min(alive, len(items))
    with Call(len(items), alive=alive, stop_on_failure=stop_on_failure, root=root) as call:
        prepared = _child.prepare()
        event = call.run()
        if event != 0:
            _child.serve(call.handle, event - 1, process, items, prepared, discard, rebuild)
        outcomes = []
        for index, item in enumerate(items):
            result = call.result(index)
            if result.fate == lib.SPHTTP_NOT_BEGUN and stop_on_failure:
                continue
            outcomes.append(_outcome(call, worker, index, item, result, rebuild=rebuild))
        return outcomes


def _outcome(
    call: Call,
    worker: ParallelWorker | Process,
    index: int,
    item: object,
    result: Any,
    *,
    rebuild: bool,
) -> Outcome[str]:
    text = error = None
    fate = result.fate
    wait_status = result.wait_status if result.wait_status >= 0 else None
    if fate == lib.SPHTTP_RETURNED:
        text = call.text(index, result)
    elif fate != lib.SPHTTP_DISCARDED:
        error = _error(call, worker, index, item, result, wait_status, rebuild=rebuild)
    exit_code = signal = None
    if wait_status is not None:
        if os.WIFSIGNALED(wait_status):
            signal = os.WTERMSIG(wait_status)
        else:
            exit_code = os.WEXITSTATUS(wait_status)
    begun = result.attempts > 0
    return Outcome(
        index,
        item,
        result=text,
        error=error,
        pid=result.pid or None,
        exit_code=exit_code,
        signal=signal,
        attempts=result.attempts,
        started=result.started_ns / 1e9 if begun else None,
        seconds=(result.ended_ns - result.started_ns) / 1e9,
        cpu_seconds=result.cpu_ns / 1e9 if wait_status is not None else None,
        max_rss=result.max_rss if wait_status is not None else None,
    )


def _error(
    call: Call,
    worker: ParallelWorker | Process,
    index: int,
    item: object,
    result: Any,
    wait_status: int | None,
    *,
    rebuild: bool,
) -> Exception:
    """The exception for an item that did not return a text."""
    fate = result.fate
    where = f"item {index} ({shown(item)})"
    if fate in (lib.SPHTTP_RAISED, lib.SPHTTP_RAISED_AS):
        pickled = rebuild and fate == lib.SPHTTP_RAISED_AS
        return _raised.unpack(call.payload(result), rebuild=pickled, index=index, item=item)
    if fate == lib.SPHTTP_NOT_TEXT:
        kind = call.payload(result).decode(errors="replace")
        return TypeError(f"{name_of(worker)}: expected a str for {where}, got {kind}")
    if fate == lib.SPHTTP_UNWRITTEN or fate == lib.SPHTTP_UNREAD:
        verb = "writing" if fate == lib.SPHTTP_UNWRITTEN else "reading"
        reason = os.strerror(result.error)
        return OSError(result.error, f"{reason}, while {verb} the result of {where}")
    if fate == lib.SPHTTP_TAMPERED:
        msg = f"{where}: the record in the scratch directory is not the one its child wrote"
        return TamperedResultError(msg, index=index, item=item)
    return dead(index, item, result.pid or None, wait_status)
