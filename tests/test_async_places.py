"""How many calls of an AsyncParallel are alive at once, where one waits for another."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from loops import Run, parallel
from support import both, children

from tep_parallel._engine.places import Place, Places

pytestmark = pytest.mark.filterwarnings("ignore:.*thread:RuntimeWarning")  # pytest's own


@pytest.fixture
def run(run: Run) -> Run:
    """Within 15 s: what waits for itself would wait for ever."""
    return lambda main: run(asyncio.wait_for(main, 15))  # type: ignore[arg-type]


def upper(item: str) -> str:
    return item.upper()


@both
def test_a_source_may_make_calls(run: Run, kept: bool) -> None:
    async def main() -> None:
        async with parallel(upper, kept=kept, in_processes=1, max_calls=1) as p:

            async def items() -> AsyncIterator[str]:
                for word in "ab":
                    yield (await p.map_processes([word]))[0]

            async def use() -> list[str]:
                return [result async for result in p.imap_processes(items())]

            assert await use() == ["A", "B"]
            assert await asyncio.gather(*(use() for _ in range(4))) == [["A", "B"]] * 4

    run(main())


@both
def test_tasks_of_who_holds_an_iterator_may_make_calls(run: Run, kept: bool) -> None:
    async def main() -> None:
        async with parallel(upper, kept=kept, in_processes=1, max_calls=1) as p:
            found: list[Any] = []
            async for result in p.imap_processes(["a", "b"]):
                calls = (p.map_processes([result, str(number)]) for number in range(3))
                found += await asyncio.gather(*calls)
                found.append(await asyncio.wait_for(p.map_processes([result]), 60))
            each = lambda word: [[word, "0"], [word, "1"], [word, "2"], [word]]  # noqa: E731
            assert found == each("A") + each("B")

    run(main())


@both
def test_results_may_be_fetched_in_tasks_of_their_own(run: Run, kept: bool) -> None:
    """As asyncio.wait_for does until Python 3.11."""

    async def main() -> None:
        async with parallel(upper, kept=kept, in_processes=1, max_calls=1) as p:
            results = p.imap_processes(["a", "b"])
            for word in "AB":
                assert await asyncio.create_task(anext(results)) == word  # type: ignore[arg-type]
                assert await p.map_processes([word]) == [word]

    run(main())


@both
def test_an_iterator_may_feed_another_beside_calls(run: Run, kept: bool) -> None:
    """More items than the window has room for, so that both go on only together."""

    async def main() -> None:
        words = ["a"] * 30
        async with parallel(upper, kept=kept, in_processes=1, max_calls=1, window=2) as p:
            found: list[str] = []
            async for result in p.imap_processes(p.imap_processes(words)):
                found += (await asyncio.gather(p.map_processes([result])))[0]
            assert found == ["A"] * 30
            assert await p.map_processes(["b"]) == ["B"]

    run(main())


def test_who_holds_an_iterator_goes_no_more_than_one_call_beyond_the_limit(run: Run) -> None:
    most = 0

    async def main() -> None:
        nonlocal most
        async with parallel(upper, in_processes=1, max_calls=2) as p:
            async for result in p.imap_processes(["a", "b"]):
                task = asyncio.gather(*(p.map_processes([result]) for _ in range(12)))
                while not task.done():
                    most = max(most, len(children()))
                    await asyncio.sleep(0.0005)
                assert await task == [[result]] * 12
            assert p._here.places._room._taken == 0

    run(main())
    assert most <= 3


def test_no_place_is_lost_to_a_task_that_is_cancelled_as_it_is_woken(run: Run) -> None:
    async def use(places: Places, depth: int) -> None:
        place = Place()
        try:
            if await places.take(place, random.choice([None, 0.001, 1])):
                await asyncio.sleep(random.choice([0, 0.001]))
                if depth:
                    place.hold()
                    await asyncio.gather(*(use(places, depth - 1) for _ in range(2)))
        finally:
            places.leave(place)

    async def main() -> None:
        random.seed(1)
        places = Places(2)
        for _ in range(40):
            tasks = [asyncio.create_task(use(places, 2)) for _ in range(6)]
            for _ in range(8):
                await asyncio.sleep(random.choice([0, 0.0005]))
                random.choice(tasks).cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert places._room._taken == 0
            assert not places._room.waiters

    run(main())
