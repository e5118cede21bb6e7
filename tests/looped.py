"""A Parallel that is an AsyncParallel in an event loop of its own: what is promised of the one
holds of the other.

Where the environment has TEP_PARALLEL_LOOP, "asyncio" or "uvloop", every Parallel of kept.py is
such a one, but for those without children.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Coroutine
from typing import Any

from tep_parallel import AsyncParallel


def new_loop(kind: str) -> asyncio.AbstractEventLoop:
    if kind == "asyncio":
        return asyncio.new_event_loop()
    import uvloop

    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


class Looped:
    """The methods of Parallel; each runs the loop until it has what it returns."""

    def __init__(self, worker: Any, *, kept: bool, kind: str, **options: Any) -> None:
        self._made: AsyncParallel[Any, Any] = AsyncParallel(worker, **options)
        self._loop = new_loop(kind)
        self._kept = False
        if kept:
            self.run(self._made.__aenter__())
            self._kept = True

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """What comes of it. If a signal handler raises meanwhile, it is cancelled, and awaited."""
        task = self._loop.create_task(work)
        try:
            return self._loop.run_until_complete(task)
        except BaseException:
            if not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    self._loop.run_until_complete(task)
            raise
        finally:
            del task  # it has the error, whose frames have it

    def map_processes(self, items: Any) -> Any:
        return self.run(self._made.map_processes(items))

    def each_process(self, items: Any) -> Any:
        return self.run(self._made.each_process(items))

    def outcomes(self, items: Any) -> Any:
        return self.run(self._made.outcomes(items))

    def imap_processes(self, items: Any) -> Stepped:
        return Stepped(self, self._made.imap_processes, items)

    def as_completed(self, items: Any) -> Stepped:
        return Stepped(self, self._made.as_completed, items)

    def abort(self) -> None:
        self._made.abort()

    def close(self) -> None:
        """Leave the block, and the loop."""
        if self._loop.is_closed() or self._loop.is_running():  # the test hangs in it
            return
        try:
            if self._kept:
                self._kept = False
                self.run(self._made.__aexit__(None, None, None))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()


class Stepped:
    """An async iterator, step by step."""

    def __init__(self, looped: Looped, method: Any, items: Any) -> None:
        async def begin() -> Any:
            return method(items)

        self._run = looped.run
        self._stream = self._run(begin())

    def __iter__(self) -> Stepped:
        return self

    def __next__(self) -> Any:
        try:
            return self._run(awaited(anext(self._stream)))
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self) -> None:
        self._run(awaited(self._stream.aclose()))


async def awaited(step: Awaitable[Any]) -> Any:
    """A coroutine, which a task needs."""
    return await step
