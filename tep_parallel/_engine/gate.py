"""What the tasks of one event loop share: how many calls are alive, and what these take of the
loop's time.

All of this is touched in the loop's thread only, so there are no locks.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import deque
from collections.abc import Callable, Generator
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, WeakSet

Result = TypeVar("Result")

MOST_NS = 5_000_000  # in one turn of the loop, for all calls together


class Line:
    """Tasks that wait, in the order in which they came.

    Args:
        hand_on: Called if one that was woken was cancelled in the same moment.
    """

    def __init__(self, hand_on: Callable[[], None]) -> None:
        self._hand_on = hand_on
        self._waiters: deque[asyncio.Future[bool]] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiters)

    def wake(self) -> bool:
        """Wake the first; whether there was one."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(True)
                return True
        return False

    async def wait(self, waiter: asyncio.Future[bool], seconds: float | None = None) -> bool:
        """Wait to be woken; whether that is so: the time may be over, or somebody may have set
        another result."""
        self._waiters.append(waiter)
        timer = None
        if seconds is not None:
            timer = waiter.get_loop().call_later(max(seconds, 0), give_up, waiter)
        try:
            return await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled() and waiter.result():
                self._hand_on()
            raise
        finally:
            with contextlib.suppress(ValueError):
                self._waiters.remove(waiter)
            if timer is not None:
                timer.cancel()


def give_up(waiter: asyncio.Future[bool]) -> None:
    """Let nobody wait for it any more."""
    if not waiter.done():
        waiter.set_result(False)


class Place:
    """A place among the calls that are alive, or one's wait for it.

    Attributes:
        task: Which task has it.
    """

    __slots__ = ("__weakref__", "counted", "task", "waiter")

    def __init__(self) -> None:
        self.task: asyncio.Task[object] | None = None
        self.counted = False
        self.waiter: asyncio.Future[bool] | None = None

    def give_up(self) -> None:
        """Do not wait any more."""
        if self.waiter is not None:
            give_up(self.waiter)


class Places:
    """How many calls are alive at once. Others wait, in the order in which they came.

    Args:
        most: That many.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._line = Line(self._free)
        self._alive: WeakSet[Place] = WeakSet()

    async def take(self, place: Place, seconds: float | None) -> bool:
        """Wait for a place; whether there is one.

        A task that has one gets another at once, beyond the limit: it might wait for itself.
        """
        if all(other.task is not place.task for other in self._alive):
            if self._taken < self._most and not self._line:
                self._taken += 1
            else:
                place.waiter = asyncio.get_running_loop().create_future()
                if not await self._line.wait(place.waiter, seconds):
                    return False
            place.counted = True
        self._alive.add(place)
        return True

    def leave(self, place: Place) -> None:
        """It has run. A second call does nothing."""
        self._alive.discard(place)
        if place.counted:
            place.counted = False
            self._free()

    def _free(self) -> None:
        if not self._line.wake():
            self._taken -= 1


class Share:
    """What calls take of a loop's time: in one turn of it no more than some milliseconds, or one
    fork. What is left waits for the next turn.

    Args:
        loop: The event loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._spent = 0
        self._line = Line(self._next)
        self._begun = 0
        self._due = False  # whether the next turn of the loop is heard of

    async def begin(self) -> None:
        """Wait until there is time."""
        if self._spent >= MOST_NS or self._line:
            await self._line.wait(self._loop.create_future())
        self._begun = time.monotonic_ns()

    def end(self, *, forked: bool) -> None:
        """So much was spent."""
        self._spent += MOST_NS if forked else time.monotonic_ns() - self._begun
        self._next()

    def _next(self) -> None:
        """Let the next go on: now, or in the next turn."""
        if self._spent < MOST_NS and self._line.wake():
            return  # it says when it has ended
        if not self._due:
            self._due = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._due = False
        self._spent = 0
        self._line.wake()


_shares: WeakKeyDictionary[asyncio.AbstractEventLoop, Share] = WeakKeyDictionary()


def share_of(loop: asyncio.AbstractEventLoop) -> Share:
    """The loop's, which all calls in it share."""
    share = _shares.get(loop)
    if share is None:
        share = _shares[loop] = Share(loop)
    return share


class InLoop:
    """What an AsyncParallel has in one event loop.

    Args:
        loop: The event loop.
        most: How many calls may be alive at once.

    Attributes:
        calls: Those that wait or run, each an Awaited.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, most: int) -> None:
        self.loop = loop
        self.places = Places(most)
        self.share = share_of(loop)
        self.calls: WeakSet[Any] = WeakSet()
        self._pid = os.getpid()

    @property
    def is_past(self) -> bool:
        """Whether nothing can run in it any more."""
        return self._pid != os.getpid() or self.loop.is_closed()

    async def in_slices(self, work: Generator[None, None, Result]) -> Result:
        """Do work that computes, and let others go on in between."""
        while True:
            await self.share.begin()
            end = time.monotonic_ns() + MOST_NS
            try:
                while time.monotonic_ns() < end:
                    next(work)
            except StopIteration as over:
                return over.value  # type: ignore[no-any-return]
            finally:
                self.share.end(forked=False)
