"""The iterators of AsyncParallel: results as they come, for a loop of `async for`."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from loops import Run, parallel, sleep_deaf, until
from support import FORKED, KEPT, both, children
from test_async import busy_children, double, parent_of, sleep

from tep_parallel import AsyncParallel, Break, DeadlineError

Shape = dict[str, Any]
SHAPES = {**FORKED, **KEPT}
every = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
pytestmark = pytest.mark.filterwarnings("ignore:.*thread:RuntimeWarning")  # pytest's own


async def arriving(*items: Any, pause: float = 0.0) -> AsyncIterator[Any]:
    for item in items:
        await asyncio.sleep(pause)
        yield item


async def paused(pauses: list[float]) -> AsyncIterator[float]:
    for pause in pauses:
        await asyncio.sleep(pause)
        yield 0


@every
def test_results_come_in_order_and_outcomes_as_items_end(run: Run, shape: Shape) -> None:
    async def main() -> None:
        async with parallel(double, **shape) as p:
            found = [result async for result in p.imap_processes(range(200))]
            assert found == [str(2 * n) for n in range(200)]
            indices = [outcome.index async for outcome in p.as_completed(range(20))]
            assert sorted(indices) == list(range(20))
            assert [result async for result in p.imap_processes([])] == []
            assert [result async for result in p.imap_processes(arriving())] == []
            left = [3, 2, 1]
            # A function, until it raises StopIteration.
            assert [r async for r in p.imap_processes(iter(left).__next__)] == ["6", "4", "2"]

    run(main())


@every
def test_items_may_be_awaited_while_results_come(run: Run, shape: Shape) -> None:
    async def main() -> None:
        async with parallel(double, **shape) as p:
            for pause in (0, 0.01):
                items = arriving(*range(30), pause=pause)
                found = [result async for result in p.imap_processes(items)]
                assert found == [str(2 * n) for n in range(30)]
            assert await p.map_processes(arriving(1, 2)) == ["2", "4"]

    run(main())


@every
def test_a_source_that_waits_holds_no_result_up(run: Run, shape: Shape) -> None:
    more = asyncio.Event()

    async def items() -> AsyncIterator[int]:
        yield 1
        await more.wait()
        yield 2

    async def main() -> None:
        async with parallel(double, **shape) as p:
            results = p.imap_processes(items())
            assert await anext(results) == "2"  # before the second is there
            more.set()
            assert [result async for result in results] == ["4"]

    run(main())


@every
@pytest.mark.parametrize("pause", [None, 0, 0.001])
def test_no_more_items_are_pulled_than_the_window_has_room_for(
    run: Run, shape: Shape, pause: float | None
) -> None:
    """However items come: while the call takes those that came before, too."""
    pulled = 0

    async def items() -> AsyncIterator[int]:
        nonlocal pulled
        for number in itertools.count():
            if pause is not None:
                await asyncio.sleep(pause)
            pulled += 1
            yield number

    async def main() -> None:
        async with parallel(double, window=4, **shape) as p:
            results = p.imap_processes(items())
            for fetched in range(10):
                assert await anext(results) == str(2 * fetched)
                await asyncio.sleep(0.01)
                assert pulled <= fetched + 1 + 4 + 1
            await results.aclose()

    run(main())


@both
def test_what_a_source_raises_goes_on_to_the_loop(run: Run, kept: bool) -> None:
    async def items() -> AsyncIterator[int]:
        yield 1
        await asyncio.sleep(0.05)
        raise KeyError("source")

    async def main() -> None:
        async with parallel(sleep_deaf, kept=kept) as p:
            with pytest.raises(KeyError, match="source"):
                async for _ in p.as_completed(items()):
                    pass
            assert busy_children() == children() == []

    run(main())


@both
def test_a_source_is_closed_in_the_task_that_pulled_it(run: Run, kept: bool) -> None:
    tasks: list[object] = []

    async def items() -> AsyncIterator[float]:
        tasks.append(asyncio.current_task())
        try:
            yield 0
            await asyncio.sleep(60)
            yield 0
        finally:
            tasks.append(asyncio.current_task())

    async def main() -> None:
        async with parallel(sleep, kept=kept) as p:
            async with contextlib.aclosing(p.imap_processes(items())) as results:
                assert await anext(results) == "0"
                await asyncio.sleep(0.01)
            assert len(tasks) == 2
            assert tasks[0] is tasks[1]

    run(main())


@every
def test_aclose_kills_and_reaps(run: Run, shape: Shape) -> None:
    async def main() -> None:
        async with parallel(sleep_deaf, **shape) as p:
            results = p.as_completed([0, 60])
            assert (await anext(results)).result == "slept"
            await results.aclose()
            assert busy_children() == children() == []
            await results.aclose()
            with pytest.raises(StopAsyncIteration):
                await anext(results)
            assert await p.map_processes([0]) == ["slept"]

    run(main())


@both
def test_the_loop_goes_on_while_aclose_waits_for_the_end(run: Run, kept: bool) -> None:
    """The nursery is stopped, so that the end takes long."""

    async def main() -> None:
        async with parallel(sleep_deaf, kept=kept) as p:
            results = p.as_completed([0, 60])
            assert (await anext(results)).result == "slept"
            await until(lambda: len(busy_children()) == 1)
            nursery = parent_of(busy_children()[0])
            os.kill(nursery, signal.SIGSTOP)
            closing = asyncio.ensure_future(results.aclose())
            await asyncio.sleep(0.3)
            assert not closing.done()
            os.kill(nursery, signal.SIGCONT)
            await closing
            assert busy_children() == children() == []

    run(main())


@every
def test_an_iterator_that_is_dropped_is_ended_by_the_loop(run: Run, shape: Shape) -> None:
    async def main() -> None:
        async with parallel(sleep_deaf, **shape) as p:
            async for outcome in p.as_completed([0, 60]):
                assert outcome.result == "slept"
                break
            await until(lambda: busy_children() == children() == [], limit=10)
            assert await p.map_processes([0]) == ["slept"]

    run(main())


@every
def test_a_cancel_while_a_result_is_awaited_kills_and_reaps(run: Run, shape: Shape) -> None:
    async def main() -> None:
        async with parallel(sleep_deaf, **shape) as p:
            results = p.as_completed([0, 60])
            assert (await anext(results)).result == "slept"
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(anext(results), 0.2)
            assert busy_children() == children() == []
            with pytest.raises(StopAsyncIteration):
                await anext(results)

    run(main())


@both
def test_a_cancel_while_an_item_is_awaited_ends_all(run: Run, kept: bool) -> None:
    async def main() -> None:
        async with parallel(sleep, kept=kept) as p:
            for items in ([], [0]):
                results = p.imap_processes(arriving(*items, 0, pause=0.5))
                for _ in items:
                    await anext(results)
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(anext(results), 0.05)
                assert busy_children() == children() == []

    run(main())


@both
def test_a_deadline_holds_while_items_are_awaited(run: Run, kept: bool) -> None:
    async def main() -> None:
        async with parallel(sleep, kept=kept, deadline=0.3) as p:
            for pauses in ([60], [0, 60]):
                begun = time.monotonic()
                with pytest.raises(DeadlineError):
                    async for _ in p.imap_processes(paused(pauses)):
                        pass
                assert time.monotonic() - begun < 5
            assert children() == []

    run(main())


@every
def test_a_failure_is_raised_at_its_place_and_a_break_ends(run: Run, shape: Shape) -> None:
    def work(item: int) -> str:
        if item == 2:
            raise KeyError("two")
        if item == 12:
            raise Break
        return str(item)

    async def main() -> None:
        found: list[str] = []
        async with parallel(work, **shape) as p:
            with pytest.raises(KeyError, match="two"):
                async for result in p.imap_processes([0, 1, 2, 3]):
                    found.append(result)
            assert found == ["0", "1"]
            assert [result async for result in p.imap_processes([0, 1, 12, 3])] == ["0", "1"]

    run(main())


@both
def test_items_that_are_no_text_travel_as_pickles(run: Run, kept: bool) -> None:
    import threading

    async def main() -> None:
        async with parallel(lambda pair: str(sum(pair)), in_processes=2, kept=kept) as p:
            items = [(1, 2), threading.Lock(), (3, 4)]
            outcomes = [one async for one in p.as_completed(arriving(*items))]
            outcomes.sort(key=lambda one: one.index)
            assert [one.result for one in outcomes] == ["3", None, "7"]
            assert isinstance(outcomes[1].error, TypeError)

    run(main())


def test_another_loop_may_not_go_on_with_an_iterator() -> None:
    async def begin() -> Any:
        results = AsyncParallel(sleep_deaf).as_completed([0, 60])
        assert (await anext(results)).result == "slept"
        return results

    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()
    try:
        results = first.run_until_complete(begin())
        with pytest.raises(RuntimeError, match="another event loop"):
            second.run_until_complete(anext(results))
        assert children() == []
    finally:
        first.close()
        second.close()


def test_an_iterator_that_nobody_iterates_leaves_nothing(run: Run) -> None:
    async def main() -> None:
        p = AsyncParallel(double)
        p.imap_processes([1])
        with pytest.raises(TypeError, match="one str"):
            p.imap_processes("abc")
        with pytest.raises(TypeError, match="got int"):
            p.as_completed(1)  # type: ignore[arg-type]

    run(main())


@both
def test_a_killed_nursery_costs_an_iterator_what_was_in_hand(run: Run, kept: bool) -> None:
    def work(item: int) -> str:
        if item == 1:
            time.sleep(0.3)
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)
        return str(item)

    async def main() -> None:
        async with parallel(work, kept=kept, in_processes=2) as p:
            outcomes = [one async for one in p.as_completed(range(20))]
            failed = [one.index for one in outcomes if not one.ok]
            assert 1 in failed
            assert len(failed) <= 2
            assert len(outcomes) == 20

    run(main())
