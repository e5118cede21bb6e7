"""Trivial items over Dask: in chunks, beside Client.map with a task an item.

    python benchmarks/engines.py [--rounds 5] [--tasks 2000] [--whole]

A scheduler and two workers of one thread each run on loopback, as processes of their own. The
same client makes both kinds of calls, in turn: 100,000 items in chunks, then 2,000 tasks. A task
costs about the same in a call of 1,000, which is shown beside it, and --whole adds one Client.map
of all 100,000, which takes some minutes. Beside the time stands what of it this
process has worked, which a busy machine changes less. The exit status is 1 if an item takes more
than 15 us, or a task less than 100 times that.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from harness import processor

TESTS = Path(__file__).parent.parent / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "engines")]

from dask_cluster import cluster_of  # noqa: E402

from tep_parallel import Parallel  # noqa: E402

COUNT = 100_000
MOST, LEAST = 15.0, 100.0  # microseconds an item; times as fast


class Cost(NamedTuple):
    """Of an item, in microseconds."""

    wall: float
    cpu: float  # of this process


def timed(call: Callable[[list[int]], list[str]], count: int) -> Cost:
    """What an item costs."""
    items = list(range(count))
    expected = list(map(str, items))
    begun, worked = time.perf_counter(), time.process_time()
    results = call(items)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - worked
    if results != expected:
        sys.exit("wrong results")
    return Cost(seconds / count * 1e6, cpu / count * 1e6)


def calls_of(client: Any) -> tuple[dict[str, Callable[[list[int]], list[str]]], Any]:
    """Ours, with children and without; and a task an item."""
    executor = client.get_executor()
    children = Parallel(str, executor=executor, in_processes=1)
    inside = Parallel(str, executor=executor)

    def tasks(items: list[int]) -> list[str]:
        # Impure: or what an earlier round has asked for is not run again.
        results: list[str] = client.gather(client.map(str, items, pure=False))
        return results

    ours = {
        "in chunks, in_processes=1": children.map_processes,
        "in chunks, in the worker itself": inside.map_processes,
    }
    return ours, tasks


def main() -> None:
    """Run the cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tasks", type=int, default=2000, help="of Client.map, a round")
    parser.add_argument("--whole", action="store_true")
    options = parser.parse_args()
    import distributed

    print(f"\nDask {distributed.__version__}, two workers of one thread; {processor()}")
    costs: dict[str, list[Cost]] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        cluster_of(Path(folder) / "dask", threads=1) as cluster,
        distributed.Client(cluster.address) as client,
    ):
        ours, tasks = calls_of(client)
        for call in (*ours.values(), tasks):
            timed(call, 1000)
        for turn in range(options.rounds):
            order = list(ours.items())
            for name, call in order[turn % 2 :] + order[: turn % 2]:
                costs.setdefault(name, []).append(timed(call, COUNT))
            for count in sorted({1000, options.tasks}):
                costs.setdefault(name_of(count), []).append(timed(tasks, count))
        if options.whole:
            costs[f"{name_of(COUNT)}, once"] = [timed(tasks, COUNT)]
    sys.exit(not told(costs, next(iter(ours)), name_of(options.tasks)))


def name_of(tasks: int) -> str:
    """Of a Client.map of so many."""
    return f"Client.map, {tasks:,} tasks"


def told(costs: dict[str, list[Cost]], ours: str, theirs: str) -> bool:
    """Print the figures. Returns whether ours are as they should be."""
    print(f"{COUNT:,} items a call in chunks, fewer where there is a task an item")
    print(f"medians of {len(costs[ours])} interleaved rounds")
    print(f"  {'':34}{'us an item':>12}{'of it here':>12}{'this / ours':>14}")
    medians = {
        name: [statistics.median(one) for one in zip(*taken, strict=True)]
        for name, taken in costs.items()
    }
    least = medians[ours][0]
    for name, (wall, cpu) in medians.items():
        print(f"  {name:34}{wall:>12.1f}{cpu:>12.1f}{wall / least:>14.1f}")
    pairs = zip(costs[ours], costs[theirs], strict=True)
    times = statistics.median(task.wall / item.wall for item, task in pairs)
    print(f"  a task takes {times:.0f} times as long as an item, round by round")
    return least <= MOST and times >= LEAST


if __name__ == "__main__":
    main()
