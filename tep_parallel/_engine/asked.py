"""One call that a task of asyncio awaits, before it begins."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterable

from tep_parallel._engine.arriving import Arriving
from tep_parallel._engine.gate import InLoop
from tep_parallel._engine.places import Place
from tep_parallel._engine.running import Running
from tep_parallel._engine.waiting import Bell
from tep_parallel._errors import AbortedError, DeadlineError
from tep_parallel._typing import Any, NoReturn


class Asked:
    """One call, from when it is asked for until it begins.

    Args:
        here: Where it runs.
        running: Where it is entered until its end.
        deadline: Seconds that it may take from now on; None: any time.
        block: In which it is to run, an AsyncBlock.

    Attributes:
        aborted: Whether somebody wants it to end.
        bell: What wakes the task that drives it.
        block: The AsyncBlock that ends it; None: none does.
    """

    def __init__(
        self, here: InLoop, running: Running, deadline: float | None, block: object
    ) -> None:
        self.aborted = False
        self.block: Any = block
        self.bell = Bell(here.loop)
        self._here = here
        self._running = running
        self._deadline = deadline
        self._until = None if deadline is None else time.monotonic() + deadline
        self._place = Place()
        self._source: Arriving | None = None
        # Who drives it has this: the bell is for one task. The block may end, or the iterator be
        # closed, while another task waits for a result.
        self._drives = asyncio.Lock()

    def abort(self) -> None:
        """Kill what runs of it."""
        raise NotImplementedError

    async def end(self) -> None:
        """Kill and reap what runs of it."""
        raise NotImplementedError

    def leave(self) -> None:
        """Nothing of it runs any more. A second call does nothing."""
        self._here.places.leave(self._place)
        self._running.leave(self)
        self._here.calls.discard(self)

    async def listed(self, items: AsyncIterable[Any]) -> list[Any]:
        """Its items, all of which are there before it is admitted.

        Raises:
            DeadlineError, AbortedError: See admit.
            CancelledError: The task was cancelled. The source has ended first.
            Exception: What the source raised.
        """
        source = self.source_of(items)
        try:
            async with self._drives:
                source.allow(sys.maxsize)
                while not source.over:
                    left = self._left()
                    if self.aborted:
                        self._raise_aborted()
                    if left is not None and left <= 0:
                        self._raise_late(0)
                    await self.bell.wait(-1, left)
            return list(source)
        except GeneratorExit:  # the task is dropped
            raise
        except BaseException:
            await self.end()
            raise
        finally:
            self._source = None

    async def admit(self, count: int) -> float | None:
        """Wait for a place among the calls that are alive. The seconds that the call has left.

        Args:
            count: How many items it has; 0: nobody knows.

        Raises:
            DeadlineError: The deadline came first.
            AbortedError: The call was aborted first.
        """
        there = await self._here.places.take(self._place, self._left())
        left = self._left()
        if self.aborted:
            self._raise_aborted()
        if not there or (left is not None and left <= 0):
            self._raise_late(count)
        return left

    def _left(self) -> float | None:
        return None if self._until is None else self._until - time.monotonic()

    def _raise_aborted(self) -> NoReturn:
        msg = "the call was aborted"
        raise AbortedError(msg, outcomes=[])

    def _raise_late(self, count: int) -> NoReturn:
        msg = f"the call was not over after {self._deadline} s: "
        msg += f"{count} of {count} items had not ended"
        raise DeadlineError(msg, outcomes=[])

    def hold(self) -> None:
        """This task is handed results now."""
        self._place.hold()

    def source_of(self, items: AsyncIterable[Any]) -> Arriving:
        """Where its items come from."""
        self._source = Arriving(items, self.bell, self._place.hold_source)
        return self._source
