"""A child stores something into the page that a call's processes share; the host lives on.

    strays.py WHAT

What the page looks like is nobody's business here: each store is tried on every word of it,
in a call of its own.
"""

import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tep_parallel import ItemTimeoutError, Outcome, Parallel, ParallelError

USED = 320  # bytes at the page's beginning: all of it in calls as small as these
SHAPES = [{}, {"in_processes": 2}, {"in_processes": 2, "isolation": True}]


def page() -> int:
    """Where it is: the only memory without a name that is shared."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        if " rw-s " in line and "/dev/zero" in line:
            return int(line.split("-")[0], 16)
    raise AssertionError


def store(at: int, value: int, size: int = 4) -> None:
    ctypes.memmove(page() + at, value.to_bytes(8, sys.byteorder), size)


def stray(at: int, value: int, size: int = 4) -> Callable[[int], str]:
    """A worker whose second item stores it."""

    def work(item: int) -> str:
        if item == 1:
            store(at, value, size)
        return f"{item}"

    return work


def settled(outcomes: list[Outcome[str]], count: int) -> int:
    """Has each item its own result, or an error? How many have results."""
    assert len(outcomes) == count
    for outcome in outcomes:
        right = outcome.error is None and outcome.result == f"{outcome.index}"
        assert right or isinstance(outcome.error, (ParallelError, OSError)), outcome
    return sum(outcome.ok for outcome in outcomes)


def words() -> None:
    """Numbers that mean something to somebody: a kind of end, an errno, a count, nothing."""
    for at in range(0, USED, 4):
        shape = SHAPES[at // 4 % len(SHAPES)]
        for value in (0, 1, 4, 100002, 2**32 - 1):
            settled(Parallel(stray(at, value), **shape).outcomes(range(4)), 4)


def pairs() -> None:
    """Two stores side by side: what has gone wrong, and how."""
    for at in range(0, USED - 4, 4):
        for pair in (1 << 32 | 100002, 100002 << 32 | 1):
            settled(Parallel(stray(at, pair, 8), **SHAPES[at // 4 % 2]).outcomes(range(4)), 4)


def mark() -> None:
    """Whatever it is that children wait for: a host that lets them start waits for them."""
    for at in range(0, 128, 4):
        for shape in SHAPES[:2]:
            call = Parallel(stray(at, 0), on_start=lambda index, item: None, **shape)
            settled(call.outcomes(range(6)), 6)


def late(value: int) -> Callable[[int], str]:
    """A worker whose second item stores it over all that may be a time of now, and sleeps."""

    def work(item: int) -> str:
        if item == 1:
            now = time.monotonic_ns()
            for at in range(page(), page() + USED, 8):
                word = ctypes.c_int64.from_address(at)
                if now - 10**10 < word.value < now + 10**9:
                    word.value = value
            time.sleep(60)
        return f"{item}"

    return work


def clocks() -> None:
    for shape in SHAPES:
        for value in (0, 1, time.monotonic_ns() + 10**15, -1):
            outcomes = Parallel(late(value), timeout=0.2, **shape).outcomes(range(4))
            assert settled(outcomes, 4) == 3, outcomes
            assert isinstance(outcomes[1].error, ItemTimeoutError), outcomes


def reap() -> None:
    """The number of the host's own child, which has ended, and of one that runs; the nursery is
    killed, and the next one and the host look after what it has left."""
    for at in range(0, USED, 4):
        own = subprocess.Popen(["sh", "-c", "exit 7"])
        runs = subprocess.Popen(["sleep", "60"])
        os.waitid(os.P_PID, own.pid, os.WEXITED | os.WNOWAIT)

        def work(item: int, *, own: int = own.pid, runs: int = runs.pid, at: int = at) -> str:
            if item == 0:
                store(at, (own, runs)[at // 4 % 2])
                os.kill(os.getppid(), signal.SIGKILL)
                time.sleep(60)
            return f"{item}"

        settled(Parallel(work, in_processes=1).outcomes(range(3)), 3)
        assert own.wait() == 7
        assert runs.poll() is None
        runs.kill()
        runs.wait()


def empty(item: int) -> str:
    """The fourth makes it all as it was at first."""
    if item == 3:
        ctypes.memset(page(), 0, 4096)
    return f"{item}"


def empty_and_die(item: int) -> str:
    result = empty(item)
    if item == 3:
        os._exit(7)
    return result


def again() -> None:
    """Each time that it is begun: it is not begun for ever."""
    for shape in SHAPES:
        for work in (empty, empty_and_die):
            for hooks in ({}, {"on_start": lambda index, item: None}):
                outcomes = Parallel(work, **shape, **hooks).outcomes(range(6))
                settled(outcomes, 6)
                assert isinstance(outcomes[3].error, ParallelError), outcomes


def nothing() -> Iterator[str]:
    """What this host has below it."""
    return (
        Path(f"/proc/self/task/{task}/children").read_text()
        for task in os.listdir("/proc/self/task")
    )


before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
{"words": words, "pairs": pairs, "mark": mark, "clocks": clocks, "reap": reap, "again": again}[
    sys.argv[1]
]()
assert not any(nothing())
assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + (64 << 10)
