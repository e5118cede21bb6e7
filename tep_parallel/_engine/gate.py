"""What the tasks of one event loop share: the loop's time, and what stands in places.py.

All of this is touched in the loop's thread only, so there are no locks.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Generator
from weakref import WeakKeyDictionary, WeakSet

from tep_parallel._engine.ended import in_slices
from tep_parallel._engine.places import Line, Places, woken
from tep_parallel._engine.waits import MOST_NS
from tep_parallel._typing import Any, TypeVar

Result = TypeVar("Result")


class Share(Line):
    """What calls take of a loop's time, all together: in one turn of it MOST_NS, or one fork.
    What is left waits for the next turn.

    Args:
        loop: The event loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop
        self._spent = 0
        self._begun = 0
        self._due = False  # whether the next turn of the loop is heard of

    async def begin(self) -> None:
        """Wait until there is time."""
        if self._spent >= MOST_NS or self.waiters:
            await woken([self], self._loop.create_future())
        self._begun = time.monotonic_ns()

    def end(self, *, forked: bool) -> None:
        """So much was spent."""
        self._spent += MOST_NS if forked else time.monotonic_ns() - self._begun
        self.pass_on()

    def pass_on(self) -> None:
        """Let the next go on: now, or in the next turn."""
        if self._spent < MOST_NS and self.wake():
            return  # it says when it has ended
        if not self._due:
            self._due = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._due = False
        self._spent = 0
        self.wake()


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
        slices = in_slices(work)
        while True:
            await self.share.begin()
            try:
                next(slices)
            except StopIteration as over:
                return over.value  # type: ignore[no-any-return]
            finally:
                self.share.end(forked=False)
