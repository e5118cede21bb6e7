"""How long it takes to cancel: children hang in C, deaf to all signals that can be blocked.

Others compute on this machine too, so the quickest of some rounds is judged.
"""

from __future__ import annotations

import asyncio
import ctypes
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from loops import Run, parallel, run_in, until
from support import FORKED, KEPT, LIMIT, both, children, started
from test_async import busy_children

from tep_parallel import AsyncParallel
from tep_parallel._engine.waiting import in_spite_of_cancels

Shape = dict[str, Any]
SHAPES = {**FORKED, **KEPT}
every = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
pytestmark = pytest.mark.filterwarnings("ignore:.*thread:RuntimeWarning")  # pytest's own
AT_ONCE = 0.15  # seconds
ROUNDS = 20
libc = ctypes.PyDLL(None)  # it keeps the GIL


def hang(item: object) -> str:
    """In C, if the item says so."""
    if item:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            libc.sleep(60)
    return "here"


hung: set[int] = set()  # children that were seen to hang


async def hanging(count: int = 2) -> None:
    await until(lambda: len(busy_children()) == count)
    hung.update(busy_children())


async def quickest(one: Callable[[], Awaitable[float]], most: float) -> None:
    """Some round takes no longer."""
    seen: list[float] = []
    while not seen or (min(seen) > most and len(seen) < ROUNDS):
        seen.append(await one())
        # Others are just born, in the nest that comes next: their signals are blocked, too.
        assert not hung & {*busy_children()}
        assert children() == []
    assert min(seen) <= most, seen


@every
def test_a_cancelled_task_is_over_at_once(run: Run, shape: Shape) -> None:
    async def main() -> None:
        async with parallel(hang, **shape) as p:

            async def cancelled() -> float:
                task = asyncio.create_task(p.map_processes([1, 1]))
                await hanging()
                begun = time.monotonic()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                return time.monotonic() - begun

            await quickest(cancelled, AT_ONCE)
            assert await p.map_processes([0]) == ["here"]

    run(main())


@pytest.mark.skipif(not hasattr(asyncio, "timeout"), reason="asyncio.timeout is of Python 3.11")
@both
def test_a_timeout_of_asyncio_is_over_at_once(run: Run, kept: bool) -> None:
    async def main() -> None:
        async with parallel(hang, kept=kept) as p:

            async def late() -> float:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(LIMIT) as limit:
                        task = asyncio.create_task(hanging())
                        task.add_done_callback(lambda _: limit.reschedule(time.monotonic()))
                        await p.map_processes([1, 1])
                return time.monotonic() - limit.when()  # type: ignore[operator]

            await quickest(late, AT_ONCE)

    run(main())


@every
def test_aclose_is_over_at_once(run: Run, shape: Shape) -> None:
    async def main() -> None:
        async with parallel(hang, **shape) as p:

            async def closed() -> float:
                results = p.as_completed([1, 0])
                assert (await anext(results)).result == "here"
                await hanging(1)
                begun = time.monotonic()
                await results.aclose()
                return time.monotonic() - begun

            await quickest(closed, AT_ONCE)

    run(main())


@every
def test_what_is_behind_a_break_is_killed_at_once(run: Run, shape: Shape) -> None:
    async def main() -> None:
        async with parallel(hang, **shape) as p:

            async def left() -> float:
                async for outcome in p.as_completed([1, 0]):
                    assert outcome.result == "here"
                    await hanging(1)
                    begun = time.monotonic()
                    break
                while busy_children() or children():
                    assert time.monotonic() < begun + LIMIT
                    await asyncio.sleep(0.001)
                return time.monotonic() - begun

            await quickest(left, AT_ONCE)

    run(main())


@both
def test_a_cancel_of_anyios_costs_the_loop_little(run: Run, kept: bool) -> None:
    """It cancels at every step of the loop."""
    import anyio

    async def main() -> None:
        async with parallel(hang, kept=kept) as p:
            seen: list[float] = []

            async def cancelled() -> float:
                async def cancel() -> None:
                    await hanging()
                    scope.cancel()
                    times[:] = time.monotonic(), time.thread_time()

                times: list[float] = []
                other = asyncio.create_task(cancel())
                with anyio.CancelScope() as scope:
                    await p.map_processes([1, 1])
                assert scope.cancelled_caught
                await other
                seen.append(time.monotonic() - times[0])
                return time.thread_time() - times[1]

            await quickest(cancelled, 0.01)
            await quickest(cancelled, 0.01)
            assert min(seen) < AT_ONCE

    run(main())


def test_a_task_that_is_dropped_asks_anyio_for_no_loop() -> None:
    """There is none any more."""
    import anyio

    assert anyio.CancelScope  # it is there, and so asked for a scope
    loop = asyncio.new_event_loop()
    work = in_spite_of_cancels(lambda: asyncio.sleep(60))
    task = loop.create_task(work)
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    work.close()
    task._log_destroy_pending = False  # type: ignore[attr-defined]


def test_the_end_of_asyncio_run_kills_at_once(kind: str) -> None:
    seen: list[float] = []

    async def main() -> None:
        p = AsyncParallel(hang)
        left.append(asyncio.create_task(p.map_processes([1])))
        left.append(p.as_completed([1, 0]))
        assert (await anext(left[1])).result == "here"
        await hanging()
        seen.append(time.monotonic())

    while not seen or (min(seen) > AT_ONCE and len(seen) < ROUNDS):
        left: list[Any] = []
        run_in(kind, main())
        seen[-1] = time.monotonic() - seen[-1]
        # Others are just born, in the nest that comes next: their signals are blocked, too.
        assert not hung & {*busy_children()}
        assert children() == []
    assert min(seen) < AT_ONCE


@pytest.mark.parametrize("how", ["map", "stream", "block", "waits"])
def test_ctrl_c_is_answered_within_half_a_second(kind: str, how: str, tmp_path: Path) -> None:
    seen: list[float] = []
    while not seen or (min(seen) > 0.5 and len(seen) < ROUNDS):
        place = tmp_path / str(len(seen))
        place.mkdir()
        with started("async_ctrl_c", place, kind, how) as case:
            end = time.monotonic() + LIMIT
            while len(list(place.iterdir())) < 2:
                assert time.monotonic() < end
                time.sleep(0.01)
            pressed = time.monotonic()
            case.send_signal(signal.SIGINT)
            case.communicate(timeout=LIMIT / 2)
            seen.append(time.monotonic() - pressed)
            assert case.returncode == -signal.SIGINT
    assert min(seen) < 0.5, seen
