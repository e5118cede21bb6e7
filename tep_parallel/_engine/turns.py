"""How many calls of a block run at once, and whose turn is next.

A signal handler may make a call, or raise, while its own thread is anywhere in here. So there is
no lock round what threads share, and nobody is handed anything that could be lost on the way:
those who want a turn stand in a line for as long as they live, and the first of it have one.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from weakref import ref

_LOOK = 0.5  # seconds after which one who waits looks by itself: a handler may have kept who wakes


class Permit:
    """One that stands in the line: it runs, or waits for its turn.

    Attributes:
        thread: Which thread has it.
        counted: Whether it needs a turn; otherwise it is beyond the limit.
        entry: What stands in the line.
        lock: What wakes it where it waits.
    """

    __slots__ = ("__weakref__", "counted", "entry", "lock", "thread")

    def __init__(self, thread: int, gone: Callable[[ref[Permit]], None]) -> None:
        self.thread = thread
        self.counted = True
        self.lock: threading.Lock | None = None  # gevent may have put its own here
        self.entry: ref[Permit] | None = ref(self, gone)

    def wake(self) -> None:
        lock = self.lock  # once: whoever waits may drop it meanwhile
        if lock is not None:
            with contextlib.suppress(RuntimeError):  # it has been woken
                lock.release()


class Turns:
    """The turns of a block's calls.

    Args:
        most: How many calls may run at once.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        # In the order in which they came. It keeps nobody alive.
        self._line: dict[ref[Permit], None] = {}

    @property
    def taken(self) -> int:
        """How many there are that have a turn, or want one."""
        return len(self._line)

    def take(
        self, until: float | None, is_over: Callable[[], bool], *, wait: bool = True
    ) -> Permit | None:
        """Wait for a turn, in the order in which threads came; None: the wait is over.

        A thread that has one, or waits, gets another at once, beyond the limit: it might wait
        for itself.

        Args:
            until: Where the wait ends, by time.monotonic; None: nowhere.
            is_over: Whether the wait is over; asked when `wake` is called.
            wait: False: there is no wait, whoever asks sees to the limit.
        """
        permit = Permit(threading.get_ident(), self._gone)
        entry = permit.entry
        assert entry is not None
        try:
            permit.counted = wait and all(other.thread != permit.thread for other in self._living())
            self._line[entry] = None
            if not permit.counted or self._is_next(permit) or self._wait(permit, until, is_over):
                return permit
        except BaseException:
            # Whoever raises keeps this frame, which must not keep a permit in the line.
            self.leave(permit)
            raise
        self.leave(permit)
        return None

    def _wait(self, permit: Permit, until: float | None, is_over: Callable[[], bool]) -> bool:
        """Whether its turn has come."""
        lock = permit.lock = threading.Lock()
        lock.acquire()
        while not self._is_next(permit):
            left = _LOOK if until is None else min(_LOOK, until - time.monotonic())
            if left <= 0 or is_over():
                return False
            lock.acquire(timeout=left)
        permit.lock = None
        return True

    def _living(self) -> list[Permit]:
        """All that stand in the line."""
        found = [entry() for entry in list(self._line)]
        return [permit for permit in found if permit is not None]

    def _first(self) -> list[Permit]:
        """Those that have their turn."""
        return [permit for permit in self._living() if permit.counted][: self.most]

    def _is_next(self, permit: Permit) -> bool:
        return len(self._line) <= self.most or permit in self._first()

    def wake(self) -> None:
        """Let each thread that waits ask whether its wait is over."""
        for permit in self._living():
            permit.wake()

    def leave(self, permit: Permit) -> None:
        """It has run. One that nobody has any more leaves by itself."""
        if permit.entry is not None:
            self._gone(permit.entry)
            permit.entry = None

    def _gone(self, entry: ref[Permit]) -> None:
        self._line.pop(entry, None)
        if len(self._line) >= self.most:
            for permit in self._first():
                permit.wake()
