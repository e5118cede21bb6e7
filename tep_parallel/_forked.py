"""A call with children: fork, wait, and make results or outcomes of what is found."""

from __future__ import annotations

import os
from typing import Any

from tep_parallel import _child, _raised
from tep_parallel._codec import Codec, decoded
from tep_parallel._engine import Call
from tep_parallel._errors import Failure, ParallelError, TamperedResultError, dead, shown
from tep_parallel._native import lib
from tep_parallel._outcome import Outcome
from tep_parallel._worker import ParallelWorker, Process, hooks_of, not_text

_RETURNED = lib.SPHTTP_RETURNED
_ENCODED = lib.SPHTTP_ENCODED
_ENCODED_TEXT = lib.SPHTTP_ENCODED_TEXT
_DISCARDED = lib.SPHTTP_DISCARDED
_NOT_BEGUN = lib.SPHTTP_NOT_BEGUN


class Ended:
    """A call whose children have all ended; its results are still in C.

    Args:
        worker: For messages.
        process: Its function of one item.
        items: At least one.
        alive: How many children may be alive at once.
        pool: Whether each takes item after item; else it has one.
        stop_on_failure: Whether no item is begun after one has failed; else all are.
        discard: Nobody wants to know what `process` returns.
        codec: How results travel; None: as text.
        rebuild: Whether exceptions may be unpickled.
        root: Where the scratch directory is made.

    Raises:
        OSError, RuntimeError: See Call.run.
        Exception: What setup or teardown raised.
    """

    def __init__(
        self,
        worker: ParallelWorker | Process,
        process: Process,
        items: list[Any],
        *,
        alive: int,
        pool: bool,
        stop_on_failure: bool,
        discard: bool,
        codec: Codec[Any] | None,
        rebuild: bool,
        root: str,
    ) -> None:
        self._worker = worker
        self._items = items
        self._stop_on_failure = stop_on_failure
        self._codec = codec
        self._rebuild = rebuild
        self._pool = pool
        count = len(items)
        hooks = hooks_of(worker)
        with Call(
            count,
            alive=min(alive, count),
            stop_on_failure=stop_on_failure,
            pool=pool,
            linger=pool or hooks[1] is not None,
            root=root,
        ) as self._call:
            prepared = _child.prepare()
            event = self._call.run()
            if event != 0:
                _child.serve(
                    self._call.handle,
                    event - 1,
                    process,
                    items,
                    prepared,
                    hooks,
                    pool,
                    discard,
                    codec,
                    rebuild,
                )
            # While the nursery ends.
            self._values: list[Any] = [None] * count
            self._left = count if codec is not None else self._call.fill(self._values)
        # What failed all children stands behind the last item.
        failure = self._call.result(count)
        if failure.fate != _NOT_BEGUN:
            raise self._call_error(failure)

    def results(self) -> tuple[list[Any], list[Failure]]:
        """What the items returned, None for those that did not; and the failures."""
        values = self._values
        failures: list[Failure] = []
        skipped = []
        for index, item in enumerate(self._items):
            if self._left == 0:
                break
            if values[index] is not None:
                continue
            result = self._call.result(index)
            values[index], error = self._found(index, item, result)
            if error is not None:
                failures.append((index, item, error))
            elif result.fate == _NOT_BEGUN:
                skipped.append((index, item))
        # Not begun because another had failed; unless none has, and there is more amiss.
        if not failures:
            failures += [(index, item, dead(index, item, None, -1)) for index, item in skipped]
        return values, failures

    def outcomes(self) -> list[Outcome[Any]]:
        """What became of each item that was begun, in input order."""
        return [
            self._outcome(index, item, self._call.result(index))
            for index, item in enumerate(self._items)
        ]

    def _outcome(self, index: int, item: object, result: Any) -> Outcome[Any]:
        value, error = self._values[index], None
        if value is None:
            value, error = self._found(index, item, result)
        if result.fate == _NOT_BEGUN:
            error = dead(index, item, None, -1)
        exit_code = signal = None
        status = result.wait_status
        seen = status >= 0 and not self._pool
        if seen and os.WIFSIGNALED(status):
            signal = os.WTERMSIG(status)
        elif seen:
            exit_code = os.WEXITSTATUS(status)
        return Outcome(
            index,
            item,
            result=value,
            error=error,
            pid=result.pid or None,
            exit_code=exit_code,
            signal=signal,
            attempts=result.attempts,
            started=result.started_ns / 1e9 if result.attempts > 0 else None,
            seconds=(result.ended_ns - result.started_ns) / 1e9,
            cpu_seconds=result.cpu_ns / 1e9 if seen else None,
            max_rss=result.max_rss if seen else None,
        )

    def _found(self, index: int, item: object, result: Any) -> tuple[Any, Exception | None]:
        """The value, or the exception; neither for an item without a result or not begun."""
        fate = result.fate
        codec = self._codec
        if fate == _RETURNED and codec is None:
            try:
                return self._call.text(index, result), None
            except UnicodeDecodeError:
                fate = lib.SPHTTP_TAMPERED
        if fate in (_ENCODED, _ENCODED_TEXT) and codec is not None:
            payload = self._call.payload(index, result)
            is_text = fate == _ENCODED_TEXT
            return decoded(codec, payload, is_text=is_text, index=index, item=item)
        if fate in (_DISCARDED, _NOT_BEGUN):
            return None, None
        return None, self._error(index, item, result, fate)

    def _call_error(self, result: Any) -> Exception:
        """The exception for what is wrong with every child."""
        error: Exception
        if result.fate in (lib.SPHTTP_RAISED, lib.SPHTTP_RAISED_AS):
            rebuild = self._rebuild and result.fate == lib.SPHTTP_RAISED_AS
            payload = self._call.payload(len(self._items), result)
            error = _raised.unpack(payload, rebuild=rebuild, where="setup or teardown")
        else:
            error = ParallelError("setup or teardown failed in a child, which could not say why")
        _raised.add_note(error, "tep_parallel: raised by setup or teardown, not for an item")
        return error

    def _error(self, index: int, item: object, result: Any, fate: int) -> Exception:
        """The exception for an item that was begun and whose value is not there."""
        where = f"item {index} ({shown(item)})"
        if fate == lib.SPHTTP_RAISED or fate == lib.SPHTTP_RAISED_AS:
            rebuild = self._rebuild and fate == lib.SPHTTP_RAISED_AS
            try:
                payload = self._call.payload(index, result)
                return _raised.unpack(payload, rebuild=rebuild, index=index, item=item)
            except UnicodeDecodeError:
                fate = lib.SPHTTP_TAMPERED
        if fate == lib.SPHTTP_NOT_TEXT:
            kind = self._call.payload(index, result).decode(errors="replace")
            return not_text(self._worker, index, item, kind)
        if fate in (lib.SPHTTP_TAMPERED, _RETURNED, _ENCODED, _ENCODED_TEXT):
            msg = f"{where}: the record in the scratch directory is not the one its child wrote"
            return TamperedResultError(msg, index=index, item=item)
        if fate == lib.SPHTTP_DIED:
            return dead(index, item, result.pid or None, result.wait_status)
        verb = "writing" if fate == lib.SPHTTP_UNWRITTEN else "reading"
        reason = os.strerror(result.error)
        return OSError(result.error, f"{reason}, while {verb} the result of {where}")
