"""What type checkers make of AsyncParallel: read by mypy and pyright, never run."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from typing_extensions import assert_type

from tep_parallel import AsyncParallel, Outcome, ParallelWorker


class Doubler(ParallelWorker):
    def process(self, item: str) -> str:
        return item * 2


class Sized(ParallelWorker):
    def process(self, item: str) -> int:
        return len(item)


async def lines() -> AsyncIterator[str]:
    yield "a"


async def uses() -> None:
    async with AsyncParallel(Doubler(), in_processes=2) as p:
        assert_type(p, AsyncParallel[str, str])
        assert_type(await p.map_processes(["a"]), list[str])
        assert_type(await p.map_processes(lines()), list[str])
    assert_type(await AsyncParallel(Sized()).each_process(["a"]), int)
    assert_type(await AsyncParallel(Doubler()).outcomes(["a"]), list[Outcome[str]])
    assert_type(await AsyncParallel(Sized(), codec=json).map_processes(["a"]), list[Any])
    assert_type(AsyncParallel(Doubler()).imap_processes(lines()), AsyncGenerator[str, None])
    assert_type(AsyncParallel(Doubler()).as_completed(input), AsyncGenerator[Outcome[str], None])
    assert_type(await AsyncParallel(Doubler()).digest_files(["/a"]), list[str])
    assert_type(
        await AsyncParallel(Doubler()).digest_files(["/a"], "key", return_exceptions=True),
        list[str | BaseException],
    )
    # It returns no text, and there is no codec.
    await AsyncParallel(Sized()).map_processes(["a"])  # type: ignore[misc]
    AsyncParallel(Doubler(), unknown=1)  # type: ignore[call-overload]
