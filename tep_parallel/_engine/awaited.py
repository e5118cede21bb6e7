"""One call that a task of asyncio awaits."""

from __future__ import annotations

import asyncio
import contextlib
import time

from tep_parallel._engine.asked import Asked
from tep_parallel._engine.call import Call
from tep_parallel._engine.forked import Steps
from tep_parallel._engine.gate import InLoop
from tep_parallel._engine.running import Running
from tep_parallel._engine.stepper import Stepper
from tep_parallel._engine.waiting import in_spite_of_cancels
from tep_parallel._engine.waits import FAREWELL, Until


class Awaited(Asked):
    """One call, from when it is asked for until nothing of it runs. See Asked."""

    def __init__(
        self, here: InLoop, running: Running, deadline: float | None, block: object
    ) -> None:
        super().__init__(here, running, deadline, block)
        self._given_up: float | None = None  # when it must have ended
        self._call: Call | None = None
        self._stepper: Stepper | None = None
        self._ends = False
        running.enter(self)
        here.calls.add(self)

    def abort(self) -> None:
        """Kill what runs of it; from any thread. It raises AbortedError when that has ended."""
        self._given_up = time.monotonic() + FAREWELL
        self.aborted = True
        call = self._call
        if call is not None:
            call.cancel()
        self.bell.ring(self._place.give_up)

    def begin(self, call: Call, steps: Steps) -> None:
        """These are its steps."""
        self._stepper = Stepper(call, steps)
        call.source = self._source
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
        if self._is_elsewhere():
            msg = "an iterator of AsyncParallel is used in another event loop"
            raise RuntimeError(msg)
        self._place.task = asyncio.current_task()
        try:
            async with self._drives:
                if self._ends and self.aborted:
                    self._raise_aborted()
                while not (call.out or stepper.over):
                    until = await self._step(call, stepper)
                    if until is not None:
                        await self._wait(call, until)
        except GeneratorExit:  # the task is dropped. The call's handle ends the call: see Call;
            raise  # it may have done so already
        except BaseException:
            await self.end()
            raise
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
            left = self._left()
            if left is not None and left <= 0:
                self._raise_late(0)
            seconds = _sooner(seconds, left)
        if self._given_up is not None:
            left = self._given_up - time.monotonic()
            if left <= 0:  # somebody has stopped its nursery
                self._raise_aborted()
            seconds = _sooner(seconds, left)
        await self.bell.wait(until.descriptor, seconds)

    def _is_elsewhere(self) -> bool:
        """Whether another loop than its own runs in this thread."""
        try:
            return asyncio.get_running_loop() is not self._here.loop
        except RuntimeError:  # none does: the task is dropped
            return False

    async def close(self) -> None:
        """End it, and leave.

        Raises:
            CancelledError: See end.
        """
        loop = self._here.loop
        if self._is_elsewhere() and loop.is_running():  # in another thread, which may drive it
            self.abort()
            with contextlib.suppress(RuntimeError):  # the loop is closed by now
                loop.call_soon_threadsafe(self._close_soon)
            return
        try:
            if self._is_elsewhere() and self._call is not None:
                self._call.close()
            await self.end()
        finally:
            self.leave()

    def _close_soon(self) -> None:
        self._closing = self._here.loop.create_task(self.close())

    async def end(self) -> None:
        """Kill and reap what runs of it.

        Raises:
            CancelledError: The task was cancelled meanwhile; that ends nothing earlier.
        """
        if (self._stepper is None or self._stepper.over) and self._source is None:
            return
        cancel = await in_spite_of_cancels(self._finish)
        if cancel is not None:
            try:
                raise cancel
            finally:
                del cancel  # otherwise it keeps this frame, and this frame it

    async def _finish(self) -> None:
        """Kill and reap what runs."""
        async with self._drives:
            if self._call is not None and self._stepper is not None:
                await self._finish_steps(self._call, self._stepper)
                await self._let_go(self._call)
            if self._source is not None:
                await self._source.end()

    async def _let_go(self, call: Call) -> None:
        """Nobody wants what it holds: free that in slices, for it may be much."""
        call.out.clear()
        if not call.kept:
            while call.gives_back():
                await asyncio.sleep(0)
            call.forget()

    async def _finish_steps(self, call: Call, stepper: Stepper) -> None:
        while not stepper.over:
            until = None
            with contextlib.suppress(Exception):  # why it ends is raised by who ends it
                until = stepper.step() if self._ends else stepper.end()
            self._ends = True
            if until is not None:
                try:
                    await self.bell.wait(*until)
                except Exception:  # the loop cannot wait
                    call.close()
                    raise


def _sooner(one: float | None, other: float | None) -> float | None:
    """Of two waits in seconds; None: for ever."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
