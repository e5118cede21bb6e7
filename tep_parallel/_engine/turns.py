"""How many calls of a block run at once, and whose turn is next.

A signal handler may make a call while its own thread is anywhere in here. So there is no lock
round what threads share: each step on a deque or a dictionary is one for the interpreter.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from weakref import ref


class Permit:
    """That one call may run. It ends when nobody has the object any more, also where a signal
    handler has raised before somebody could keep it.

    Args:
        turns: Where it came from.
        counted: Whether it is one of those that there are; otherwise it is beyond the limit.
    """

    __slots__ = ("_turns", "counted")

    def __init__(self, turns: ref[Turns], *, counted: bool) -> None:
        self._turns = turns
        self.counted = counted

    def __del__(self) -> None:
        turns = self._turns()
        if turns is not None:
            turns.give_back(self)


class _Waiter:
    """A thread that waits for its turn."""

    __slots__ = ("gone", "lock", "permit")

    def __init__(self) -> None:
        self.permit: Permit | None = None
        self.gone = False
        self.lock = threading.Lock()  # it only wakes; gevent may have put its own here
        self.lock.acquire()

    def wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # it has been woken
            self.lock.release()


class Turns:
    """The turns of a block's calls.

    Args:
        most: How many calls may run at once.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._self = ref(self)
        self._free = deque(Permit(self._self, counted=True) for _ in range(most))
        self._waiting: deque[_Waiter] = deque()
        # The threads that have a permit, or wait for one, by the id of that.
        self._threads: dict[int, int] = {}

    @property
    def taken(self) -> int:
        """How many of the permits are taken."""
        return self.most - len(self._free)

    def take(self, until: float | None, is_over: Callable[[], bool]) -> Permit | None:
        """Wait for a permit, in the order in which threads came; None: the wait is over.

        A thread that has one, or waits, gets another at once, beyond the limit: it might wait
        for itself.

        Args:
            until: Where the wait ends, by time.monotonic; None: nowhere.
            is_over: Whether the wait is over; asked when `wake` is called.
        """
        thread = threading.get_ident()
        permit: Permit | None
        if thread in self._threads.values():
            permit = Permit(self._self, counted=False)
        else:
            try:
                # Nobody who waits is overtaken.
                permit = None if self._waiting else self._free.popleft()
            except IndexError:
                permit = None
            if permit is None:
                permit = self._wait(thread, until, is_over)
        if permit is not None:
            self._threads[id(permit)] = thread
        return permit

    def _wait(self, thread: int, until: float | None, is_over: Callable[[], bool]) -> Permit | None:
        waiter = _Waiter()
        self._threads[id(waiter)] = thread
        try:
            self._waiting.append(waiter)
            self._match()
            while waiter.permit is None and not is_over():
                left = -1.0 if until is None else until - time.monotonic()
                if until is not None and left <= 0:
                    break
                waiter.lock.acquire(timeout=left)
            return waiter.permit
        finally:
            waiter.gone = True
            # Whoever raises keeps this frame, which must not keep a permit.
            waiter.permit = None
            del self._threads[id(waiter)]
            with contextlib.suppress(ValueError):
                self._waiting.remove(waiter)

    def wake(self) -> None:
        """Let each thread that waits ask whether its wait is over."""
        for waiter in list(self._waiting):
            waiter.wake()

    def give_back(self, permit: Permit) -> None:
        """Nobody has `permit` any more."""
        self._threads.pop(id(permit), None)
        if permit.counted:
            self._free.append(Permit(self._self, counted=True))
            self._match()

    def _match(self) -> None:
        """Hand free permits to those who wait."""
        while self._waiting and self._free:
            try:
                permit: Permit | None = self._free.popleft()
            except IndexError:
                return
            try:
                waiter = self._waiting.popleft()
            except IndexError:
                continue  # the permit comes back by itself
            waiter.permit = permit
            permit = None
            if waiter.gone:
                waiter.permit = None
            waiter.wake()
