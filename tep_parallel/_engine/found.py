"""Make a value, an exception or an Outcome of what C found of an item."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import Any

from tep_parallel._engine.codec import decoded
from tep_parallel._engine.native import file_error, lib
from tep_parallel._engine.plan import Plan
from tep_parallel._engine.under_way import UnderWay
from tep_parallel._errors import (
    DeadWorkerError,
    ItemTimeoutError,
    ParallelError,
    TamperedResultError,
    cut_short,
    dead,
    dead_in_setup,
    not_begun,
    shown,
)
from tep_parallel._outcome import Outcome
from tep_parallel._worker import not_text

_RETURNED = lib.SPHTTP_RETURNED
_ENCODED = lib.SPHTTP_ENCODED
_ENCODED_TEXT = lib.SPHTTP_ENCODED_TEXT
_RAISED = lib.SPHTTP_RAISED
_RAISED_AS = lib.SPHTTP_RAISED_AS
_DISCARDED = lib.SPHTTP_DISCARDED
_NOT_BEGUN = lib.SPHTTP_NOT_BEGUN
_BREAK = lib.SPHTTP_BREAK
_ENDED_BY = (lib.SPHTTP_DIED, lib.SPHTTP_LATE, lib.SPHTTP_CUT)
_UNENDED = (_NOT_BEGUN, lib.SPHTTP_CUT)
_KINDS = (_RETURNED, _ENCODED, _ENCODED_TEXT, _DISCARDED)

_MOST_ERRNO = 4095  # the largest errno of Linux

ValueOrError = tuple[Any, Exception | None]


class Finder:
    """Makes values, exceptions and outcomes of what C found in one call.

    The cell of an item is where C has it. In a fed call the next item takes the cell of one that
    has been fetched; otherwise it is the item's index.

    Attributes:
        elsewhere: Whether items are processed by what is no fork of this process.
        break_values: What Break and Kill gave, by index, as far as it has been looked at.
    """

    elsewhere = False

    def __init__(self, call: UnderWay, plan: Plan) -> None:
        self.break_values: dict[int, Any] = {}
        self.fill = call.fill
        self.result = call.result
        self.gives_back = call.gives_back
        self._call = call
        self._plan = plan
        self._items = plan.items
        self._numbers: Sequence[int] = plan.numbers or range(len(plan.items))
        self._options = plan.options

    def is_unended(self, result: Any) -> bool:
        """Whether the item was not begun, or was killed with the whole call."""
        return result.fate in _UNENDED

    def outcome(self, cell: int, fetched: ValueOrError = (None, None)) -> Outcome[Any]:
        """The Outcome of an item, of which `fetched` may have been fetched already."""
        index, item = self._numbers[cell], self._items[cell]
        result = self._call.result(cell)
        value, error = fetched
        if value is None and error is None:
            value, error = self.value(cell, result)
        if result.fate == _NOT_BEGUN:
            error = not_begun(index, item, stopped=self._call.stopping)
        exit_code = signal = None
        status = result.wait_status
        seen = status >= 0 and not self._plan.pool
        # A child of a pool serves other items too: its end belongs to the item it died with.
        if seen or (status >= 0 and result.fate in _ENDED_BY):
            if os.WIFSIGNALED(status):
                signal = os.WTERMSIG(status)
            else:
                exit_code = os.WEXITSTATUS(status)
        return Outcome(
            index,
            item,
            result=value,
            error=error,
            host=self._call.host(cell) if result.pid else None,
            pid=result.pid or None,
            exit_code=exit_code,
            signal=signal,
            attempts=result.attempts,
            started=result.started_ns / 1e9 if result.started_ns else None,
            seconds=(result.ended_ns - result.started_ns) / 1e9,
            cpu_seconds=result.cpu_ns / 1e9 if seen else None,
            max_rss=result.max_rss if seen else None,
        )

    def value(self, cell: int, result: Any) -> ValueOrError:
        """The value or the exception of an item. Both are None if it has neither."""
        fate = result.fate
        kind = fate % _BREAK if fate >= _BREAK else fate
        if kind in _KINDS:
            value, error = self._decoded(cell, result, kind)
            if fate != kind and error is None:
                self.break_values[self._numbers[cell]] = value
            return value, error
        if fate == _NOT_BEGUN:
            return None, None
        return None, self._error(cell, result, fate)

    def _decoded(self, cell: int, result: Any, kind: int) -> ValueOrError:
        codec = self._options.codec
        if kind == _DISCARDED and (codec is None or result.fate == kind):
            return None, None
        if kind == _RETURNED and codec is None:
            try:
                return self._call.text(cell, result), None
            except UnicodeDecodeError:
                return None, self._tampered(cell)
        if kind in (_ENCODED, _ENCODED_TEXT) and codec is not None:
            payload = self._call.payload(cell, result)
            is_text = kind == _ENCODED_TEXT
            index, item = self._numbers[cell], self._items[cell]
            return decoded(codec, payload, is_text=is_text, index=index, item=item)
        return None, self._tampered(cell)  # no child of this call writes that

    def call_error(self) -> Exception | None:
        """The exception for a setup or teardown that failed; None if none did."""
        # C keeps it behind the last item.
        cell = len(self._items)
        result = self._call.result(cell)
        error: Exception | None
        if result.fate == _NOT_BEGUN:
            pid, status = self._call.unready
            return dead_in_setup(pid, status) if pid != 0 else None
        if result.fate == lib.SPHTTP_NOT_TEXT:
            error = _ended_by_exit(self._call.payload(cell, result))
            if error is not None:
                return error
        from tep_parallel._engine.travel import raised

        if result.fate in (_RAISED, _RAISED_AS):
            rebuild = self._options.rebuild and result.fate == _RAISED_AS
            payload = self._call.payload(cell, result)
            error = raised.unpack(
                payload, rebuild=rebuild, where="setup or teardown", elsewhere=self.elsewhere
            )
        else:
            error = ParallelError("setup or teardown failed in a child, which could not say how")
        raised.add_note(error, "tep_parallel: raised by setup or teardown, not for an item")
        return error

    def _tampered(self, cell: int) -> TamperedResultError:
        index, item = self._numbers[cell], self._items[cell]
        msg = f"item {index} ({shown(item)}): the record of its result is not the one"
        return TamperedResultError(f"{msg} its child wrote", index=index, item=item)

    def _error(self, cell: int, result: Any, fate: int) -> Exception:
        """The exception for an item that was begun and has no value."""
        index, item = self._numbers[cell], self._items[cell]
        where = f"item {index} ({shown(item)})"
        if fate in (_RAISED, _RAISED_AS):
            from tep_parallel._engine.travel import raised

            rebuild = self._options.rebuild and fate == _RAISED_AS
            try:
                payload = self._call.payload(cell, result)
                return raised.unpack(
                    payload, rebuild=rebuild, index=index, item=item, elsewhere=self.elsewhere
                )
            except UnicodeDecodeError:
                return self._tampered(cell)
        if fate == lib.SPHTTP_NO_DIGEST:
            payload = self._call.payload(cell, result)
            code = int.from_bytes(payload, sys.byteorder, signed=True)
            plausible = -_MOST_ERRNO <= code < 0 or code == lib.SPHTTP_NOT_A_FILE
            return file_error(code, item) if plausible else self._tampered(cell)
        if fate == lib.SPHTTP_NOT_TEXT:
            kind = self._call.payload(cell, result).decode(errors="replace")
            return not_text(self._plan.worker, index, item, kind)
        if fate == lib.SPHTTP_TAMPERED:
            return self._tampered(cell)
        pid = result.pid or None
        if fate == lib.SPHTTP_DIED:
            return dead(index, item, pid, result.wait_status)
        if fate == lib.SPHTTP_CUT:
            return cut_short(index, item, pid)
        if fate == lib.SPHTTP_LATE:
            msg = f"{where}: child {pid} was killed, because it still ran after"
            msg += f" {self._options.timeout} s"
            return ItemTimeoutError(msg, index=index, item=item)
        verb = "writing" if fate == lib.SPHTTP_UNWRITTEN else "reading"
        reason = os.strerror(result.error)
        return OSError(result.error, f"{reason}, while {verb} the result of {where}")


def _ended_by_exit(payload: bytes) -> DeadWorkerError | None:
    """The error for a child that says its setup or teardown called sys.exit. None: no child of
    the library says `payload`."""
    said = re.fullmatch(rb"(setup|teardown) (\d{1,9}) (\d{1,3})", payload)
    if said is None:
        return None
    return dead_in_setup(int(said[2]), (int(said[3]) & 0xFF) << 8, by=said[1].decode())
