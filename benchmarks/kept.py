"""Calls in a block, beside pools that are kept warm, and beside os.fork by hand.

    python benchmarks/kept.py [--rounds 31] [--big] [--only warm|fresh|busy]

Two workers each. Blocks and pools are made before their host does anything else. A row says what
share of a peer's time ours takes, and what share is wanted. `--big` adds a host of 2 GiB.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import mmap
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable
from typing import NamedTuple

from harness import Contender, compare, serve
from one_child_an_item import fork_and_pipe
from pools import enlarge, tuned, work

from tep_parallel import Parallel

BUSY_THREADS = 4
LARGE = 2 << 30  # bytes that a large host touches
RESULT = 32 << 20  # bytes of a large result
FORK = multiprocessing.get_context("fork")

Run = Callable[[list[str]], list[str]]
Worker = Callable[[str], str]


def in_block(worker: Worker = work, **options: int) -> Run:
    """This library, in a block that is never left."""
    fan_out = Parallel(worker, **options)
    fan_out.__enter__()
    return fan_out.map_processes


def warm() -> Run:
    """A block of two warm children."""
    return in_block(in_processes=2)


def fresh() -> Run:
    """A block of children that are forked ahead and used once."""
    return in_block()


def pool(chunk: int | None = None, worker: Worker = work) -> Run:
    """A multiprocessing.Pool(2)."""
    made = FORK.Pool(2)
    return lambda items: made.map(worker, items, chunksize=chunk)


def executor(chunk: int = 1, worker: Worker = work) -> Run:
    """A ProcessPoolExecutor(2)."""
    made = concurrent.futures.ProcessPoolExecutor(2, mp_context=FORK)
    held.append(made)  # to the end: 3.11 fails if it is collected while the interpreter ends
    return lambda items: list(made.map(worker, items, chunksize=chunk))


def tuned_pool() -> Run:
    """A Pool(2), with the best of some chunk sizes for so many items."""
    made = FORK.Pool(2)
    return tuned(lambda items, chunk: made.map(work, items, chunksize=chunk))()


def of_large_results(made: Run) -> Run:
    """Only how long each result is comes back from here."""

    def run(items: list[str]) -> list[str]:
        assert {len(text) for text in made(items)} == {RESULT}
        return items

    return run


def in_large_host(contender: Contender) -> Contender:
    """The host writes to 2 GiB of small pages after its block has been entered."""

    def make() -> Run:
        call = contender()
        memory = mmap.mmap(-1, LARGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        memory.madvise(mmap.MADV_NOHUGEPAGE)
        for place in range(0, LARGE, mmap.PAGESIZE):
            memory[place] = 1
        held.append(memory)
        return call

    return make


held: list[object] = []
CONTENDERS: dict[str, Contender] = {
    "warm": warm,
    "fresh": fresh,
    "Pool.map": pool,
    "Pool.map, chunks of 1": lambda: pool(1),
    "Pool.map, its best chunks": tuned_pool,
    "ProcessPoolExecutor.map": executor,
    "os.fork by hand": fork_and_pipe,
    "warm, large results": lambda: of_large_results(in_block(enlarge, in_processes=2)),
    "ProcessPoolExecutor.map, large results": lambda: of_large_results(executor(1, enlarge)),
    "warm, 2 GiB": in_large_host(warm),
    "fresh, 2 GiB": in_large_host(fresh),
    "os.fork by hand, 2 GiB": in_large_host(fork_and_pipe),
}


class Case(NamedTuple):
    """What is compared, and the share of each peer's time that is wanted at most."""

    kind: str
    ours: str
    items: int
    wanted: dict[str, float]
    calls: int = 1  # a round, back to back
    threads: int = 0
    most_rounds: int = 31


