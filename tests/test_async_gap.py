"""How long a step of a call may keep the loop from going on: large results are collected in
slices. What counts is the time of the loop's thread, so that other load matters little."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from tep_parallel import AsyncParallel, DeadlineError
from tep_parallel._engine import stepper

pytestmark = pytest.mark.filterwarnings("ignore:the block was entered in a process with other")
SIZE = 30 << 20
COUNT = 12
MOST = 0.04  # seconds; all results at once take several times as long
ROUNDS = 5
MANY = 100_000
LARGE, FAILING, ENDLESS = -1, -2, -3


def large(item: int) -> str:
    return str(item % 10) * SIZE


def one(item: int) -> str:
    if item == FAILING:
        raise ValueError
    if item == ENDLESS:
        time.sleep(600)
    return "x" * SIZE if item == LARGE else str(item)


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Python's garbage collector looks at all that the tests before this one have left."""
    gc.disable()
    yield
    gc.enable()


async def mapped(parallel: AsyncParallel[int, str]) -> None:
    assert [len(text) for text in await parallel.map_processes(range(COUNT))] == [SIZE] * COUNT


async def iterated(parallel: AsyncParallel[int, str]) -> None:
    assert [len(text) async for text in parallel.imap_processes(range(COUNT))] == [SIZE] * COUNT


async def completed(parallel: AsyncParallel[int, str]) -> None:
    outcomes = [outcome.index async for outcome in parallel.as_completed(range(COUNT))]
    assert sorted(outcomes) == list(range(COUNT))


async def cancelled(parallel: AsyncParallel[int, str]) -> None:
    """What has been written by then is freed."""
    call = asyncio.ensure_future(parallel.map_processes(range(COUNT)))
    await asyncio.sleep(0.5)
    call.cancel()
    await asyncio.wait([call])


async def longest_gap(work: Awaitable[Any]) -> float:
    """From one turn of the loop to the next, in seconds of its thread."""
    task = asyncio.ensure_future(work)
    longest, last = 0.0, time.thread_time()
    while not task.done():
        await asyncio.sleep(0)
        now = time.thread_time()
        longest, last = max(longest, now - last), now
    await task
    return longest


@pytest.mark.parametrize("options", [{"in_processes": 2}, {}], ids=["pool", "a child an item"])
@pytest.mark.parametrize("use", [mapped, iterated, completed, cancelled])
def test_large_results_do_not_keep_the_loop(
    options: dict[str, Any], use: Callable[[AsyncParallel[int, str]], Awaitable[None]]
) -> None:
    gaps: list[float] = []
    while not gaps or (min(gaps) > MOST and len(gaps) < ROUNDS):
        parallel = AsyncParallel(large, **options)
        gaps.append(asyncio.run(longest_gap(use(parallel))))
    assert min(gaps) <= MOST, gaps


@pytest.mark.parametrize(
    "call",
    [
        lambda block: block.map_processes(range(MANY)),
        lambda block: block.each_process(range(MANY)),
        lambda block: block.outcomes(range(MANY)),
        lambda block: block.map_processes([LARGE] * COUNT),
        lambda block: block.outcomes([LARGE] * COUNT),
    ],
    ids=["map", "each", "outcomes", "map large", "outcomes large"],
)
@pytest.mark.usefixtures("no_collector")
def test_an_eager_call_of_a_block_does_not_keep_the_loop(call: Callable[[Any], Any]) -> None:
    async def main() -> None:
        async with AsyncParallel(one, in_processes=2) as block:
            await block.map_processes(range(10))
            while not gaps or (min(gaps) > MOST and len(gaps) < ROUNDS):
                gaps.append(await longest_gap(call(block)))

    gaps: list[float] = []
    asyncio.run(main())
    assert min(gaps) <= MOST, gaps


@pytest.mark.parametrize("kept", [True, False], ids=["block", "no block"])
@pytest.mark.parametrize(
    ("first", "options"),
    [(FAILING, {}), (FAILING, {"on_error": "kill"}), (ENDLESS, {"deadline": 0.3})],
    ids=["stop", "kill", "deadline"],
)
@pytest.mark.usefixtures("no_collector")
def test_items_that_have_not_ended_do_not_keep_the_loop(
    kept: bool, first: int, options: dict[str, Any]
) -> None:
    async def failed(call: Awaitable[Any]) -> None:
        with pytest.raises((ValueError, DeadlineError)):
            await call

    async def main() -> None:
        while not gaps or (min(gaps) > MOST and len(gaps) < ROUNDS):
            async with contextlib.AsyncExitStack() as stack:
                parallel = AsyncParallel(one, in_processes=2, **options)
                if kept:
                    await stack.enter_async_context(parallel)
                gaps.append(await longest_gap(failed(parallel.map_processes(items))))

    items = [first, *range(MANY)]
    gaps: list[float] = []
    asyncio.run(main())
    assert min(gaps) <= MOST, gaps


@pytest.mark.parametrize("options", [{"in_processes": 2}, {}, {"deadline": 60}])
@pytest.mark.parametrize("kept", [True, False], ids=["block", "no block"])
def test_calls_end_where_every_step_gives_way(
    monkeypatch: pytest.MonkeyPatch, kept: bool, options: dict[str, Any]
) -> None:
    async def main() -> None:
        async with contextlib.AsyncExitStack() as stack:
            parallel = AsyncParallel(one, **options)
            if kept:
                await stack.enter_async_context(parallel)
            expected = ["0", "1", "2"]
            assert await parallel.map_processes(range(3)) == expected
            assert [one.result for one in await parallel.outcomes(range(3))] == expected
            assert [text async for text in parallel.imap_processes(range(3))] == expected
            with pytest.raises(ValueError):
                await parallel.map_processes([FAILING])

    monkeypatch.setattr(stepper, "MOST_NS", 0)
    asyncio.run(asyncio.wait_for(main(), 30))


@pytest.mark.parametrize(("most", "last"), [("ä", ""), ("aä€😀", ""), ("a", "😀")])
@pytest.mark.parametrize("options", [{"in_processes": 2}, {}], ids=["pool", "a child an item"])
def test_large_texts_arrive_as_they_were(options: dict[str, Any], most: str, last: str) -> None:
    text = most * (SIZE // len(most)) + last

    async def main() -> None:
        parallel = AsyncParallel(lambda _: text, **options)
        assert await parallel.map_processes(range(2)) == [text] * 2
        assert [one async for one in parallel.imap_processes(range(2))] == [text] * 2
        assert [one.result for one in await parallel.outcomes(range(2))] == [text] * 2

    asyncio.run(main())
