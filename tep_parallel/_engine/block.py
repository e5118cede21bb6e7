"""The block of a Parallel: what is kept from call to call, and for whom."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

from tep_parallel._engine import counting
from tep_parallel._engine.home import Home
from tep_parallel._engine.lease import Lease
from tep_parallel._engine.native import lib
from tep_parallel._engine.nest import cells_of
from tep_parallel._engine.options import Options
from tep_parallel._engine.plan import Plan
from tep_parallel._engine.running import Running
from tep_parallel._worker import ParallelWorker, Process


class Block:
    """What a Parallel keeps from its `with` to the end of that.

    It belongs to the process that made it. A process that was forked from that one makes
    another server, when it first calls something, and never uses its parent's.

    Args:
        worker: The worker, or a function of one item.
        options: The caller's.
        running: Where calls are entered while abort can end them.

    Raises:
        OSError, RuntimeError: See Home.
    """

    def __init__(
        self, worker: ParallelWorker | Process, options: Options, running: Running
    ) -> None:
        cells = cells_of(options.items_ahead())
        free = [-1] * cells
        self.worker = worker
        self._running = running
        self._plan = Plan(
            worker, [None] * cells, options, "finish", running, discard=None, numbers=free
        )
        self._user = _user()
        self._closed = False
        self._home = self._entered()

    def _entered(self) -> Home:
        _warn_of_threads()
        return Home(self._plan, self._kept)

    def lease(self, running: Running, deadline: float | None) -> Lease:
        """A call that is to run in this block.

        Raises:
            RuntimeError: The block has ended; or this process has other rights than at its
                entry.
            OSError: See Home.
        """
        if self._closed:
            msg = "the block of this Parallel has ended"
            raise RuntimeError(msg)
        if _user() != self._user:
            msg = "the user or the groups of this process are not those that it had when it entered"
            msg += " the block: the kept children have the former rights; enter the block later"
            raise RuntimeError(msg)
        home = self._home
        if home.pid != os.getpid():
            home = self._home = self._entered()
        return Lease(home, running, deadline)

    @property
    def serves(self) -> bool:
        """Whether calls of this process run in the block: those of its children do not."""
        return counting.forked_by is None or self._home.pid == os.getpid()

    def _kept(self) -> list[int]:
        """The descriptors that children have, beside 0 to 2.

        Raises:
            OSError: One that the caller named is not open.
        """
        found = {_descriptor(stream) for stream in _writers()}
        for value in self._plan.options.keep:
            number = value if isinstance(value, int) else _descriptor(value)
            os.fstat(number)
            found.add(number)
        return sorted(number for number in found if number > 2)

    def close(self, *, well: bool) -> None:
        """End the block: what runs in it is aborted.

        Args:
            well: Whether children may run `teardown`; otherwise they are killed.

        Raises:
            Exception: What a teardown has raised.
        """
        self._closed = True
        home = self._home
        if home.pid != os.getpid():
            return  # it is the parent's
        try:
            for call in self._running.calls():
                if isinstance(call, Lease) and call.home is home:
                    call.abort()
            if well:
                home.close()
        finally:
            home.forget()


def _user() -> tuple[Any, ...]:
    return os.getresuid(), os.getresgid(), os.getgroups()


def _writers() -> Iterator[object]:
    """What this process writes text to."""
    yield from (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    logging = sys.modules.get("logging")
    if logging is not None:
        for reference in list(logging._handlerList):
            handler = reference()
            yield getattr(handler, "__dict__", {}).get("stream")


def _descriptor(stream: Any) -> int:
    """The descriptor of a stream; -1: it has none."""
    try:
        number = stream.fileno()
    except Exception:  # noqa: BLE001  # whatever stands in for a stream may raise anything
        return -1
    return number if isinstance(number, int) else -1


def _warn_of_threads() -> None:
    """Warn if this process has threads: what they hold at the fork stays locked in children."""
    if lib.sphttp_is_alone():
        return
    me = threading.current_thread()
    names = [each.name for each in threading.enumerate() if each is not me]
    others = len(os.listdir("/proc/self/task")) - 1 - len(names)
    if others > 0:
        names.append(f"{others} that Python does not know")
    if names:
        msg = f"the block was entered in a process with other threads ({', '.join(names)}): what"
        msg += " they hold now, a lock or an import, children never get; enter it before they start"
        warnings.warn(msg, RuntimeWarning, stacklevel=5)
