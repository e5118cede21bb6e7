"""Event loops for tests of AsyncParallel, and what such tests share."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from support import LIMIT

from tep_parallel import AsyncParallel

try:
    import uvloop
except ImportError:
    uvloop = None

if uvloop is not None:
    uvloop.run(asyncio.sleep(0))  # it opens a pipe for signals, and keeps that

Run = Callable[[Coroutine[Any, Any, Any]], Any]  # the fixture of conftest.py


def run_in(kind: str, main: Coroutine[Any, Any, Any]) -> Any:
    """asyncio.run, in an event loop of that kind."""
    bounded = asyncio.wait_for(main, LIMIT)
    if kind == "asyncio":
        return asyncio.run(bounded)
    return uvloop.run(bounded)


@contextlib.asynccontextmanager
async def parallel(worker: Any, *, kept: bool = False, **options: Any) -> AsyncIterator[Any]:
    """An AsyncParallel; with `kept` in its block."""
    made: AsyncParallel[Any, Any] = AsyncParallel(worker, **options)
    if not kept:
        yield made
        return
    async with made:
        yield made


async def until(condition: Callable[[], object], limit: float = LIMIT) -> None:
    """Let the loop go on until `condition` holds."""
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, f"not true within {limit} s"
        await asyncio.sleep(0.002)


def sleep_deaf(seconds: object) -> str:
    """Sleep, and hear no signal that can be blocked."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    time.sleep(float(str(seconds)))
    return "slept"
