"""Items that come from an async iterable, while results are handed out."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable

from tep_parallel._engine.source import Coming, NothingYetError
from tep_parallel._engine.waiting import Bell
from tep_parallel._typing import Any


class Arriving(Coming):
    """The items of an async iterable, as an iterator that raises NothingYetError where the next
    one has not come.

    They are pulled in a task of their own: what the iterable opens in one step it may have to
    close in the same task.

    Args:
        items: The iterable.
        bell: Rung when what was waited for has come.
        begin: Called first in the task that pulls.

    Attributes:
        over: Whether no more will come.
    """

    def __init__(self, items: AsyncIterable[Any], bell: Bell, begin: Callable[[], None]) -> None:
        self._items: AsyncIterator[Any] | None = aiter(items)
        self._bell = bell
        self._begin = begin
        self._come: deque[Any] = deque()
        self._room = 0  # for so many, until it is said again
        self._more: asyncio.Future[None] | None = None  # there is room again
        self._task: asyncio.Task[None] | None = None
        self._error: BaseException | None = None
        self.over = False
        self._stopped = False

    @property
    def ready(self) -> bool:
        """Whether something can be had of it."""
        return bool(self._come) or self.over

    def allow(self, room: int) -> None:
        """Let so many items be pulled that nobody has asked for."""
        if self._stopped:
            return
        self._room = room
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._pull())
        elif self._more is not None and not self._more.done() and len(self._come) < room:
            self._more.set_result(None)

    def stop(self) -> None:
        """Pull no more: nobody asks for another item."""
        self.waits = False
        if self._task is not None and not self._stopped:
            self._task.cancel()
        self._stopped = True

    def __next__(self) -> Any:
        if self._come:
            self.waits = False
            self._room -= 1  # the call has it, and it is not handed out
            return self._come.popleft()
        if not self.over:
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
        self._begin()
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
            try:
                await _close(self._items)
            finally:
                self.over = True
                self._items = None
                self._bell.ring()

    async def end(self) -> None:
        """Pull no more, and wait until that is so."""
        self.stop()
        if self._task is not None and not self._task.done():
            try:
                await asyncio.wait([self._task])
            except asyncio.CancelledError:
                self._task.cancel()  # as if it were awaited
                raise
        self._come.clear()
        self._error = None  # it keeps a frame, and that this object


async def _close(items: AsyncIterator[Any]) -> None:
    """Close what the loop would close later, and in another task."""
    if not isinstance(items, AsyncGenerator):
        return
    try:
        await items.aclose()
    except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001  # a group of anyio's, too
        asyncio.get_running_loop().call_exception_handler(
            {
                "message": f"an error occurred during closing of asynchronous generator {items!r}",
                "exception": error,
                "asyncgen": items,
            }
        )