POOL, EXECUTOR, HAND = "Pool.map", "ProcessPoolExecutor.map", "os.fork by hand"
CASES = [
    Case("warm", "warm", 1, {POOL: 1 / 3, EXECUTOR: 1 / 4}, calls=20),
    Case("warm", "warm", 4, {POOL: 1 / 3, EXECUTOR: 1 / 4}, calls=20),
    Case("warm", "warm", 32, {POOL: 1 / 4, EXECUTOR: 1 / 15}, calls=5),
    Case("warm", "warm", 1000, {POOL: 1 / 2, "Pool.map, chunks of 1": 1 / 40, EXECUTOR: 1 / 100}),
    Case("warm", "warm", 10_000, {"Pool.map, its best chunks": 0.85}),
    Case(
        *("warm", "warm, large results", 8),
        {"ProcessPoolExecutor.map, large results": 1 / 2},
        most_rounds=11,
    ),
    Case("fresh", "fresh", 1, {HAND: 1 / 4, EXECUTOR: 1 / 2}),
    Case("fresh", "fresh", 4, {HAND: 0.5}),
    Case("fresh", "fresh", 16, {HAND: 0.5}),
    Case("fresh", "fresh", 1, {HAND: 1.25}, calls=40),
    Case("fresh", "fresh", 4, {HAND: 1.25}, calls=20),
    Case("fresh", "fresh", 16, {HAND: 1.25}, calls=10),
    Case("busy", "warm", 4, {POOL: 1 / 50, EXECUTOR: 1 / 50}, threads=BUSY_THREADS),
    Case("busy", "fresh", 4, {POOL: 1 / 10, EXECUTOR: 1 / 10}, threads=BUSY_THREADS),
    Case("big", "warm, 2 GiB", 4, {"warm": 1.15}, calls=20),
    Case("big", "fresh, 2 GiB", 4, {"fresh": 1.15}),
    Case("big", "fresh, 2 GiB", 16, {"fresh": 1.15}),
    Case("big", "fresh, 2 GiB", 4, {"os.fork by hand, 2 GiB": 1 / 50}, most_rounds=11),
    Case("big", "fresh, 2 GiB", 16, {"os.fork by hand, 2 GiB": 1 / 50}, most_rounds=5),
]


def show(case: Case, rounds: int, root: str) -> bool:
    """Measure a case and print it; whether all that is wanted was reached."""
    rounds = min(rounds, case.most_rounds)
    names = [case.ours, *case.wanted]
    rows = compare(
        names, root, items=case.items, rounds=rounds, calls=case.calls, threads=case.threads
    )
    how = f"{case.calls} calls back to back" if case.calls > 1 else "a call after a pause"
    threads = f", {case.threads} threads of the host compute" if case.threads else ""
    print(f"\n{case.ours}, N = {case.items:,}, {how}{threads}, medians of {rounds} rounds")
    print(f"  {'':40}{'ms a call':>12}{'ours / this':>14}{'wanted':>10}")
    reached = True
    for row in rows:
        wanted = case.wanted.get(row.name)
        if wanted is None:
            print(f"  {row.name:40}{row.seconds * 1e3:>12.3f}", flush=True)
            continue
        missed = "" if row.ratio <= wanted else "  missed"
        reached = reached and not missed
        print(
            f"  {row.name:40}{row.seconds * 1e3:>12.3f}{row.ratio:>14.4f}{wanted:>10.4f}{missed}",
            flush=True,
        )
    return reached


def main() -> None:
    """Run the cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--big", action="store_true", help="with hosts of 2 GiB, too")
    parser.add_argument("--only", choices=["warm", "fresh", "busy", "big"])
    parser.add_argument("--host", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.host is not None:
        # Every host is the same program: it has loaded what any of them needs.
        Parallel(work, in_processes=2).map_processes(["0"])
        serve(CONTENDERS[options.host])
        return
    print(
        f"CPython {sys.version.split()[0]}, {len(os.sched_getaffinity(0))} CPUs, two workers each"
    )
    kinds = {options.only} if options.only else {"warm", "fresh", "busy"}
    if options.big:
        kinds.add("big")
    with tempfile.TemporaryDirectory() as root:
        reached = [show(case, options.rounds, root) for case in CASES if case.kind in kinds]
    print(f"\n{sum(reached)} of {len(reached)} cases reach all that is wanted")


if __name__ == "__main__":
    main()
