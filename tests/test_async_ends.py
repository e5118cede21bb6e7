"""How calls of AsyncParallel end where something else goes wrong too."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from loops import Run, parallel, run_in, sleep_deaf, until
from support import both, children
from test_async import busy_children, parent_of

from tep_parallel import DeadlineError
from tep_parallel._engine.awaited import Awaited

pytestmark = pytest.mark.filterwarnings("ignore:.*thread:RuntimeWarning")  # pytest's own


@both
def test_a_cancel_while_an_iterator_is_closed_costs_no_place(run: Run, kept: bool) -> None:
    """The nursery is stopped, so that the end takes long enough for the cancel."""

    async def main() -> None:
        async with parallel(sleep_deaf, kept=kept, max_calls=1) as p:
            results = p.as_completed([0, 60])
            await anext(results)
            await until(lambda: len(busy_children()) == 1)
            nursery = parent_of(busy_children()[0])
            os.kill(nursery, signal.SIGSTOP)
            closing = asyncio.create_task(results.aclose())
            await asyncio.sleep(0.05)
            closing.cancel()
            await asyncio.sleep(0.05)
            os.kill(nursery, signal.SIGCONT)
            with pytest.raises(asyncio.CancelledError):
                await closing
            other = asyncio.create_task(p.map_processes([0]))
            assert await asyncio.wait_for(other, 10) == ["slept"]

    run(main())


@both
def test_a_loop_that_cannot_wait_ends_the_call(kept: bool) -> None:
    """As if there were no memory for one descriptor more."""

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        async with parallel(sleep_deaf, kept=kept) as p:
            real, tried = loop.add_reader, 0

            def refuse(*_: object) -> None:
                nonlocal tried
                tried += 1
                raise OSError(12, "no memory")

            loop.add_reader = refuse
            try:
                with pytest.raises(OSError, match="no memory"):
                    await p.map_processes([60])
            finally:
                loop.add_reader = real
            assert tried <= 4
            assert busy_children() == children() == []
            assert await p.map_processes([0]) == ["slept"]

    run_in("asyncio", main())


@both
def test_another_loop_leaves_an_iterator_to_the_loop_that_runs_in_its_thread(
    run: Run, kept: bool
) -> None:
    async def elsewhere(results: Any) -> None:
        with pytest.raises(RuntimeError, match="another event loop"):
            await anext(results)

    async def main() -> None:
        driven: set[int] = set()
        async with parallel(sleep_deaf, kept=kept, max_calls=1) as p:
            results = p.as_completed([0, 60])
            await anext(results)
            (one,) = p._here.calls
            real = one._finish

            async def finish() -> None:
                driven.add(threading.get_ident())
                await real()

            one._finish = finish
            del one
            await asyncio.to_thread(asyncio.run, elsewhere(results))
            await until(lambda: busy_children() == children() == [])
            other = asyncio.create_task(p.map_processes([0]))
            assert await asyncio.wait_for(other, 10) == ["slept"]
        assert driven == {threading.get_ident()}

    run(main())


async def failing() -> AsyncIterator[str]:
    yield "0"
    raise KeyError("source")


def fail(item: object) -> str:
    time.sleep(float(str(item)))
    raise ValueError(item)


@both
@pytest.mark.parametrize("how", ["failure", "deadline", "cancels", "source"])
def test_an_exception_keeps_no_call_alive(kept: bool, how: str) -> None:
    """Nothing of the call is in a cycle that only the garbage collector would find."""

    async def call(p: Any) -> None:
        if how == "cancels":
            await p.map_processes(["60"])
        items = {"source": failing(), "failure": ["0"], "deadline": ["60"]}[how]
        async for _ in p.imap_processes(items):
            pass

    async def main() -> None:
        options = {"deadline": 0.2} if how == "deadline" else {}
        worker = fail if how == "failure" else sleep_deaf
        async with parallel(worker, kept=kept, in_processes=2, **options) as p:
            gc.collect()
            gc.disable()
            try:
                task = asyncio.create_task(call(p))
                if how == "cancels":
                    await until(lambda: len(busy_children()) == 1)
                    for _ in range(3):
                        task.cancel()
                        await asyncio.sleep(0)
                with pytest.raises((ValueError, DeadlineError, KeyError, asyncio.CancelledError)):
                    await task
                del task
                await asyncio.sleep(0.02)
                assert [one for one in gc.get_objects() if isinstance(one, Awaited)] == []
            finally:
                gc.enable()

    run_in("asyncio", main())
