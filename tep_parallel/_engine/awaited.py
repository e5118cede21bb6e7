"""One call that a task of asyncio awaits."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import NoReturn

from tep_parallel._engine.arriving import Arriving
from tep_parallel._engine.call import Call
from tep_parallel._engine.forked import Steps
from tep_parallel._engine.gate import InLoop, Place, give_up
from tep_parallel._engine.running import Running
from tep_parallel._engine.stepper import Stepper
from tep_parallel._engine.waiting import Bell, in_spite_of_cancels
from tep_parallel._engine.waits import Until
from tep_parallel._errors import AbortedError, DeadlineError

_FAREWELL = 3.0  # seconds that an aborted call has for its end


class Awaited:
    """One call, from when it is asked for until nothing of it runs.

    Args:
        here: Where it runs.
        running: Where it is entered until its end.
        deadline: Seconds that it may take from now on; None: any time.

    Attributes:
        aborted: Whether somebody wants it to end.
        bell: What wakes the task that awaits it.
        over: Set when nothing of it runs any more.
        is_awaited: Whether a task waits for it now.
    """

    def __init__(self, here: InLoop, running: Running, deadline: float | None) -> None:
        self.aborted = False
        self.bell = Bell(here.loop)
        self.is_awaited = False
        self.over: asyncio.Future[bool] = here.loop.create_future()
        self._here = here
        self._running = running
        self._deadline = deadline
        self._until = None if deadline is None else time.monotonic() + deadline
        self._given_up: float | None = None  # when it must have ended
        self._place = Place()
        self._call: Call | None = None
        self._stepper: Stepper | None = None
        self._source: Arriving | None = None
        self._ends = False
        self._finishes: asyncio.Future[bool] | None = None  # while a task sees to its end
        running.enter(self)
        here.calls.add(self)

    def abort(self) -> None:
        """Kill what runs of it; from any thread. It raises AbortedError when that has ended."""
        self._given_up = time.monotonic() + _FAREWELL
        self.aborted = True
        call = self._call
        if call is not None:
            call.cancel()
        self.bell.ring(self._place.give_up)

    def leave(self) -> None:
        """Nothing of it runs any more. A second call does nothing."""
        self._here.places.leave(self._place)
        self._running.leave(self)
        self._here.calls.discard(self)
        give_up(self.over)

    async def admit(self, count: int) -> float | None:
        """Wait for a place among the calls that are alive. The seconds that the call has left.

        Args:
            count: How many items it has; 0: nobody knows.

        Raises:
            DeadlineError: The deadline came first.
            AbortedError: The call was aborted first.
        """
        self._place.task = asyncio.current_task()
        self.is_awaited = True
        try:
            there = await self._here.places.take(self._place, self._left())
        finally:
            self.is_awaited = False
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

    def begin(self, call: Call, steps: Steps, source: Arriving | None = None) -> None:
        """These are its steps.

        Args:
            source: Where its items come from, if they are awaited.
        """
        self._stepper = Stepper(call, steps)
        self._source = call.source = source
        self._call = call
        if self.aborted:  # in the last moment before
            call.cancel()

    async def advance(self) -> bool:
        """Drive it on until it has handed something out. False: it is over.

        Raises:
            CancelledError: The task was cancelled. Everything that the call had started was
                killed and reaped first.
            RuntimeError: This task is of another loop.
            AbortedError: The end of the block has ended it.
            Exception: What the steps raise.
        """
        call, stepper = self._call, self._stepper
        assert call is not None
        assert stepper is not None
        if self._ends and self.aborted:
            self._raise_aborted()
        if asyncio.get_running_loop() is not self._here.loop:
            call.close()
            msg = "an iterator of AsyncParallel is used in another event loop"
            raise RuntimeError(msg)
        self._place.task = asyncio.current_task()
        self.is_awaited = True
        try:
            while not (call.out or stepper.over):
                until = await self._step(call, stepper)
                if until is not None:
                    await self._wait(call, until)
        except GeneratorExit:  # the task is dropped. The call's handle ends the call: see Call;
            raise  # it may have done so already
        except BaseException:
            await self.end()
            raise
        finally:
            self.is_awaited = False
        return bool(call.out)

    async def _step(self, call: Call, stepper: Stepper) -> Until | None:
        begun = call.begun
        share = self._here.share
        await share.begin()
        try:
            return stepper.step()
        finally:
            share.end(forked=call.begun and not begun)

    async def _wait(self, call: Call, until: Until) -> None:
        seconds = until.seconds
        if not call.begun:  # it waits for its first item, and nobody else sees to the deadline
            seconds = self._left()
            if seconds is not None and seconds <= 0:
                self._raise_late(0)
        if self._given_up is not None:
            left = self._given_up - time.monotonic()
            if left <= 0:  # somebody has stopped its nursery
                self._raise_aborted()
            seconds = left if seconds is None else min(seconds, left)
        await self.bell.wait(until.descriptor, seconds)

    async def end(self) -> None:
        """Kill and reap what runs of it.

        Raises:
            CancelledError: The task was cancelled meanwhile; that ends nothing earlier.
        """
        if self._stepper is None or (self._stepper.over and self._source is None):
            return
        cancel = await in_spite_of_cancels(self._finish)
        if cancel is not None:
            try:
                raise cancel
            finally:
                del cancel  # otherwise it keeps this frame, and this frame it

    async def _finish(self) -> None:
        """Kill and reap what runs; in one task at a time, since the bell is for one. The iterator
        may be closed while the block ends."""
        while self._finishes is not None:
            await asyncio.wait([self._finishes])
        finishes = self._finishes = self._here.loop.create_future()
        try:
            await self._finish_alone()
        finally:
            self._finishes = None
            give_up(finishes)

    async def _finish_alone(self) -> None:
        stepper = self._stepper
        while stepper is not None and not stepper.over:
            with contextlib.suppress(Exception):  # why it ends is raised by who ends it
                until = stepper.step() if self._ends else stepper.end()
                self._ends = True
                if until is not None:
                    await self.bell.wait(*until)
        if self._call is not None:
            self._call.out.clear()
            if not self._call.kept:
                while self._call.gives_back():
                    await asyncio.sleep(0)
                self._call.forget()
        if self._source is not None:
            await self._source.end()
