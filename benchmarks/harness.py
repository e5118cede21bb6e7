"""Side by side: every contender once a round, in turn, each in a host process of its own.

So that none pays for another's threads and processes. A benchmark is a script: its main()
calls compare() and show(), and serve() where the command line says `--host NAME`.
"""

from __future__ import annotations

import contextlib
import gc
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

# What a contender is: a function that makes one of its hosts ready, and returns the call.
Contender = Callable[[], Callable[[list[str]], list[str]]]


def about() -> str:
    """What figures of digests depend on: processor, compiler, and the SHA-256 routine."""
    from tep_parallel._engine import native

    lib = native.lib
    name = native.ffi.string(lib.sphttp_sha256_kernel(b"")).decode()
    most = lib.sphttp_sha256_lanes(b"", 0)
    ways = []
    for count in range(1, most + 1):
        parts, left = [], count
        while left > 0:
            parts.append(lib.sphttp_sha256_lanes(b"", left))
            left -= parts[-1]
        ways.append("+".join(map(str, parts)))
    return (
        f"CPython {sys.version.split()[0]}, {len(os.sched_getaffinity(0))} CPUs: {processor()}\n"
        f"extension: {compiler()}\n"
        f"kernel: {name}, up to {most} files at once; 1 to {most} files as {', '.join(ways)}"
    )


def processor() -> str:
    """What it calls itself, and its family and model, which say more."""
    found: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        found.setdefault(name.strip(), value.strip())
    name = found.get("model name") or found.get("CPU implementer") or "unknown"
    return f"{name} (family {found.get('cpu family', '?')}, model {found.get('model', '?')})"


def compiler() -> str:
    """The compiler that has built the extension, which it says in a section of that."""
    from tep_parallel import _sphttp

    found = re.findall(rb"GCC: [ -~]+|clang version [ -~]+", Path(_sphttp.__file__).read_bytes())
    return ", ".join(sorted({each.decode() for each in found})) or "no word of its compiler"


@dataclass
class Row:
    """One contender's figures.

    Attributes:
        name: The contender.
        seconds: The median of its rounds.
        ratio: The median, round by round, of our time over its time.
    """

    name: str
    seconds: float
    ratio: float


class Host:
    """The process in which one contender runs.

    Args:
        name: The contender's.
        root: Where it may put files.
    """

    def __init__(self, name: str, root: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", sys.argv[0], "--host", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": root},
        )

    def time(self, items: int, calls: int, threads: int) -> float:
        """Seconds a call of so many items, while so many threads of the host compute."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{items} {calls} {threads}\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def close(self) -> None:
        """Let it end."""
        self._process.communicate()


def serve(contender: Contender) -> None:
    """In a contender's host: answer the questions of Host.time until there are no more."""
    call = contender()
    for line in sys.stdin:
        count, calls, threads = map(int, line.split())
        items = [str(number) for number in range(count)]
        if call(items) != items:
            sys.exit("wrong results")
        gc.collect()
        with busy(threads):
            # As a thread that was just woken by its request: with a time slice of its own.
            time.sleep(0.02)
            begun = time.perf_counter()
            for _ in range(calls):
                call(items)
            seconds = time.perf_counter() - begun
        print(seconds / calls, flush=True)


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


def compare(
    names: list[str], root: str, *, items: int, rounds: int, calls: int = 1, threads: int = 0
) -> list[Row]:
    """Time each contender `calls` times a round, for `rounds` rounds after one warm-up.

    The order is turned by one place each round, so that none always runs after the same one.

    Args:
        names: The contenders; the first is ours.
        root: Where files may be put.
        items: How many items a call has.
        rounds: How many rounds count.
        calls: How many calls a round.
        threads: How many threads of each host compute.
    """
    hosts = {name: Host(name, root) for name in names}
    times: dict[str, list[float]] = {name: [] for name in names}
    try:
        for turn in range(rounds + 1):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                seconds = hosts[name].time(items, calls, threads)
                if turn > 0:
                    times[name].append(seconds)
    finally:
        for host in hosts.values():
            host.close()
    return _rows(times)


def interleave(calls: dict[str, Callable[[], object]], rounds: int) -> list[Row]:
    """Time calls that need no host of their own, for `rounds` rounds after one warm-up.

    In turn, as compare does; the first is ours.
    """
    names = list(calls)
    times: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds + 1):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            begun = time.perf_counter()
            calls[name]()
            if turn > 0:
                times[name].append(time.perf_counter() - begun)
    return _rows(times)


def _rows(times: dict[str, list[float]]) -> list[Row]:
    ours = next(iter(times.values()))
    return [
        Row(
            name,
            statistics.median(taken),
            statistics.median(a / b for a, b in zip(ours, taken, strict=True)),
        )
        for name, taken in times.items()
    ]


def show(title: str, rows: list[Row]) -> None:
    """Print the rows as a table."""
    print(f"\n{title}")
    print(f"  {'':28}{'ms a call':>12}{'ours / this':>14}")
    for row in rows:
        print(f"  {row.name:28}{row.seconds * 1e3:>12.2f}{row.ratio:>14.3f}", flush=True)
