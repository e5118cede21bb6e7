"""A call of ForkExecutor, beside one of pebble in a process that serves no other.

    python benchmarks/executor.py [--rounds 15]

Both are executors of two workers that were made before, each in a host of its own; both fork a
fresh process for each call, and both can kill one. A warm ProcessPoolExecutor, which can not, is
there for comparison. The exit status is 1 if ours takes more than half of pebble's time in a quiet
host. Where threads of the host compute, each step of either waits for the GIL.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import multiprocessing
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from harness import Contender, Row, compare, serve, show

from tep_parallel import ForkExecutor

BOUND = 0.5  # of pebble's time
BUSY_THREADS = 4
FORK = multiprocessing.get_context("fork")
Run = Callable[[list[str]], list[str]]
PEBBLE = "pebble, max_tasks=1"


def work(item: str) -> str:
    """The trivial call: what is measured is the way there and back."""
    return item


def ours() -> Run:
    """This library."""
    executor = ForkExecutor(2)
    return lambda items: [one.result() for one in [executor.submit(work, item) for item in items]]


def by_pebble() -> Run:
    """pebble's ProcessPool, whose processes end after one call."""
    import pebble

    pool = pebble.ProcessPool(2, max_tasks=1, context=FORK)
    pools.append(pool)

    def call(items: list[str]) -> list[str]:
        # Its children close what they inherit as sys.stdin, and hang if this host reads it then.
        sys.stdin = None  # type: ignore[assignment]
        return [one.result() for one in [pool.submit(work, None, item) for item in items]]

    return call


def by_warm() -> Run:
    """concurrent.futures.ProcessPoolExecutor, whose processes serve many calls."""
    pool = concurrent.futures.ProcessPoolExecutor(2, mp_context=FORK)
    return lambda items: [one.result() for one in [pool.submit(work, item) for item in items]]


pools: list[Any] = []  # pebble's do not end by themselves
CONTENDERS: dict[str, Contender] = {
    "ForkExecutor": ours,
    PEBBLE: by_pebble,
    "ProcessPoolExecutor, warm": by_warm,
}


def over(rows: list[Row]) -> bool:
    """Whether ours takes too much of pebble's time."""
    return next(row.ratio for row in rows if row.name == PEBBLE) > BOUND


def main() -> None:
    """Run the cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--host", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.host is not None:
        serve(CONTENDERS[options.host])
        for pool in pools:
            pool.close()
            pool.join()
        return
    print(f"\nexecutors of two workers, medians of {options.rounds} interleaved rounds")
    too_slow = False
    with tempfile.TemporaryDirectory() as root:
        for count, threads in ((1, 0), (4, 0), (32, 0), (4, BUSY_THREADS)):
            rows = compare(
                list(CONTENDERS),
                root,
                items=count,
                rounds=options.rounds,
                calls=1 if threads else max(1, 8 // count),
                threads=threads,
            )
            host = f"{threads} threads compute" if threads else "quiet host"
            show(f"{host}, {count} calls at once", rows)
            too_slow = too_slow or (threads == 0 and over(rows))
    sys.exit(too_slow)


if __name__ == "__main__":
    main()
