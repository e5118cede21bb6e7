"""in_processes=0: no fork; the same results and errors, from this process, for debugging."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from tep_parallel import _counting, _raised
from tep_parallel._codec import Codec, decoded, encoded
from tep_parallel._errors import Failure, dead
from tep_parallel._outcome import Outcome
from tep_parallel._worker import ParallelWorker, Process, hooks_of, not_text


class Ended:
    """A call whose items have all been processed in this process.

    Arguments as of _forked.Ended. KeyboardInterrupt gets through: here it is the caller's.
    """

    def __init__(
        self,
        worker: ParallelWorker | Process,
        process: Process,
        items: list[Any],
        *,
        stop_on_failure: bool,
        discard: bool,
        codec: Codec[Any] | None,
        rebuild: bool,
    ) -> None:
        self._outcomes: list[Outcome[Any]] = []
        setup, teardown = hooks_of(worker)
        former = _counting.without_child.set(True)
        try:
            self._hook(setup, rebuild=rebuild)
            run = partial(_process, worker, process, discard=discard, codec=codec, rebuild=rebuild)
            self._process_all(run, items, stop_on_failure=stop_on_failure)
            self._hook(teardown, rebuild=rebuild)
        finally:
            _counting.without_child.reset(former)

    def _hook(self, hook: Callable[[], object] | None, *, rebuild: bool) -> None:
        if hook is None:
            return
        try:
            hook()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  # as a child's would
            failure = _raised.as_if_sent(error, rebuild=rebuild, where="setup or teardown")
            _raised.add_note(failure, "tep_parallel: raised by setup or teardown, not for an item")
            raise failure from failure.__cause__

    def _process_all(
        self,
        run: Callable[[int, Any], tuple[Any, Exception | None]],
        items: list[Any],
        *,
        stop_on_failure: bool,
    ) -> None:
        for index, item in enumerate(items):
            started = time.monotonic()
            value, error = run(index, item)
            self._outcomes.append(
                Outcome(
                    index,
                    item,
                    result=value,
                    error=error,
                    pid=os.getpid(),
                    attempts=1,
                    started=started,
                    seconds=time.monotonic() - started,
                )
            )
            if error is not None and stop_on_failure:
                break

    def results(self) -> tuple[list[Any], list[Failure]]:
        """As _forked.Ended.results."""
        failures: list[Failure] = [
            (found.index, found.item, found.error)
            for found in self._outcomes
            if found.error is not None
        ]
        return [found.result for found in self._outcomes], failures

    def outcomes(self) -> list[Outcome[Any]]:
        """As _forked.Ended.outcomes."""
        return self._outcomes


def _process(
    worker: ParallelWorker | Process,
    process: Process,
    index: int,
    item: object,
    *,
    discard: bool,
    codec: Codec[Any] | None,
    rebuild: bool,
) -> tuple[Any, Exception | None]:
    try:
        result = process(item)
        if codec is not None and not discard:
            payload, is_text = encoded(codec, result)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        return None, dead(index, item, os.getpid(), (code & 0xFF) << 8)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # it is the item's outcome
        return None, _raised.as_if_sent(error, rebuild=rebuild, index=index, item=item)
    if discard:
        return None, None
    if codec is not None:
        return decoded(codec, payload, is_text=is_text, index=index, item=item)
    if not isinstance(result, str):
        return None, not_text(worker, index, item, type(result).__qualname__)
    return str.__str__(result), None  # of a subclass: the text, as from a child
