"""digest_files of AsyncParallel: the thread of the loop digests a small set."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import statistics
import time
from pathlib import Path
from typing import Any

import pytest
from loops import Run, parallel, sleep_deaf
from support import both
from test_async import Gap, double
from test_digest_small import calls_with_children, empty_files, sha256, told_of

from tep_parallel import AbortedError, AsyncParallel, digest_files
from tep_parallel._engine.native import lib

pytestmark = pytest.mark.filterwarnings("ignore:.*thread:RuntimeWarning")  # pytest's own
KIB = 1 << 10
A_FILE = 16 * KIB  # what each file counts beside its size


def forks(run: Run, main: Any) -> int:
    """How many calls with children it makes."""
    return calls_with_children(lambda: run(main()))


@both
def test_a_small_set_is_digested_in_the_loop(run: Run, kept: bool, tmp_path: Path) -> None:
    paths = empty_files(tmp_path, 20, 4 * KIB)
    paths[3].write_bytes(b"other")
    named = os.environ.get("TEP_PARALLEL_SHA256", "").encode()
    size = (1024 if lib.sphttp_sha256_lanes(named, 0) > 1 else 512) * KIB - A_FILE
    most = empty_files(tmp_path, 1, size)
    larger = empty_files(tmp_path, 1, size + 1)

    async def small() -> None:
        async with parallel(double, kept=kept) as p:
            for some in (paths, most):
                found = await p.digest_files(some, algorithm="sha256")
                assert found == list(map(sha256, some))
            assert await p.digest_files([]) == []

    async def large() -> None:
        async with parallel(double, kept=kept) as p:
            assert await p.digest_files(larger, algorithm="sha256") == list(map(sha256, larger))

    assert forks(run, small) == kept  # the block's own
    assert forks(run, large) == kept + 1


@pytest.mark.parametrize(
    "options", [{"in_processes": 1}, {"timeout": 60}, {"deadline": 60}, {"progress": True}], ids=str
)
def test_whoever_asks_for_children_or_a_limit_has_children(
    options: dict[str, Any], tmp_path: Path
) -> None:
    paths = empty_files(tmp_path, 3, 4 * KIB)

    async def main() -> None:
        p = AsyncParallel(double, **options)
        assert await p.digest_files(paths, algorithm="sha256") == list(map(sha256, paths))

    assert calls_with_children(lambda: asyncio.run(main())) == 1


def test_a_small_set_fails_as_a_large_one_does(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    refused = [tmp_path, tmp_path / "fifo", tmp_path / "nowhere", "/dev/zero", ""]
    paths = [*empty_files(tmp_path, 1), *refused]

    async def main() -> None:
        here, childs = AsyncParallel(double), AsyncParallel(double, in_processes=2)
        found = await here.digest_files(paths, return_exceptions=True)
        expected = await childs.digest_files(paths, return_exceptions=True)
        assert found[0] == expected[0]
        for one, other in zip(found[1:], expected[1:], strict=True):
            assert isinstance(one, OSError)
            assert isinstance(other, OSError)
            assert told_of(one) == told_of(other)
        for path in refused:
            raised: list[Any] = []
            for p in (here, childs):
                with pytest.raises(OSError) as caught:
                    await p.digest_files([path])
                raised.append(told_of(caught.value))
            assert raised[0] == raised[1]

    assert forks(run, main) == 1 + len(refused)


def test_a_small_set_waits_for_no_call(run: Run, tmp_path: Path) -> None:
    """Nor does abort end it: nothing of it can be killed."""
    paths = empty_files(tmp_path, 2)

    async def main() -> None:
        p = AsyncParallel(sleep_deaf, max_calls=1)
        call = asyncio.create_task(p.map_processes([60]))
        await asyncio.sleep(0.1)
        assert len(await p.digest_files(paths)) == 2
        p.abort()
        with pytest.raises(AbortedError):
            await call

    run(main())


def test_a_small_set_costs_what_it_costs_elsewhere(run: Run, tmp_path: Path) -> None:
    paths = empty_files(tmp_path, 20, 4 * KIB)

    async def main() -> None:
        p = AsyncParallel(double)
        spent: tuple[list[float], list[float]] = ([], [])
        for _ in range(40):
            begun = time.thread_time()
            digest_files(paths)
            between = time.thread_time()
            await p.digest_files(paths)
            spent[0].append(between - begun)
            spent[1].append(time.thread_time() - between)
        plain, awaited = map(statistics.median, spent)
        assert awaited < 1.5 * plain + 0.0003  # children cost 5 ms

    run(main())


def test_many_small_sets_leave_the_loop_its_turns(run: Run, tmp_path: Path) -> None:
    """All at once take a tenth of a second."""
    paths = empty_files(tmp_path, 3, 300 * KIB)

    async def main() -> None:
        p, gap = AsyncParallel(double), Gap()

        async def many() -> None:
            await asyncio.gather(*(p.digest_files(paths) for _ in range(200)))

        await gap.of(many())
        assert gap.seconds < 0.05

    run(main())


def test_a_small_set_that_waits_for_its_turn_can_be_cancelled(tmp_path: Path) -> None:
    paths = empty_files(tmp_path, 3, 300 * KIB)

    async def main() -> None:
        p = AsyncParallel(double)
        tasks = [asyncio.create_task(p.digest_files(paths)) for _ in range(50)]
        await asyncio.sleep(0)
        for task in tasks[1::2]:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        assert any(task.cancelled() for task in tasks)
        assert not any(task.cancelled() for task in tasks[::2])
        expected = hashlib.sha256(bytes(300 * KIB)).hexdigest()
        assert await p.digest_files(paths, algorithm="sha256") == [expected] * 3

    asyncio.run(main())
