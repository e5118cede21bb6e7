"""async with AsyncParallel(...): children that are kept from call to call."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from loops import Run, parallel, sleep_deaf, until
from support import children
from test_async import busy_children, double, parent_of, whoami

from tep_parallel import AbortedError, AsyncParallel, ParallelWorker

pytestmark = pytest.mark.filterwarnings("ignore:.*thread:RuntimeWarning")  # pytest's own


def test_warm_children_serve_call_after_call_and_fresh_ones_one_item(run: Run) -> None:
    async def main() -> None:
        async with parallel(whoami, in_processes=2, max_calls=1, kept=True) as p:
            pids = {pid for _ in range(10) for pid in await p.map_processes(list("abcd"))}
            assert len(pids) <= 2
        async with parallel(whoami, kept=True) as p:
            found = [await p.map_processes(list("abcd")) for _ in range(5)]
            assert len({pid for each in found for pid in each}) == 20

    run(main())


def test_a_block_can_be_entered_again_but_not_twice_at_once(run: Run) -> None:
    async def main() -> None:
        p = AsyncParallel(double)
        for _ in range(2):
            async with p:
                with pytest.raises(RuntimeError, match="entered already"):
                    await p.__aenter__()
                assert await p.map_processes([1]) == ["2"]
        assert await p.map_processes([1]) == ["2"]
        assert children(servers=True) == []

    run(main())


class Leaves(ParallelWorker):
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def process(self, item: Any) -> str:
        return str(item)

    def teardown(self) -> None:
        time.sleep(self.seconds)
        raise KeyError("teardown")


def test_the_end_of_a_block_waits_for_teardown_and_raises_what_that_raised(run: Run) -> None:
    async def main() -> None:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        p: Any = AsyncParallel(Leaves(0.3), in_processes=1)
        with pytest.raises(KeyError, match="teardown"):
            async with p:
                assert await p.map_processes([1]) == ["1"]
                other = asyncio.create_task(tick())
        assert ticks > 10
        other.cancel()
        assert children(servers=True) == []

    run(main())


def test_a_cancel_while_a_block_ends_kills_what_is_left(run: Run) -> None:
    async def main() -> None:
        async def use() -> None:
            async with AsyncParallel(Leaves(8), in_processes=1) as p:
                assert await p.map_processes([1]) == ["1"]

        task = asyncio.create_task(use())
        await asyncio.sleep(0.5)
        assert not task.done()
        begun = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - begun < 3
        assert children(servers=True) == []

    run(main())


@pytest.mark.parametrize("shape", [{}, {"in_processes": 2}], ids=["fresh", "warm"])
def test_the_end_of_a_block_ends_the_calls_in_it(run: Run, shape: Any) -> None:
    async def main() -> None:
        p: Any = AsyncParallel(sleep_deaf, max_calls=3, **shape)
        async with p:
            call = asyncio.create_task(p.map_processes([60, 60]))
            idle = p.as_completed([0, 60])
            assert (await anext(idle)).result == "slept"
            unborn = p.imap_processes([0])
            await asyncio.sleep(0.1)
        assert busy_children() == children(servers=True) == []
        with pytest.raises(AbortedError):
            await call
        for stream in (idle, unborn):
            with pytest.raises(AbortedError):
                await anext(stream)

    run(main())


@pytest.mark.parametrize("shape", [{}, {"in_processes": 2}], ids=["fresh", "warm"])
def test_a_cancelled_block_leaves_nothing(run: Run, shape: Any) -> None:
    async def main() -> None:
        async def use() -> None:
            async with AsyncParallel(sleep_deaf, **shape) as p:
                await p.map_processes([60, 60])

        task = asyncio.create_task(use())
        await asyncio.sleep(0.4)
        begun = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert busy_children() == children(servers=True) == []
        assert time.monotonic() - begun < 3

    run(main())


def test_a_fork_of_the_host_makes_calls_of_its_own(run: Run) -> None:
    async def main() -> None:
        async with parallel(double, kept=True, in_processes=2) as p:
            await p.map_processes([1])
            pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    asyncio._set_running_loop(None)
                    assert asyncio.run(p.map_processes([1, 2])) == ["2", "4"]
                    status = 0
                finally:
                    os._exit(status)
            _, status = os.waitpid(pid, 0)
            assert status == 0
            assert await p.map_processes([3]) == ["6"]

    run(main())


def test_a_child_that_dies_in_a_block_costs_its_item(run: Run) -> None:
    def work(item: int) -> str:
        if item == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return str(item)

    async def main() -> None:
        async with parallel(work, kept=True, in_processes=2) as p:
            for _ in range(3):
                outcomes = await p.outcomes(range(4))
                assert [outcome.result for outcome in outcomes] == ["0", None, "2", "3"]

    run(main())


@pytest.mark.parametrize("shape", [{}, {"in_processes": 2}], ids=["fresh", "warm"])
def test_a_block_may_end_while_its_iterators_are_closed(run: Run, shape: Any) -> None:
    """One is left by a break: the loop closes it, in a task of its own. One is closed by a task
    that is cancelled. Their nurseries are stopped, so that this takes long."""

    async def main() -> None:
        async with parallel(sleep_deaf, kept=True, **shape) as p:
            closed = p.as_completed([60, 0])
            await anext(closed)
            async for _ in p.as_completed([60, 0]):
                await until(lambda: len(busy_children()) >= 2)
                nurseries = set(map(parent_of, busy_children()))
                for pid in nurseries:
                    os.kill(pid, signal.SIGSTOP)
                break
            closing = asyncio.create_task(closed.aclose())
            await asyncio.sleep(0.05)
            closing.cancel()

            def go_on() -> None:
                for pid in nurseries:
                    os.kill(pid, signal.SIGCONT)

            asyncio.get_running_loop().call_later(0.2, go_on)
        assert busy_children() == children(servers=True) == []
        with pytest.raises(asyncio.CancelledError):
            await closing

    run(main())


@pytest.mark.parametrize("shape", [{}, {"in_processes": 2}], ids=["fresh", "warm"])
def test_the_end_of_a_block_leaves_alone_what_does_not_run_in_it(
    run: Run, shape: Any, tmp_path: Path
) -> None:
    """Calls that began before it, those that waited then, and digests, which have no kept child."""
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(1 << 30)

    async def main() -> None:
        p: Any = AsyncParallel(sleep_deaf, max_calls=2, **shape)
        calls = [asyncio.create_task(p.map_processes([0.7])) for _ in range(3)]
        results = p.imap_processes([0.7, 0.7])
        waiting = asyncio.create_task(anext(results))
        await until(lambda: len(busy_children()) == 2)
        async with p:
            pass
        assert await asyncio.gather(*calls) == [["slept"]] * 3
        assert await waiting == "slept"
        assert await anext(results) == "slept"
        await results.aclose()
        async with p:
            digests = asyncio.create_task(p.digest_files([large] * 2))
            await asyncio.sleep(0.2)
            assert not digests.done()
        assert len(await digests) == 2
        assert children(servers=True) == []

    run(main())
