"""One child an item, beside what a program would do without this library.

    python benchmarks/one_child_an_item.py [--rounds 15] [--only quiet|busy]

Quiet host: a loop of os.fork with a pipe an item, the same with a file an item, and a Pool
whose children serve one item each. Busy host: four threads of the process compute, and the
pools are warm, made before those threads started.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable

from harness import Contender, compare, serve, show

from tep_parallel import Parallel

BUSY_THREADS = 4


def work(item: str) -> str:
    """The trivial item: what is measured is the way there and back."""
    return item


def ours() -> Callable[[list[str]], list[str]]:
    """This library."""
    return Parallel(work).map_processes


def fork_and_pipe() -> Callable[[list[str]], list[str]]:
    """What one writes by hand: os.fork, a pipe an item."""

    def run(items: list[str]) -> list[str]:
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

    return run


def fork_and_file() -> Callable[[list[str]], list[str]]:
    """The same with a file an item, as results of any size need."""

    def run(items: list[str]) -> list[str]:
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

    return run


def cold_pool() -> Callable[[list[str]], list[str]]:
    """multiprocessing.Pool(2), made for the call, each child for one item."""
    context = multiprocessing.get_context("fork")

    def run(items: list[str]) -> list[str]:
        with context.Pool(2, maxtasksperchild=1) as pool:
            return pool.map(work, items, chunksize=1)

    return run


def warm_pool() -> Callable[[list[str]], list[str]]:
    """multiprocessing.Pool(2), made before."""
    pool = multiprocessing.get_context("fork").Pool(2)
    return lambda items: pool.map(work, items, chunksize=1)


def warm_executor() -> Callable[[list[str]], list[str]]:
    """ProcessPoolExecutor(2), made before."""
    executor = concurrent.futures.ProcessPoolExecutor(
        2, mp_context=multiprocessing.get_context("fork")
    )
    return lambda items: list(executor.map(work, items, chunksize=1))


QUIET: dict[str, Contender] = {
    "tep_parallel": ours,
    "os.fork, a pipe an item": fork_and_pipe,
    "os.fork, a file an item": fork_and_file,
    "Pool(2, maxtasksperchild=1)": cold_pool,
}
BUSY: dict[str, Contender] = {
    "tep_parallel": ours,
    "os.fork, a pipe an item": fork_and_pipe,
    "Pool(2), warm": warm_pool,
    "ProcessPoolExecutor(2), warm": warm_executor,
}


def file_system(root: str) -> str:
    """The name of the file system below `root`."""
    command = ["stat", "--file-system", "--format=%T", root]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def roots() -> dict[str, str]:
    """Where files are put, and what file system is there.

    Besides the usual place one in memory: to create and remove a file costs what the file
    system makes of it, and that is neither ours nor any contender's.
    """
    usual = tempfile.gettempdir()
    found = {usual: file_system(usual)}
    if found[usual] != "tmpfs" and os.access("/dev/shm", os.W_OK):
        found["/dev/shm"] = file_system("/dev/shm")
    return found


def main() -> None:
    """Run the cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", choices=["quiet", "busy"])
    parser.add_argument("--host", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.host is not None:
        ours()(["0"])  # every host is the same program: it has loaded what any of them needs
        serve({**QUIET, **BUSY}[options.host])
        return
    print(f"CPython {sys.version.split()[0]}, {len(os.sched_getaffinity(0))} CPUs, ", end="")
    print(f"medians of {options.rounds} interleaved rounds", flush=True)
    places = roots()
    if options.only != "busy":
        for root, kind in places.items():
            for count in (1, 4, 32, 200):
                rows = compare(
                    list(QUIET), root, items=count, rounds=options.rounds, calls=max(1, 32 // count)
                )
                show(f"quiet host, N = {count}, files in {root} ({kind})", rows)
    if options.only != "quiet":
        root, kind = next(iter(places.items()))
        for count in (4, 16, 64):
            rows = compare(
                list(BUSY), root, items=count, rounds=options.rounds, threads=BUSY_THREADS
            )
            title = f"busy host, {BUSY_THREADS} threads compute, N = {count}"
            show(f"{title}, files in {root} ({kind})", rows)


if __name__ == "__main__":
    main()
