"""Items that come from an async iterable, while results are handed out."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

from tep_parallel._engine.source import NothingYetError
from tep_parallel._engine.waiting import Bell


class Arriving:
    """The items of an async iterable, as an iterator that raises NothingYetError where the next
    one has not come.

    They are pulled in a task of their own: what the iterable opens in one step it may have to
    close in the same task.

    Args:
        items: The iterable.
        bell: Rung when what was waited for has come.

    Attributes:
        waits: Whether the last item that was asked for had not come.
    """

    def __init__(self, items: AsyncIterable[Any], bell: Bell) -> None:
        self.waits = False
        self._items: AsyncIterator[Any] | None = aiter(items)
        self._bell = bell
        self._come: deque[Any] = deque()
        self._room = 0  # for so many, until it is said again
        self._more: asyncio.Future[None] | None = None  # there is room again
        self._task: asyncio.Task[None] | None = None
        self._error: BaseException | None = None
        self._over = False

    @property
    def ready(self) -> bool:
        """Whether something can be had of it."""
        return bool(self._come) or self._over

    def allow(self, room: int) -> None:
        """Let so many items be pulled that nobody has asked for."""
        self._room = room
        if self._task is None and not self._over:
            self._task = asyncio.get_running_loop().create_task(self._pull())
        elif self._more is not None and not self._more.done() and len(self._come) < room:
            self._more.set_result(None)

    def __iter__(self) -> Arriving:
        return self

    def __next__(self) -> Any:
        if self._come:
            self.waits = False
            self._room -= 1  # the call has it, and it is not handed out
            return self._come.popleft()
        if not self._over:
            self.waits = True
            raise NothingYetError
        self.waits = False
        error, self._error = self._error, None
        try:
            raise StopIteration if error is None else error
        finally:
            del error  # otherwise it keeps this frame, and this frame it

    async def _pull(self) -> None:
        assert self._items is not None
        try:
            async for item in self._items:
                self._come.append(item)
                if self.waits:
                    self._bell.ring()
                while len(self._come) >= self._room:
                    self._more = asyncio.get_running_loop().create_future()
                    await self._more
        except BaseException as error:  # the call raises it
            self._error = error
            if not isinstance(error, Exception | asyncio.CancelledError):
                raise
        finally:
            self._over = True
            self._items = None
            self._bell.ring()

    async def end(self) -> None:
        """Pull no more, and wait until that is so."""
        task = self._task
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait([task])
