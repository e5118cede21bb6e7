"""What a call of AsyncParallel takes of the loop's thread, beside a fork of the same host.

    python benchmarks/asyncio_cost.py [--rounds 60] [--big]

Milliseconds of CPU of the thread, the median of rounds in which all are measured in turn: of
os.fork, of a call of 4 items outside a block, and in a block with fresh and with warm children.
The last are called one time after the other, the others after a pause.
Then the longest gap of the loop while 100 calls are awaited at once; or, with --big, only that
of calls with 24 results of 100 MB, which take 6 GB of memory.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import time
from typing import Any

from tep_parallel import AsyncParallel

HOSTS = (0, 64)  # MiB that the host has touched beside what it is
ITEMS = range(4)
PAUSE = 0.02  # seconds, until what a call has started is gone
AT_ONCE = 100
BIG = 24  # results, and...
BIG_SIZE = 100 << 20  # ...the bytes of each


def fork() -> None:
    """What an os.fork of this host takes."""
    if os.fork() == 0:
        os._exit(0)


async def measured(rounds: int) -> dict[str, list[float]]:
    """Milliseconds of CPU of this thread, by what took them."""
    outside = AsyncParallel(str)
    seen: dict[str, list[float]] = {"os.fork": [], "outside": [], "warm": [], "fresh": []}

    def note(name: str, begun: float) -> None:
        seen[name].append((time.thread_time() - begun) * 1e3)

    async with AsyncParallel(str, in_processes=2) as warm, AsyncParallel(str) as fresh:
        calls = {"outside": outside, "warm": warm, "fresh": fresh}
        for _ in range(rounds):
            begun = time.thread_time()
            fork()
            note("os.fork", begun)
            await asyncio.sleep(PAUSE)
            os.wait()
            for name, parallel in calls.items():
                await parallel.map_processes(ITEMS)  # what a fork has shared is its own again
                if name != "warm":
                    await asyncio.sleep(PAUSE)
                begun = time.thread_time()
                await parallel.map_processes(ITEMS)
                note(name, begun)
                await asyncio.sleep(PAUSE)
    return seen


async def many_gap(parallel: Any) -> tuple[float, float]:
    """While many calls are awaited."""
    return await longest_gap([parallel.map_processes(ITEMS) for _ in range(AT_ONCE)])


async def longest_gap(awaited: list[Any]) -> tuple[float, float]:
    """From one turn of the loop to the next, while these are awaited: CPU and time."""
    calls = [asyncio.create_task(each) for each in awaited]
    gaps: list[tuple[float, float]] = []
    last = time.thread_time(), time.perf_counter()
    while not all(call.done() for call in calls):
        await asyncio.sleep(0)
        now = time.thread_time(), time.perf_counter()
        gaps.append((now[0] - last[0], now[1] - last[1]))
        last = now
    return max(gap[0] for gap in gaps) * 1e3, max(gap[1] for gap in gaps) * 1e3


def large(item: int) -> str:
    """A large result."""
    return str(item % 10) * BIG_SIZE


async def iterated(parallel: Any) -> None:
    """Let go of each result at once."""
    async for _ in parallel.imap_processes(range(BIG)):
        pass


async def big() -> None:
    """Print the gaps of large results."""
    print(f"{BIG} results of {BIG_SIZE >> 20} MiB: longest gap of the loop")
    for options in ({"in_processes": 2}, {}):
        parallel = AsyncParallel(large, **options)
        for name, use in (
            ("map", parallel.map_processes(range(BIG))),
            ("imap", iterated(parallel)),
        ):
            cpu, wall = await longest_gap([use])
            print(f"  {name} {options or 'a child an item'}: {cpu:.1f} ms CPU, {wall:.1f} ms")


async def main(rounds: int) -> None:
    """Print the tables."""
    for size in HOSTS:
        held = b"x" * (size << 20)
        medians = {name: statistics.median(each) for name, each in (await measured(rounds)).items()}
        print(f"a host with {size} MiB more: ms of the loop's thread a call")
        for name, value in medians.items():
            print(f"  {name:10}{value:>8.2f}")
        print(f"  1.2 forks and 0.5 ms: {1.2 * medians['os.fork'] + 0.5:.2f}")
        for name, most in (("default", None), (f"max_calls={AT_ONCE}", AT_ONCE)):
            cpu, wall = await many_gap(AsyncParallel(str, max_calls=most))
            print(f"  {AT_ONCE} calls at once, {name}: longest gap {cpu:.1f} ms CPU, {wall:.1f} ms")
        async with AsyncParallel(str, in_processes=2) as block:
            cpu, wall = await many_gap(block)
        print(f"  the same in a block: longest gap {cpu:.1f} ms CPU, {wall:.1f} ms")
        del held


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--big", action="store_true")
    chosen = parser.parse_args()
    print(f"CPython {sys.version.split()[0]}")
    asyncio.run(big() if chosen.big else main(chosen.rounds))
