"""A chunk without children: the executor's worker processes its items, one after the other.

This needs no extension, so that it runs in subinterpreters too.
"""

from __future__ import annotations

import os
import pickle
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from tep_parallel._cluster.found import Found
from tep_parallel._cluster.interrupts import Interrupts
from tep_parallel._cluster.shipping import unbundled
from tep_parallel._cluster.wire import Chunk, Record
from tep_parallel._control import Break
from tep_parallel._engine import counting
from tep_parallel._engine.codec import encoded
from tep_parallel._engine.statuses import (
    DIED,
    DISCARDED,
    ENCODED,
    ENCODED_TEXT,
    NOT_BEGUN,
    NOT_TEXT,
    RETURNED,
    break_value,
    packed,
)
from tep_parallel._worker import process_of, setup_and_teardown_of

_MOST_COPIES = 4  # that a thread keeps


class Copy:
    """A worker as one thread has it. It is set up once; or, if it has a teardown, for each chunk.

    Args:
        data: Of a Bundle.
    """

    def __init__(self, data: bytes) -> None:
        self.worker, self.codec = unbundled(data)
        self.process = process_of(self.worker)
        self.setup, self.teardown = setup_and_teardown_of(self.worker)
        self.is_set_up = False


class Copies(threading.local):
    """The workers that a thread keeps, by hash."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, Copy] = OrderedDict()

    def get(self, worker: bytes, data: bytes) -> Copy:
        """That of this thread."""
        copy = self._kept.pop(worker, None)
        if copy is None:
            copy = Copy(data)
        self._kept[worker] = copy
        if len(self._kept) > _MOST_COPIES:
            self._kept.popitem(last=False)
        return copy


class Alone:
    """A chunk's items on their way through this thread.

    Args:
        left: Seconds to the call's deadline; None: it has none.
        is_ended: Whether the call has been aborted, or stopped.
    """

    def __init__(
        self, copy: Copy, chunk: Chunk, left: float | None, is_ended: Callable[[], bool]
    ) -> None:
        self._copy = copy
        self._chunk = chunk
        self._is_ended = is_ended
        self._rebuild = bool(chunk.options["rebuild_exceptions"])
        self._texts: list[str | None] = [None] * len(chunk.items)
        self._records: dict[int, Record] = {}
        self._interrupts = Interrupts()
        self._until = None if left is None else time.monotonic() + left

    def run(self) -> Found:
        """Process the items."""
        former = counting.without_child.set(True)
        try:
            with self._interrupts:
                return self._run()
        finally:
            counting.without_child.reset(former)

    def _run(self) -> Found:
        copy, count = self._copy, len(self._chunk.items)
        if not copy.is_set_up and self._call_once("setup", copy.setup):
            copy.is_set_up = True
        begun, overdue = 0, False
        try:
            while copy.is_set_up and begun < count and not self._is_ended():
                overdue = self._until is not None and time.monotonic() >= self._until
                if overdue:
                    break
                begun += 1
                if not self._process(begun - 1, self._chunk.items[begun - 1]):
                    break
        finally:
            if copy.teardown is not None and copy.is_set_up:
                copy.is_set_up = False
                self._call_once("teardown", copy.teardown)
        for index in range(begun, count):
            self._records[index] = Record(NOT_BEGUN)
        return Found(self._texts, self._records, overdue)

    def _call_once(self, name: str, method: Callable[[], object] | None) -> bool:
        """Call setup or teardown. Whether it failed not; otherwise that is the call's record."""
        try:
            if method is not None:
                method()
        except SystemExit as end:
            said = f"{name} {os.getpid()} {_exit_code(end)}".encode()
            self._records[len(self._texts)] = Record(NOT_TEXT, pid=os.getpid(), said=said)
        except BaseException as error:  # noqa: BLE001  # it travels to the caller
            self._interrupts.pass_on(error)
            fate, said = packed(error, rebuild=self._rebuild)
            self._records[len(self._texts)] = Record(fate, pid=os.getpid(), said=said)
        else:
            return True
        return False

    def _process(self, index: int, entry: str | bytes) -> bool:
        """Process an item. Whether others may follow."""
        codec, discard, ended_by = self._copy.codec, self._chunk.discard, -1
        failed = broke = False
        fate, said = DISCARDED if discard else RETURNED, b""
        result: Any = None
        started = time.monotonic_ns()
        try:
            item = entry if type(entry) is str else pickle.loads(entry)  # type: ignore[arg-type]  # noqa: S301  # the caller's
            result = self._copy.process(item)
            if not discard and codec is not None:
                said, is_text = encoded(codec, result)
                fate = ENCODED_TEXT if is_text else ENCODED
        except SystemExit as end:
            fate, ended_by, failed = DIED, _exit_code(end) << 8, True
        except BaseException as error:  # noqa: BLE001  # it travels to the caller
            self._interrupts.pass_on(error)
            broke = issubclass(type(error), Break)
            if broke:
                fate, said = break_value(error, codec, rebuild=self._rebuild)
            else:
                fate, said = packed(error, rebuild=self._rebuild)
            failed = True
        if not failed and codec is None and not discard:
            if not isinstance(result, str):
                fate, said, failed = NOT_TEXT, type(result).__qualname__.encode(), True
            elif self._chunk.told:
                said = str.encode(result, "utf-8", "surrogatepass")
            else:
                self._texts[index] = str.__str__(result)
                return True
        if failed or self._chunk.told or not discard:
            self._record(index, fate, ended_by, started, said)
        return not (broke or (failed and self._chunk.on_error != "finish"))

    def _record(self, index: int, fate: int, ended_by: int, started: int, said: bytes) -> None:
        ended = time.monotonic_ns()
        self._records[index] = Record(fate, 0, os.getpid(), ended_by, 1, started, ended, said=said)


def _exit_code(end: SystemExit) -> int:
    code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return code & 0xFF
