"""Async iterables that AsyncParallel reads, and what becomes of them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from loops import Run, parallel
from support import FORKED, KEPT, both, children

from tep_parallel import AbortedError, Break, DeadlineError

Shape = dict[str, Any]
SHAPES = {**FORKED, **KEPT}
every = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
pytestmark = pytest.mark.filterwarnings("ignore:.*thread:RuntimeWarning")  # pytest's own


def work(item: str) -> str:
    if item in ("fail", "break"):
        time.sleep(0.1)
        raise ValueError(item) if item == "fail" else Break(item)
    time.sleep(float(item))
    return item


@every
@pytest.mark.parametrize("first", ["fail", "break"])
def test_a_source_is_ended_and_not_asked_after_a_failure_or_a_break(
    run: Run, shape: Shape, first: str
) -> None:
    """An item runs on while the source gives its next. The loop turns meanwhile."""
    closed: list[bool] = []

    async def items() -> AsyncIterator[str]:
        try:
            yield first
            yield "0.6"
            await asyncio.sleep(0.2)
            yield "0"
        finally:
            await asyncio.sleep(0.02)
            closed.append(True)

    async def use(p: Any) -> list[str]:
        return [result async for result in p.imap_processes(items())]

    async def main() -> None:
        async with parallel(work, **{"in_processes": 2, **shape}) as p:
            task = asyncio.create_task(use(p))
            widest, last = 0.0, time.monotonic()
            while not task.done():
                await asyncio.sleep(0.01)
                now = time.monotonic()
                widest, last = max(widest, now - last), now
            assert closed == [True]
            if first == "fail":
                with pytest.raises(ValueError, match="fail"):
                    await task
            else:
                assert await task == []
            assert widest < 0.35  # and not until the other item had ended

    run(main())


async def two(log: list[object]) -> AsyncIterator[str]:
    """Say in which task it begins, and in which it has ended, which takes a moment."""
    log.append(asyncio.current_task())
    try:
        for _ in range(100):
            yield "0"
    finally:
        await asyncio.sleep(0.05)
        log.append(asyncio.current_task())


@both
def test_a_source_that_is_full_is_closed_in_its_task_before_aclose_returns(
    run: Run, kept: bool
) -> None:
    async def main() -> None:
        log: list[object] = []
        async with parallel(work, kept=kept, in_processes=2, window=2) as p:
            async with contextlib.aclosing(p.imap_processes(two(log))) as results:
                assert await anext(results) == "0"
                await asyncio.sleep(0.05)
            assert len(log) == 2
            assert log[0] is log[1]
            assert children() == []

    run(main())


def test_what_a_source_raises_when_it_is_closed_is_told_to_the_loop(run: Run) -> None:
    async def items() -> AsyncIterator[str]:
        try:
            for _ in range(100):
                yield "0"
        finally:
            raise KeyError("closing")

    async def main() -> None:
        told: list[Any] = []
        handler: Callable[..., None] = lambda _, context: told.append(context["exception"])  # noqa: E731
        asyncio.get_running_loop().set_exception_handler(handler)
        async with parallel(work, in_processes=2, window=2) as p:
            async with contextlib.aclosing(p.imap_processes(items())) as results:
                assert await anext(results) == "0"
                await asyncio.sleep(0.05)
            assert [str(error) for error in told] == ["'closing'"]

    run(main())


async def slow() -> AsyncIterator[str]:
    for _ in range(40):
        await asyncio.sleep(0.1)
        yield "0"


@both
def test_limits_hold_while_a_call_reads_its_items(run: Run, kept: bool) -> None:
    async def main() -> None:
        async with parallel(work, kept=kept, in_processes=2, deadline=0.3) as p:
            for call in (p.map_processes, p.each_process, p.outcomes):
                begun = time.monotonic()
                with pytest.raises(DeadlineError, match=r"the call was not over after 0\.3 s"):
                    await call(slow())
                assert time.monotonic() - begun < 3.5
            assert await p.map_processes(two([])) == ["0"] * 100

    run(main())


@both
@pytest.mark.parametrize("how", ["abort", "cancel"])
def test_a_call_that_reads_its_items_can_be_ended(run: Run, kept: bool, how: str) -> None:
    async def main() -> None:
        log: list[object] = []

        async def items() -> AsyncIterator[str]:
            async for item in two(log):
                yield item
                await asyncio.sleep(0.1)

        async with parallel(work, kept=kept, in_processes=2) as p:
            task = asyncio.create_task(p.map_processes(items()))
            await asyncio.sleep(0.15)
            begun = time.monotonic()
            if how == "abort":
                p.abort()
            else:
                task.cancel()
            with pytest.raises(AbortedError if how == "abort" else asyncio.CancelledError):
                await task
            assert time.monotonic() - begun < 3.5
            assert await p.map_processes(["0"]) == ["0"]

    run(main())


@pytest.mark.parametrize("shape", [{}, {"in_processes": 2}], ids=["fresh", "warm"])
def test_a_call_that_reads_its_items_ends_with_its_block(run: Run, shape: Shape) -> None:
    async def main() -> None:
        async with parallel(work, kept=True, **shape) as p:
            task = asyncio.create_task(p.map_processes(slow()))
            await asyncio.sleep(0.15)
        begun = time.monotonic()
        with pytest.raises(AbortedError):
            await task
        assert time.monotonic() - begun < 3.5

    run(main())


@both
def test_what_a_source_raises_while_it_is_read_goes_on(run: Run, kept: bool) -> None:
    async def items() -> AsyncIterator[str]:
        yield "0"
        await asyncio.sleep(0)
        raise KeyError("source")

    async def main() -> None:
        async with parallel(work, kept=kept, in_processes=2) as p:
            with pytest.raises(KeyError, match="source"):
                await p.map_processes(items())

    run(main())
