"""How often a fresh process chooses the right SHA-256 routine for several files, and how long
that takes; idle, and beside as many busy processes as there are CPUs, and twice as many.

    python benchmarks/choices.py [--processes 200]

What is right is measured too, in one process for long. A choice is right if for no number of
files another way to split them would be faster by more than a twentieth.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from harness import about

from tep_parallel._engine.native import lib

MOST = 16  # files in hand
ROUNDS = 400
NEARLY = 1.05
NAMES = (b"alone", b"sha-ni", b"armv8", b"avx512")
ASK = """
import time
from tep_parallel._engine.native import lib
before = time.perf_counter_ns()
most = lib.sphttp_sha256_lanes(b"", 0)
print(time.perf_counter_ns() - before, most)
print(*(lib.sphttp_sha256_lanes(b"", count) for count in range(1, most + 1)))
"""
SPIN = "while True: pass"


def main() -> None:
    """Print a line for each load."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=200)
    options = parser.parse_args()
    print(about())
    time_of = units()
    for lanes, nanoseconds in sorted(time_of.items()):
        print(f"{lanes:3} at once, in memory: {lanes * 4096 / nanoseconds:.2f} GB/s")
    best = cheapest(time_of)
    cores = len(os.sched_getaffinity(0))
    for busy in (0, cores, 2 * cores):
        took, right = [], 0
        with spinning(busy):
            for _ in range(options.processes):
                nanoseconds, parts = choice()
                took.append(nanoseconds / 1e3)
                right += is_right(parts, time_of, best)
        took.sort()
        print(
            f"beside {busy} busy processes: right in {right} of {options.processes}; "
            f"median {statistics.median(took):.0f} us, at most {took[-1]:.0f} us"
        )


def units() -> dict[int, float]:
    """The nanoseconds of each routine for exactly so many files: the best of many."""
    found: dict[int, float] = {}
    for _ in range(ROUNDS):
        for name in NAMES:
            for count in (1, 2, 3, 4, 8, 16):
                if lib.sphttp_sha256_lanes(name, count) == count:
                    nanoseconds = lib.sphttp_sha256_time(name, count)
                    if nanoseconds > 0:
                        found[count] = min(nanoseconds, found.get(count, nanoseconds))
        time.sleep(0.001)
    return found


def cheapest(time_of: dict[int, float]) -> list[float]:
    """The nanoseconds for each number of files, split in the best way."""
    best = [0.0]
    for count in range(1, MOST + 1):
        best.append(min(t + best[max(count - lanes, 0)] for lanes, t in time_of.items()))
    return best


def choice() -> tuple[int, list[int]]:
    """In a fresh process: how long it took, and with how many it begins, of so many."""
    done = subprocess.run([sys.executable, "-c", ASK], check=True, capture_output=True, text=True)
    first, second = done.stdout.splitlines()
    return int(first.split()[0]), list(map(int, second.split()))


def is_right(parts: list[int], time_of: dict[int, float], best: list[float]) -> bool:
    """Whether no number of files has a way that is faster, and no other number is."""
    cost = [0.0]
    for count, first in enumerate(parts, 1):
        cost.append(time_of[first] + cost[max(count - first, 0)])
    split = all(mine <= NEARLY * right for mine, right in zip(cost[1:], best[1:], strict=False))
    a_file = min(best[count] / count for count in range(1, MOST + 1))
    return split and cost[-1] / len(parts) <= NEARLY * a_file


@contextlib.contextmanager
def spinning(count: int) -> Iterator[None]:
    """So many processes that do nothing but compute."""
    busy = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(count)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
