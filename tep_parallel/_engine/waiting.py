"""How calls wait in an event loop of asyncio: for a bell, and in spite of cancels.

This module is imported only if the program calls AsyncParallel.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager


class Bell:
    """What wakes one task of a loop: a descriptor that can be read, the clock, or a ring.

    A ring that comes while nobody waits is not lost: the next wait is over at once.

    Args:
        loop: The event loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiter: asyncio.Future[None] | None = None
        self._rung = False

    def ring(self, act: Callable[[], None] | None = None) -> None:
        """Wake the task; from any thread, and in a signal handler.

        Args:
            act: Called in the loop's thread, too.
        """
        self._rung = True
        with contextlib.suppress(RuntimeError):  # the loop is closed
            # Also in the loop's own thread: a signal handler may have interrupted the loop where
            # it decides how long it sleeps.
            self._loop.call_soon_threadsafe(self._wake)
            if act is not None:
                self._loop.call_soon_threadsafe(act)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self, descriptor: int, seconds: float | None = None) -> None:
        """Wait until the descriptor can be read, for so many seconds at most; None: for ever.

        Args:
            descriptor: -1: there is none.
        """
        loop = self._loop
        if self._rung or seconds == 0:
            self._rung = False
            await asyncio.sleep(0)
            return
        assert self._waiter is None  # it wakes one
        waiter = self._waiter = loop.create_future()
        timer = None if seconds is None else loop.call_later(seconds, self._wake)
        try:
            if descriptor >= 0:
                loop.add_reader(descriptor, self._wake)
            await waiter
        finally:
            self._waiter = None
            self._rung = False
            # Before the call closes the descriptor: the loop must not know its number then.
            if descriptor >= 0 and not loop.is_closed():
                loop.remove_reader(descriptor)
            if timer is not None:
                timer.cancel()


async def in_spite_of_cancels(
    act: Callable[[], Awaitable[None]],
) -> asyncio.CancelledError | None:
    """Await `act`, and again after each cancel, until it returns. The first of those cancels.

    anyio cancels a task at every step of the loop, as long as the task waits. There the wait is
    in a scope of anyio's, which it does not cancel.
    """
    cancel: asyncio.CancelledError | None = None
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(_shielded())
            while True:
                try:
                    await act()
                except asyncio.CancelledError as error:
                    cancel = cancel or error
                except GeneratorExit:  # the task is dropped
                    stack.pop_all()  # anyio would look for the loop that runs, and there is none
                    raise
                else:
                    return cancel
    finally:
        del cancel  # otherwise it keeps this frame, and this frame it


def _shielded() -> AbstractContextManager[object]:
    anyio = sys.modules.get("anyio")
    if anyio is None:
        return contextlib.nullcontext()
    scope: AbstractContextManager[object] = anyio.CancelScope(shield=True)
    return scope
