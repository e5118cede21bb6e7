"""The block of an AsyncParallel."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Collection

from tep_parallel._engine.asking import ending
from tep_parallel._engine.awaited import Awaited
from tep_parallel._engine.block import Block
from tep_parallel._engine.ended import Ended
from tep_parallel._engine.forked import steps_of
from tep_parallel._engine.gate import InLoop
from tep_parallel._engine.home import Home
from tep_parallel._engine.leaving import Leaving
from tep_parallel._engine.native import lib
from tep_parallel._engine.options import Options
from tep_parallel._engine.running import Running
from tep_parallel._engine.waiting import Bell, in_spite_of_cancels
from tep_parallel._engine.waits import FAREWELL
from tep_parallel._typing import Any
from tep_parallel._worker import ParallelWorker, Process


class AsyncBlock:
    """What an AsyncParallel keeps from its `async with` to the end of that.

    Args:
        here: The loop, and how many calls are alive in it.
        worker: The worker, or a function of one item.
        options: The caller's.

    Raises:
        OSError, RuntimeError: See Block.
    """

    def __init__(self, here: InLoop, worker: ParallelWorker | Process, options: Options) -> None:
        self._here = here
        self._bell = Bell(here.loop)
        self._block = Block(worker, options, Running())
        self._leaving: list[Leaving] = []
        self._errors: list[Exception] = []

    @property
    def serves(self) -> bool:
        """Whether calls of this process run in the block."""
        return self._block.serves

    async def run(
        self,
        one: Awaited,
        left: float | None,
        worker: ParallelWorker | Process,
        items: list[Any],
        on_error: str,
        discard: bool,  # noqa: FBT001
        whole: bool,  # noqa: FBT001
    ) -> Ended:
        """Process the items, and return what has ended. See Block.run.

        Args:
            left: The seconds that the call has left.
        """
        lease = self._block.lease(worker, left)
        lease.wait_elsewhere()
        one.block = self
        try:
            flow = self._block.gathering(lease, items, on_error, discard=discard, whole=whole)
            one.begin(lease, steps_of(lease, flow))
            while await one.advance():
                pass
        except GeneratorExit:  # the task is dropped: the nest's handle ends the nest
            raise
        except BaseException:
            lease.close()  # where nothing was begun
            raise
        return flow.result

    def begin_stream(
        self,
        one: Awaited,
        left: float | None,
        worker: ParallelWorker | Process,
        source: Any,
        on_error: str,
        known: Collection[Any] | None,
        *,
        ordered: bool,
    ) -> deque[Any]:
        """Begin a call that hands out what is returned here, as it comes. See Block.stream."""
        lease = self._block.lease(worker, left)
        steps = self._block.streamed(lease, source, on_error, known, ordered=ordered)
        one.block = self
        one.begin(lease, steps)
        return lease.out

    async def close(self, *, well: bool, error: BaseException | None) -> None:
        """End the block: what runs in it is aborted.

        Args:
            well: Whether children may run `teardown`; otherwise they are killed.
            error: What has been raised already.

        Raises:
            CancelledError: The task was cancelled meanwhile: what was left has been killed.
            Exception: What a teardown has raised, if nothing else was.
        """
        home = self._block.end()
        if home is None:
            return  # it is the parent's
        try:
            cancel = await in_spite_of_cancels(self._end_calls)
            nests = home.drained()
            self._leaving = [Leaving(nest, well=well and cancel is None) for nest in nests]
            try:
                await self._until_left(home)
            except asyncio.CancelledError as late:
                cancel = cancel or late
                self._leaving = [Leaving(each.nest, well=False) for each in self._leaving]
                await in_spite_of_cancels(lambda: self._until_left(home))
            self._given_up = time.monotonic() + FAREWELL
            lib.sphttp_call_dismiss(home.server.handle)
            cancel = await in_spite_of_cancels(lambda: self._until_gone(home)) or cancel
        except GeneratorExit:  # the task is dropped: the handles end all
            raise
        except BaseException:
            self._forget(home)
            raise
        self._forget(home)
        if cancel is not None:
            try:
                raise cancel
            finally:
                del cancel  # otherwise it keeps this frame, and this frame it
        if self._errors and error is None:
            raise self._errors.pop(0)

    def _forget(self, home: Home) -> None:
        for each in self._leaving:
            each.nest.close()
        home.forget()

    async def _end_calls(self) -> None:
        """Abort the calls that run in the block, or are to, and wait for their ends."""
        calls = [one for one in self._here.calls if one.block is self]
        for one in calls:
            one.abort()
        for one in calls:
            await one.end()

    async def _until_left(self, home: Home) -> None:
        while self._leaving:
            until = self._leaving[-1].ask()
            if until is not None:
                await self._bell.wait(*until)
                continue
            error = home.see_off(self._leaving.pop().nest)
            if error is not None:
                self._errors.append(error)

    async def _until_gone(self, home: Home) -> None:
        """The same for the server."""
        while True:
            until = ending(home.server.handle, self._given_up - time.monotonic())
            if until is None:
                return
            await self._bell.wait(*until)
