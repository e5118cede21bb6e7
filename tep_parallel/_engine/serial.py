"""in_processes=0: no fork; the same results and errors, from this process, for debugging."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from tep_parallel import _file_digest
from tep_parallel._control import Break
from tep_parallel._engine import counting
from tep_parallel._engine.codec import decoded, encoded
from tep_parallel._engine.options import Options
from tep_parallel._engine.travel import raised
from tep_parallel._engine.watch import Watch
from tep_parallel._errors import Failure, dead, dead_in_setup
from tep_parallel._outcome import Outcome
from tep_parallel._worker import ParallelWorker, Process, hooks_of, not_text

# The value, the exception, and whether the value was given with Break.
_Found = tuple[Any, Exception | None, bool]


class Ended:
    """A call whose items have all been processed in this process.

    Arguments and attributes as of _forked.Ended. KeyboardInterrupt gets through: here it is
    the caller's.
    """

    def __init__(
        self,
        worker: ParallelWorker | Process,
        process: Process,
        items: list[Any],
        options: Options,
        *,
        on_error: str,
        discard: bool,
    ) -> None:
        self.given: dict[int, Any] = {}
        self._outcomes: list[Outcome[Any]] = []
        setup, teardown = hooks_of(worker)
        former = counting.without_child.set(True)
        try:
            self._hook("setup", setup, rebuild=options.rebuild)
            run = partial(_process, worker, process, options, discard=discard)
            size_of = _file_digest.size_of if options.in_bytes else None
            with Watch(options, items, size_of) as watch:
                self._process_all(run, items, watch, stop=on_error in ("stop", "kill"))
            self._hook("teardown", teardown, rebuild=options.rebuild)
        except BaseException:
            self._outcomes.clear()  # else the frames that this passes keep them, and they those
            raise
        finally:
            counting.without_child.reset(former)

    def _hook(self, name: str, hook: Callable[[], object] | None, *, rebuild: bool) -> None:
        if hook is None:
            return
        try:
            hook()
        except SystemExit as end:
            raise dead_in_setup(os.getpid(), _wait_status(end), hook=name) from end
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  # as a child's would
            failure = raised.as_if_sent(error, rebuild=rebuild, where="setup or teardown")
            raised.add_note(failure, "tep_parallel: raised by setup or teardown, not for an item")
            try:
                raise failure from failure.__cause__
            finally:
                del failure  # else it keeps this frame, and this frame it

    def _process_all(
        self, run: Callable[[int, Any], _Found], items: list[Any], watch: Watch, *, stop: bool
    ) -> None:
        for index, item in enumerate(items):
            watch.start()
            started = time.monotonic()
            found = run(index, item)
            self._outcomes.append(_outcome(index, item, found, started))
            failed, broke = found[1] is not None, found[2]
            if broke:
                self.given[index] = found[0]
            # This frame stays in the traceback of what was raised, and they would keep each other.
            del found
            watch.finish(partial(self._outcomes.__getitem__, -1))
            watch.read_item(item)
            if broke or (failed and stop):
                break

    def results(self, *, every: bool = False) -> tuple[list[Any], list[Failure]]:  # noqa: ARG002
        """As _forked.Ended.results."""
        outcomes = self.outcomes()
        failures: list[Failure] = [
            (found.index, found.item, found.error) for found in outcomes if found.error is not None
        ]
        return [found.result for found in outcomes], failures

    def outcomes(self) -> list[Outcome[Any]]:
        """As _forked.Ended.outcomes; they can be asked for once, and are not kept here."""
        outcomes, self._outcomes = self._outcomes, []
        return outcomes


def _outcome(index: int, item: object, found: _Found, started: float) -> Outcome[Any]:
    return Outcome(
        index,
        item,
        result=found[0],
        error=found[1],
        pid=os.getpid(),
        attempts=1,
        started=started,
        seconds=time.monotonic() - started,
    )


def _process(
    worker: ParallelWorker | Process,
    process: Process,
    options: Options,
    index: int,
    item: object,
    *,
    discard: bool,
) -> _Found:
    codec = options.codec
    broke = False
    try:
        try:
            result = process(item)
        except Break as end:
            result, broke = end.value, True
        wanted = broke or not discard
        if codec is not None and wanted:
            payload, is_text = encoded(codec, result)
    except SystemExit as end:
        return None, dead(index, item, os.getpid(), _wait_status(end)), False
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # it is the item's outcome
        # In no variable: this frame is in its traceback, and they would keep each other.
        return (
            None,
            raised.as_if_sent(error, rebuild=options.rebuild, index=index, item=item),
            False,
        )
    if not wanted or (broke and result is None and codec is None):
        return None, None, broke
    if codec is not None:
        value, failed = decoded(codec, payload, is_text=is_text, index=index, item=item)
        return value, failed, broke and failed is None
    if not isinstance(result, str):
        return None, not_text(worker, index, item, type(result).__qualname__), False
    return str.__str__(result), None, broke  # of a subclass: the text, as from a child


def _wait_status(end: SystemExit) -> int:
    """Of a child that would have ended so."""
    code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return (code & 0xFF) << 8
