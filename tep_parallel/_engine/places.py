"""How many calls of an AsyncParallel are alive in an event loop, and who waits for that.

All of this is touched in the loop's thread only, so there are no locks.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from contextvars import ContextVar
from weakref import WeakSet


class Line:
    """Tasks that wait, in the order in which they came. A task may stand in several lines.

    Attributes:
        waiters: What they wait for: it is set to the line that woke them, or to None.
    """

    def __init__(self) -> None:
        self.waiters: deque[asyncio.Future[Line | None]] = deque()

    def wake(self) -> bool:
        """Wake the first; whether there was one."""
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                waiter.set_result(self)
                return True
        return False

    def pass_on(self) -> None:
        """One that was woken was cancelled in the same moment."""
        raise NotImplementedError


async def woken(
    lines: Sequence[Line], waiter: asyncio.Future[Line | None], seconds: float | None = None
) -> bool:
    """Wait to be woken; whether that is so: the time may be over, or somebody may have set None."""
    for line in lines:
        line.waiters.append(waiter)
    timer = None
    if seconds is not None:
        timer = waiter.get_loop().call_later(max(seconds, 0), give_up, waiter)
    try:
        return await waiter is not None
    except BaseException:
        by = waiter.result() if waiter.done() and not waiter.cancelled() else None
        if by is not None:
            by.pass_on()
        raise
    finally:
        for line in lines:
            with contextlib.suppress(ValueError):
                line.waiters.remove(waiter)
        if timer is not None:
            timer.cancel()


def give_up(waiter: asyncio.Future[Line | None]) -> None:
    """Let nobody wait for it any more."""
    if not waiter.done():
        waiter.set_result(None)


class Room(Line):
    """Where so many calls may be at once.

    Args:
        most: That many.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most
        self._taken = 0

    def enter(self) -> bool:
        """Enter without waiting; whether that is done."""
        if self._taken >= self._most:
            return False
        self._taken += 1
        return True

    def leave(self) -> None:
        """Make room for another, who may have been woken for it."""
        if not self.wake():
            self._taken -= 1

    pass_on = leave


class Beyond(Room):
    """Where one call may be beyond the limit: who holds an iterator may wait for it.

    Args:
        place: The iterator's.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(1)
        self.place = place


# What the tasks of this context hold: those that fetch results from an iterator, the task that
# pulls its items, and the tasks that these have made meanwhile. What is left in it of iterators
# that are over counts for nothing.
_held: ContextVar[tuple[Beyond, ...]] = ContextVar("_held", default=())


class Place:
    """A place among the calls that are alive, or one's wait for it.

    Attributes:
        alive: Whether it is taken.
        maker: Which task has made the call.
        task: Which task has driven it last.
        waiter: What it waits for.
        room: The room that it takes; None: it is beyond the limit.
    """

    __slots__ = ("__weakref__", "_beyond", "alive", "maker", "room", "task", "waiter")

    def __init__(self) -> None:
        self.alive = False
        self.maker = self.task = asyncio.current_task()
        self.waiter: asyncio.Future[Line | None] | None = None
        self.room: Room | None = None
        self._beyond: Beyond | None = None

    def give_up(self) -> None:
        """Do not wait any more."""
        if self.waiter is not None:
            give_up(self.waiter)

    def hold(self) -> None:
        """This task is handed results, and may make other calls before it asks for more."""
        if self._beyond is None:
            self._beyond = Beyond(self)
        if self._beyond not in _held.get():
            _hold(self._beyond)

    def hold_source(self) -> None:
        """The same for the task that pulls items. What it calls may wait for the other."""
        _hold(Beyond(self))

    def leave(self) -> None:
        """Nobody has it any more. A second call does nothing."""
        self.alive = False
        self._beyond = None
        self.maker = self.task = None  # whose exception may keep the call
        room, self.room = self.room, None
        if room is not None:
            room.leave()


def _hold(beyond: Beyond) -> None:
    _held.set((*(one for one in _held.get() if one.place.alive), beyond))


class Places:
    """How many calls are alive at once. Others wait, in the order in which they came.

    Args:
        most: That many.
    """

    def __init__(self, most: int) -> None:
        self._room = Room(most)
        self._alive: WeakSet[Place] = WeakSet()

    async def take(self, place: Place, seconds: float | None) -> bool:
        """Wait for a place; whether there is one.

        A task that has one gets another at once, beyond the limit: it might wait for itself. Of
        other tasks that an iterator may wait for, one gets a place beyond the limit.
        """
        place.task = task = asyncio.current_task()
        if all(task is not other.task and task is not other.maker for other in self._alive):
            rooms = [self._room, *(one for one in _held.get() if one.place in self._alive)]
            place.room = next((room for room in rooms if room.enter()), None)
            if place.room is None and not await self._wait(place, rooms, seconds):
                return False
        place.alive = True
        self._alive.add(place)
        return True

    async def _wait(self, place: Place, rooms: list[Room], seconds: float | None) -> bool:
        waiter = place.waiter = asyncio.get_running_loop().create_future()
        try:
            if not await woken(rooms, waiter, seconds):
                return False
            place.room = waiter.result()
            return True
        finally:
            place.waiter = None

    def leave(self, place: Place) -> None:
        """It has run. A second call does nothing."""
        self._alive.discard(place)
        place.leave()
