"""abort from another thread, at every step of an iterator; children that are deaf, and hang in C.

abort_anywhere.py MARKS SHAPE FACE
"""

from __future__ import annotations

import ctypes
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kept import Parallel, close_blocks
from support import alive, children, descriptors, until

from tep_parallel import AbortedError, Stream

MARKS = Path(sys.argv[1])
SHAPES: dict[str, dict[str, Any]] = {
    "fresh": {},
    "pool": {"in_processes": 2},
    "isolated": {"in_processes": 2, "isolation": True},
    "quota": {"in_processes": 2, "max_items_per_child": 3},
}
KEPT = "TEP_PARALLEL_KEPT" in os.environ  # there nests come and go
SOON = 2.0  # seconds; 150 ms are promised on a quiet machine
libc = ctypes.PyDLL(None)  # it keeps the GIL


def work(item: str) -> str:
    if item == "held":
        until(marked)
    if item != "deaf":
        return item
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    (MARKS / str(os.getpid())).touch()
    while True:
        libc.sleep(60)


def marked() -> list[int]:
    return [int(path.name) for path in MARKS.iterdir()]


def aborter(when: Callable[[], object]) -> threading.Thread:
    """It aborts when that is true, and sees that nothing is alive then."""

    def abort() -> None:
        until(when)
        pids = marked()
        begun = time.monotonic()
        parallel.abort()
        taken.append(time.monotonic() - begun)
        left.extend(pid for pid in {*pids, *marked()} if alive(pid))

    thread = threading.Thread(target=abort)
    thread.start()
    return thread


def endless(*first: str, then: str = "quick") -> Iterator[str]:
    yield from first
    while True:
        yield then


def begun(items: Any) -> Stream[Any]:
    return getattr(parallel, sys.argv[3])(items)  # type: ignore[no-any-return]


def raises(stream: Stream[Any]) -> None:
    """Advance it until it raises AbortedError; then it is over."""
    try:
        for _ in stream:
            pass
    except AbortedError as error:
        assert all(one.ok for one in error.outcomes), error.outcomes
        assert list(stream) == []
        return
    raise AssertionError


def before_the_fork() -> None:
    stream = begun(endless())
    aborter(lambda: True).join()
    raises(stream)


def while_feeding() -> None:
    """In the source: while that does not return, nobody waits for the call."""

    def source() -> Iterator[str]:
        yield "deaf"
        until(marked)
        aborter(lambda: True).join()
        yield "quick"

    raises(begun(source()))


def while_pulling_the_first() -> None:
    def source() -> Iterator[str]:
        aborter(lambda: True).join()
        yield "deaf"

    raises(begun(source()))


def while_waiting() -> None:
    thread = aborter(lambda: len(marked()) >= 2)
    raises(begun(["deaf"] * 2))
    thread.join()


def while_results_are_handed_out() -> None:
    stream = begun(endless("held", "deaf"))
    next(stream)
    aborter(lambda: True).join()
    raises(stream)


def while_it_closes() -> None:
    stream = begun(endless("held", "deaf"))
    next(stream)
    thread = aborter(lambda: True)
    stream.close()
    thread.join()


def after_the_end() -> None:
    stream = begun(["quick"] * 3)
    assert len(list(stream)) == 3
    aborter(lambda: True).join()
    assert list(stream) == []


def at_random() -> None:
    chance = random.Random(1)
    for _ in range(25):
        stream = begun(endless(*["quick"] * chance.randrange(20), "deaf", "deaf"))
        moment = time.monotonic() + chance.random() * 0.03
        thread = aborter(lambda moment=moment: time.monotonic() > moment)  # type: ignore[misc]
        raises(stream)
        thread.join()
        forget()


def forget() -> None:
    for path in MARKS.iterdir():
        path.unlink()


before = descriptors()
parallel: Parallel[str, Any] = Parallel(work, **SHAPES[sys.argv[2]])
taken: list[float] = []
left: list[int] = []
for step in (
    before_the_fork,
    while_pulling_the_first,
    while_feeding,
    while_waiting,
    while_results_are_handed_out,
    while_it_closes,
    after_the_end,
    at_random,
):
    forget()
    step()
    assert left == [], step
    assert children() == [], step
    assert KEPT or descriptors() == before, step
    assert parallel.map_processes(["quick"]) == ["quick"]
close_blocks()
assert children(servers=True) == []
assert descriptors() == before
print(f"{max(taken) * 1e3:.0f} ms")
assert max(taken) < SOON
