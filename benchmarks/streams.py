"""Results as they come, in pools of two, beside multiprocessing's `Pool.imap`.

    python benchmarks/streams.py [--rounds 5] [--items 100000]

Start and end of the pool are included on every side. The floor is one process that makes the
items, encodes and decodes each, and does nothing else.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from harness import Contender, Row, compare, serve, show

from tep_parallel import AbortedError, DeadlineError, Parallel

FORK = multiprocessing.get_context("fork")
CHUNKS = (10, 100, 1000, 10_000)
SLOW = 0.2  # seconds that the source takes for an item
SOON = 0.01  # between two looks at whether a process is there

Run = Callable[[list[str]], list[str]]


def work(item: str) -> str:
    """The trivial item: what is measured is the way there and back."""
    return item


def generated(items: list[str]) -> Iterator[str]:
    """The items, one by one: nobody can know how many there are."""
    yield from items


def ours() -> Run:
    """This library, results in input order."""
    fan_out = Parallel(work, in_processes=2)
    return lambda items: list(fan_out.imap_processes(generated(items)))


def ours_as_completed() -> Run:
    """This library, an Outcome as each item ends."""
    fan_out = Parallel(work, in_processes=2)

    def run(items: list[str]) -> list[str]:
        found = {one.index: one.result for one in fan_out.as_completed(generated(items))}
        return [found[number] for number in range(len(items))]

    return run


def eager() -> Run:
    """This library, items that are all there before the fork."""
    return Parallel(work, in_processes=2).map_processes


def floor() -> Run:
    """The generator, encode and decode alone."""
    return lambda items: [item.encode().decode() for item in generated(items)]


def by_pool(chunk: int) -> Contender:
    """multiprocessing.Pool.imap."""

    def contender() -> Run:
        def run(items: list[str]) -> list[str]:
            with FORK.Pool(2) as pool:
                return list(pool.imap(work, generated(items), chunksize=chunk))

        return run

    return contender


CONTENDERS: dict[str, Contender] = {
    "imap_processes": ours,
    "as_completed": ours_as_completed,
    "map_processes": eager,
    "floor": floor,
    **{f"Pool.imap, chunks of {chunk}": by_pool(chunk) for chunk in (1, *CHUNKS)},
}


def first_result() -> tuple[float, int]:
    """Seconds until the first result of a slow generator; how many items it has made by then."""
    made = 0

    def slow() -> Iterator[str]:
        nonlocal made
        while True:
            time.sleep(SLOW)
            made += 1
            yield str(made)

    begun = time.perf_counter()
    stream = Parallel(work, in_processes=2).imap_processes(slow())
    next(stream)
    seconds, by_then = time.perf_counter() - begun, made
    stream.close()
    return seconds, by_then


def be_deaf(marks: str) -> str:
    """In a child: block every signal that can be blocked, and never return."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    Path(marks, str(os.getpid())).touch()
    while True:
        time.sleep(60)


def aborted() -> float:
    """Seconds from abort() to its return; then neither child is there."""
    with tempfile.TemporaryDirectory() as marks:
        fan_out = Parallel(be_deaf, in_processes=2)
        raised: list[BaseException] = []

        def iterate() -> None:
            try:
                list(fan_out.imap_processes(generated([marks] * 2)))
            except AbortedError as error:
                raised.append(error)

        thread = threading.Thread(target=iterate)
        thread.start()
        while len(pids := os.listdir(marks)) < 2:
            time.sleep(SOON)
        begun = time.perf_counter()
        fan_out.abort()
        seconds = time.perf_counter() - begun
        left = [pid for pid in pids if Path("/proc", pid).exists()]
        thread.join()
    assert not left, left
    assert raised
    return seconds


def held_limit() -> float:
    """Seconds until a child that sleeps is gone, with timeout=0.5 and nobody who advances."""
    with tempfile.TemporaryDirectory() as marks:
        fan_out = Parallel(sleep_but_first, in_processes=2, timeout=0.5)
        stream = fan_out.as_completed(generated(["", marks]))
        next(stream)
        while not (pids := os.listdir(marks)):
            time.sleep(0.001)
        begun = time.perf_counter()
        while is_alive(pids[0]):
            time.sleep(0.001)
        seconds = time.perf_counter() - begun
        stream.close()
    return seconds


def sleep_but_first(marks: str) -> str:
    """In a child: leave a mark and sleep, if there is a directory for it."""
    if marks:
        Path(marks, str(os.getpid())).touch()
        time.sleep(60)
    return marks


def is_alive(pid: str) -> bool:
    """Whether the process is there, and no zombie."""
    try:
        return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def deadline_of_an_iterator() -> float:
    """Seconds from the call to DeadlineError, with deadline=0.5 and a child that is deaf."""
    with tempfile.TemporaryDirectory() as marks:
        begun = time.perf_counter()
        try:
            list(Parallel(be_deaf, in_processes=2, deadline=0.5).imap_processes([marks]))
        except DeadlineError:
            return time.perf_counter() - begun
    raise AssertionError


def throughput(options: argparse.Namespace, root: str) -> list[Row]:
    """Compare the contenders, and print what follows."""
    rounds, count = options.rounds, options.items
    rows = compare(list(CONTENDERS), root, items=count, rounds=rounds)
    show(f"a generator of {count:,} items, medians of {rounds} interleaved rounds", rows)
    named = {row.name: row for row in rows}
    best = min((named[f"Pool.imap, chunks of {chunk}"] for chunk in CHUNKS), key=_seconds)
    one = named["Pool.imap, chunks of 1"]
    for name in ("imap_processes", "floor"):
        print(f"  {name + ' an item':28}{named[name].seconds / count * 1e6:>12.2f} us")
    print(f"  {'of chunks of 1':28}{'1 / ' + format(1 / one.ratio, '.1f'):>12}   (1 / 15)")
    print(f"  {'of the best chunks':28}{best.ratio:>12.2f}   (3)   {best.name}")
    return rows


def _seconds(row: Row) -> float:
    return row.seconds


def main() -> None:
    """Run the cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--host", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.host is not None:
        ours()(["0"])  # every host is the same program: it has loaded what any of them needs
        serve(CONTENDERS[options.host])
        return
    print(f"CPython {sys.version.split()[0]}, {len(os.sched_getaffinity(0))} CPUs, pools of 2")
    with tempfile.TemporaryDirectory() as root:
        throughput(options, root)
    times: dict[str, list[float]] = {"first": [], "abort": [], "timeout": [], "deadline": []}
    made = 0
    for _ in range(options.rounds):
        seconds, by_then = first_result()
        times["first"].append(seconds)
        made = max(made, by_then)
        times["abort"].append(aborted())
        times["timeout"].append(held_limit())
        times["deadline"].append(deadline_of_an_iterator())
    print(f"\nother promises, medians and worst of {options.rounds} rounds, ms")
    for name, limit, what in (
        ("first", "", f"first result, a source of {SLOW} s an item; it had made {made} (2)"),
        ("abort", "(150)", "abort() with deaf children, until nothing is alive"),
        ("timeout", "(700)", "timeout=0.5 and nobody advances, until the child is gone"),
        ("deadline", "", "deadline=0.5 with a deaf child, until DeadlineError"),
    ):
        taken = [seconds * 1e3 for seconds in times[name]]
        print(f"  {statistics.median(taken):8.1f}{max(taken):8.1f} {limit:6} {what}")


if __name__ == "__main__":
    main()
