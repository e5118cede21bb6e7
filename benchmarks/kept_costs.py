"""What a block costs beside the time of its calls, and what a killed host leaves.

    python benchmarks/kept_costs.py [--rounds 9]

How long entry and end take, early and late; how much memory of its own an idle child has; what
the other threads of the host lose while one thread makes calls; when all is gone after SIGKILL.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import mmap
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from harness import busy
from proc import alive, below

from tep_parallel import Parallel

LARGE = 2 << 30  # bytes that a large host has touched
A_SECOND = 40  # calls that a service makes in a second
SPELL = 2.0  # seconds in which another thread counts
LIMIT = 30.0  # seconds; against hanging only
SYS_clone = {"x86_64": 56, "aarch64": 220}.get(os.uname().machine)
SHAPES: dict[str, dict[str, Any]] = {"warm, two children": {"in_processes": 2}, "fresh": {}}


def name_of(pid: int) -> str:
    """What the process calls itself."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def of_its_own(pid: int) -> int:
    """Bytes that it shares with no other process."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


def entry_and_end(options: dict[str, Any]) -> tuple[float, float]:
    """Seconds that it takes to enter a block and to make a first call; to leave it."""
    fan_out = Parallel(str, **options)
    begun = time.perf_counter()
    with fan_out:
        fan_out.map_processes([1])
        entered = time.perf_counter()
    return entered - begun, time.perf_counter() - entered


def children_memory(options: dict[str, Any]) -> float:
    """The median of the children that are idle after some calls."""
    with Parallel(str, max_calls=1, **options) as fan_out:
        for _ in range(20):
            fan_out.map_processes(range(4))
        time.sleep(0.2)  # until used children are gone, and others are there
        idle = [pid for pid in below(os.getpid()) if not name_of(pid).startswith("tep-s")]
        return statistics.median(of_its_own(pid) for pid in idle if name_of(pid) != "tep-nursery")


def counted(call: Callable[[], object] | None, pause: float) -> int:
    """How far another thread counts in a while, as this one calls and rests."""
    count, over = 0, False

    def go_on() -> None:
        nonlocal count
        while not over:
            count += 1

    thread = threading.Thread(target=go_on)
    thread.start()
    end = time.monotonic() + SPELL
    while (left := end - time.monotonic()) > 0:
        if call is not None:
            call()
        if call is None or pause:
            time.sleep(min(left, pause or left))
    over = True
    thread.join()
    return count


def loss_of_other_threads(rounds: int) -> None:
    """Print what is left of their pace."""
    with Parallel(str, in_processes=2) as fan_out:

        def call() -> None:
            fan_out.map_processes(["a", "b", "c", "d"])

        seen: dict[str, list[float]] = {f"{A_SECOND} calls a second": [], "back to back": []}
        for _ in range(rounds):
            alone = counted(None, 0)
            seen[f"{A_SECOND} calls a second"].append(counted(call, 1 / A_SECOND) / alone)
            seen["back to back"].append(counted(call, 0) / alone)
    for name, ratios in seen.items():
        print(f"  {name:40}{statistics.median(ratios):>10.2f}")


def be_killed(how: str) -> None:
    """In a host of its own: enter a block, say who is there, and wait for the end."""
    with Parallel(str, in_processes=2) as fan_out:
        fan_out.map_processes(range(4))
        if how == "raw" and ctypes.CDLL(None).syscall(SYS_clone, signal.SIGCHLD, 0, 0, 0, 0) == 0:
            time.sleep(LIMIT)
            os._exit(0)
        time.sleep(0.2)
        found = [pid for pid in below(os.getpid()) if name_of(pid).startswith("tep-")]
        print(*found, flush=True)
        time.sleep(LIMIT)


def gone_after(how: str) -> float:
    """Seconds from SIGKILL for the host until nothing of its block is alive."""
    command = [sys.executable, sys.argv[0], "--host", how]
    host = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert host.stdout is not None
    pids = list(map(int, host.stdout.readline().split()))
    assert pids
    host.kill()
    begun = time.perf_counter()
    while any(map(alive, pids)):
        if time.perf_counter() - begun > LIMIT:
            sys.exit("something is left")
        time.sleep(0.0005)
    seconds = time.perf_counter() - begun
    with contextlib.suppress(ProcessLookupError):
        os.killpg(host.pid, signal.SIGKILL)  # the raw fork
    host.wait()
    return seconds


def say(name: str, values: list[float], unit: float, what: str) -> None:
    """Print the median."""
    print(f"  {name:40}{statistics.median(values) * unit:>10.2f} {what}", flush=True)


def entries(title: str, rounds: int) -> None:
    """Print how long it takes to enter a block and to leave it here."""
    print(f"\n{title}, with a first call of one item; to leave it")
    for name, options in SHAPES.items():
        taken = [entry_and_end(options) for _ in range(rounds)]
        say(name, [entry for entry, _ in taken], 1e3, "ms")
        say(f"{name}, end", [end for _, end in taken], 1e3, "ms")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--host", help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)  # that there are threads: it is meant so
    if options.host is not None:
        be_killed(options.host)
        return
    rounds = options.rounds
    print(f"CPython {sys.version.split()[0]}, {len(os.sched_getaffinity(0))} CPUs, medians")
    print("\nmemory that an idle child has of its own")
    for name, shape in SHAPES.items():
        say(name, [children_memory(shape) for _ in range(min(3, rounds))], 1 / 1e6, "MB")
    print("\nfrom SIGKILL for a host in a block until nothing of it is alive")
    say("alone", [gone_after("alone") for _ in range(rounds)], 1e3, "ms")
    if SYS_clone is not None:
        taken = [gone_after("raw") for _ in range(rounds)]
        say("while a raw fork of it is alive", taken, 1e3, "ms")
    print("\npace of another thread, beside its pace alone; calls of four items, warm")
    loss_of_other_threads(min(3, rounds))
    entries("to enter a block in a small host of one thread", rounds)
    with busy(4):
        entries("while four threads compute", rounds)
    memory = mmap.mmap(-1, LARGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    for place in range(0, LARGE, mmap.PAGESIZE):
        memory[place] = 1
    entries("in a host of 2 GiB", rounds)


if __name__ == "__main__":
    main()
