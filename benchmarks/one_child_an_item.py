"""One child an item, beside what a program would do without this library.

    python benchmarks/one_child_an_item.py [--rounds 15] [--only quiet|busy]

Quiet host: a loop of os.fork with a pipe an item, the same with a file an item, and a Pool
whose children serve one item each. Busy host: four threads of this process compute, and the
pools are warm, made before those threads started.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import multiprocessing
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import partial

from harness import compare, show

from tep_parallel import Parallel

BUSY_THREADS = 4


def work(item: str) -> str:
    """The trivial item: what is measured is the way there and back."""
    return item


def ours(items: list[str]) -> list[str]:
    """This library."""
    return Parallel(work).map_processes(items)


def fork_and_pipe(items: list[str]) -> list[str]:
    """What one writes by hand: os.fork, a pipe an item."""
    children = []
    for item in items:
        read_end, write_end = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.close(read_end)
                os.write(write_end, work(item).encode())
                status = 0
            finally:
                os._exit(status)
        os.close(write_end)
        children.append((pid, read_end))
    results = []
    for pid, read_end in children:
        with open(read_end, "rb") as pipe:
            results.append(pipe.read().decode())
        os.waitpid(pid, 0)
    return results


def fork_and_file(items: list[str]) -> list[str]:
    """The same with a file an item, as results of any size need."""
    with tempfile.TemporaryDirectory() as folder:
        children = []
        for index, item in enumerate(items):
            pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    with open(f"{folder}/{index}", "wb") as file:
                        file.write(work(item).encode())
                    status = 0
                finally:
                    os._exit(status)
            children.append(pid)
        results = []
        for index, pid in enumerate(children):
            os.waitpid(pid, 0)
            with open(f"{folder}/{index}", "rb") as file:
                results.append(file.read().decode())
    return results


def cold_pool(items: list[str]) -> list[str]:
    """multiprocessing.Pool(2), each child for one item."""
    with multiprocessing.get_context("fork").Pool(2, maxtasksperchild=1) as pool:
        return pool.map(work, items, chunksize=1)


@contextlib.contextmanager
def busy(threads: int) -> Iterator[None]:
    """Let `threads` threads of this process compute."""
    stop = threading.Event()

    def compute() -> None:
        while not stop.is_set():
            sum(range(1000))

    running = [threading.Thread(target=compute) for _ in range(threads)]
    for thread in running:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in running:
            thread.join()


def check(contenders: dict[str, Callable[[], list[str]]], items: list[str]) -> None:
    """Refuse to time what does not do the work."""
    for name, run in contenders.items():
        if run() != items:
            sys.exit(f"{name}: wrong results")


def quiet_host(rounds: int) -> None:
    """N = 1, 4, 32 and 200."""
    for count in (1, 4, 32, 200):
        items = [str(number) for number in range(count)]
        contenders = {
            "tep_parallel": partial(ours, items),
            "os.fork, a pipe an item": partial(fork_and_pipe, items),
            "os.fork, a file an item": partial(fork_and_file, items),
            "Pool(2, maxtasksperchild=1)": partial(cold_pool, items),
        }
        check(contenders, items)
        calls = max(1, 32 // count)
        rows = compare("tep_parallel", contenders, rounds=rounds, calls=calls)
        show(f"quiet host, N = {count}", rows)


def busy_host(rounds: int) -> None:
    """N = 4, 16 and 64 while four threads compute."""
    pool = multiprocessing.get_context("fork").Pool(2)
    executor = concurrent.futures.ProcessPoolExecutor(
        2, mp_context=multiprocessing.get_context("fork")
    )
    with pool, executor:
        for count in (4, 16, 64):
            items = [str(number) for number in range(count)]
            contenders = {
                "tep_parallel": partial(ours, items),
                "os.fork, a pipe an item": partial(fork_and_pipe, items),
                "Pool(2), warm": partial(pool.map, work, items, chunksize=1),
                "ProcessPoolExecutor(2), warm": lambda items=items: list(
                    executor.map(work, items, chunksize=1)
                ),
            }
            check(contenders, items)
            with busy(BUSY_THREADS):
                rows = compare("tep_parallel", contenders, rounds=rounds)
            show(f"busy host, {BUSY_THREADS} threads compute, N = {count}", rows)


def main() -> None:
    """Run the cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", choices=["quiet", "busy"])
    options = parser.parse_args()
    print(f"CPython {sys.version.split()[0]}, {len(os.sched_getaffinity(0))} CPUs, ", end="")
    print(f"medians of {options.rounds} interleaved rounds")
    if options.only != "busy":
        quiet_host(options.rounds)
    if options.only != "quiet":
        busy_host(options.rounds)


if __name__ == "__main__":
    main()
