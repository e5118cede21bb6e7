"""A call with in_processes=0: no fork, and the same results and errors, for debugging."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable

from tep_parallel._control import Break
from tep_parallel._engine import counting
from tep_parallel._engine.codec import decoded, encoded
from tep_parallel._engine.ended import first_of
from tep_parallel._engine.forked import Steps
from tep_parallel._engine.plan import Plan
from tep_parallel._engine.travel import raised
from tep_parallel._engine.watch import Watch
from tep_parallel._errors import AbortedError, Failure, dead, dead_in_setup
from tep_parallel._outcome import Outcome, this_host
from tep_parallel._typing import Any
from tep_parallel._worker import Process, not_text, process_of, setup_and_teardown_of

# What an item returned or gave with Break; what it raised; whether it was Break.
Processed = tuple[Any, Exception | None, bool]


class Here:
    """A call without children.

    Args:
        plan: What it is to do.
        items: Where the items come from.

    Attributes:
        break_values: What Break and Kill gave, by index.
        out: See Call.
    """

    def __init__(self, plan: Plan, items: Iterable[Any]) -> None:
        self.break_values: dict[int, Any] = {}
        self._plan = plan
        self._items = items
        self.out: deque[Any] = deque()
        self._aborted = False
        plan.running.enter(self)

    def abort(self) -> None:
        """Begin no other item."""
        self._aborted = True

    def close(self) -> None:
        """There is nothing to end; abort does not find this call any more."""
        self._plan.running.leave(self)

    def steps(self, *, ordered: bool = False) -> Steps:
        """Process item after item, and hand out the Outcome of each.

        KeyboardInterrupt gets through: it is the caller's here.

        Args:
            ordered: Whether results are handed out, and the first failure is raised.
        """
        plan = self._plan
        failures: list[Failure] = []
        try:
            self._call_once("setup")
            with Watch(plan.options, plan.known) as watch:
                for index, item in enumerate(self._items):
                    if self._aborted:
                        break
                    outcome = self._watched(watch, index, item)
                    failed, broke = outcome.error is not None, index in self.break_values
                    if not ordered:
                        self.out.append(outcome)
                    elif outcome.error is not None:
                        failures.append((index, item, outcome.error))
                    elif not broke:
                        self.out.append(outcome.result)
                    # This frame stays in the traceback of what is raised: the two would keep
                    # each other.
                    del outcome
                    if self.out:
                        yield None
                    if broke or (failed and (ordered or plan.on_error != "finish")):
                        break
            self._call_once("teardown")
        except StopIteration as error:
            return error
        finally:
            self.close()
        if self._aborted:
            msg = "the call was aborted"
            raise AbortedError(msg, outcomes=[])
        if failures:
            raise first_of(failures)
        return None

    def _call_once(self, name: str) -> None:
        rebuild = self._plan.options.rebuild
        setup, teardown = setup_and_teardown_of(self._plan.worker)
        former = counting.without_child.set(True)
        try:
            _call_once(name, setup if name == "setup" else teardown, rebuild=rebuild)
        finally:
            counting.without_child.reset(former)

    def _watched(self, watch: Watch, index: int, item: object) -> Outcome[Any]:
        """Process an item, and tell the caller."""
        outcomes: list[Outcome[Any]] = []
        former = counting.without_child.set(True)
        try:
            watch.start(index, item)
            started = time.monotonic()
            processed = _process(self._plan, process_of(self._plan.worker), index, item)
            outcomes.append(_outcome(index, item, processed, started))
            if processed[2]:
                self.break_values[index] = processed[0]
            del processed  # as above
            watch.finish(lambda: outcomes[0])
            watch.read_item(item)
            return outcomes.pop()
        finally:
            outcomes.clear()
            counting.without_child.reset(former)


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


def _outcome(index: int, item: object, processed: Processed, started: float) -> Outcome[Any]:
    return Outcome(
        index,
        item,
        result=processed[0],
        error=processed[1],
        host=this_host(),
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
