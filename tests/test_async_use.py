"""Ways to use an AsyncParallel: many tasks, many loops, sources that go wrong, other machinery."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from loops import Run, parallel, run_in, sleep_deaf, until
from support import FORKED, KEPT, both, children
from test_async import busy_children, double, sleep

from tep_parallel import AsyncParallel, Parallel

Shape = dict[str, Any]
SHAPES = {**FORKED, **KEPT}
every = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
pytestmark = pytest.mark.filterwarnings("ignore:.*thread:RuntimeWarning")  # pytest's own


def test_an_object_serves_one_loop_after_the_other(run: Run) -> None:
    p = AsyncParallel(double)

    async def main() -> None:
        assert await p.map_processes([1, 2]) == ["2", "4"]
        async with p:
            assert [result async for result in p.imap_processes([3])] == ["6"]

    for _ in range(3):
        run(main())


def test_a_block_of_another_loop_is_refused_and_says_why() -> None:
    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()
    p = AsyncParallel(double)
    try:
        first.run_until_complete(p.__aenter__())
        for work in (p.map_processes([1]), p.__aenter__()):
            with pytest.raises(RuntimeError, match=r"another event loop|entered already"):
                second.run_until_complete(work)
        assert first.run_until_complete(p.map_processes([1])) == ["2"]
        first.run_until_complete(p.__aexit__(None, None, None))
    finally:
        first.close()
        second.close()


@every
def test_many_tasks_use_one_object_in_every_way(run: Run, shape: Shape) -> None:
    async def one(p: Any, number: int) -> None:
        items = [number, number + 1]
        expected = [str(2 * item) for item in items]
        if number % 3 == 0:
            assert await p.map_processes(items) == expected
        elif number % 3 == 1:
            assert [result async for result in p.imap_processes(items)] == expected
        else:
            found = {each.result async for each in p.as_completed(items)}
            assert found == set(expected)

    async def main() -> None:
        async with parallel(double, **shape) as p:
            await asyncio.gather(*(one(p, number) for number in range(24)))

    run(main())


@pytest.mark.skipif(not hasattr(asyncio, "eager_task_factory"), reason="they are of Python 3.12")
@both
def test_tasks_may_begin_at_once(kept: bool) -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined]
        async with parallel(sleep_deaf, kept=kept) as p:
            calls = (p.map_processes([0, 0]) for _ in range(6))
            assert await asyncio.gather(*calls) == [["slept", "slept"]] * 6

            async def items() -> AsyncIterator[int]:
                yield 0

            assert [result async for result in p.imap_processes(items())] == ["slept"]
            task = asyncio.create_task(p.map_processes([60]))
            await until(lambda: len(busy_children()) == 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert busy_children() == children() == []

    run_in("asyncio", main())


@both
def test_a_source_that_raises_late_or_is_cancelled_leaves_nothing(run: Run, kept: bool) -> None:
    async def items(error: BaseException) -> AsyncIterator[int]:
        yield 0
        await asyncio.sleep(0.02)
        yield 60
        await asyncio.sleep(0.02)
        raise error

    async def main() -> None:
        async with parallel(sleep_deaf, kept=kept) as p:
            for error in (KeyError("source"), asyncio.CancelledError()):
                found = []
                with pytest.raises(type(error)):
                    async for result in p.imap_processes(items(error)):
                        found.append(result)
                assert found in ([], ["slept"])
                assert busy_children() == children() == []

    run(main())


@both
def test_a_blocking_call_of_a_thread_goes_on_beside(run: Run, kept: bool) -> None:
    found: list[Any] = []

    def block() -> None:
        found.extend(Parallel(sleep).map_processes([0.3, 0.2]) for _ in range(3))

    async def main() -> None:
        async with parallel(double, kept=kept) as p:
            thread = threading.Thread(target=block)
            thread.start()
            while thread.is_alive():
                assert await p.map_processes([1, 2]) == ["2", "4"]
            thread.join()

    run(main())
    assert found == [["0.3", "0.2"]] * 3


def test_a_loop_that_is_stopped_in_the_middle_goes_on_where_it_was() -> None:
    loop = asyncio.new_event_loop()
    p = AsyncParallel(sleep)
    try:
        task = loop.create_task(p.map_processes([0.1, 0.2]))
        loop.call_later(0.05, loop.stop)
        loop.run_forever()
        assert not task.done()
        assert loop.run_until_complete(task) == ["0.1", "0.2"]
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
