"""Executors to test with: of the standard library, and one that does to chunks what it is told."""

from __future__ import annotations

import contextlib
import multiprocessing
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import resource_tracker
from typing import Any
from weakref import ref

from support import children, until

from tep_parallel._cluster import kept

Function = Callable[[bytes], bytes]
# What becomes of a chunk: its number from 1, the far function, and its bytes.
Act = Callable[[int, Function, bytes], object]


class Odd(Executor):
    """Some threads, and whatever `act` does to chunks in them.

    Attributes:
        sizes: Of the chunks that were sent, in bytes.
    """

    def __init__(
        self, act: Act = lambda _, function, data: function(data), workers: int = 2
    ) -> None:
        self.sizes: list[int] = []
        self._act = act
        self._pool = ThreadPoolExecutor(workers)

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        (data,) = args
        assert type(data) is bytes
        assert not kwargs
        self.sizes.append(len(data))
        return self._pool.submit(self._act, len(self.sizes), fn, data)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._pool.shutdown(wait, cancel_futures=cancel_futures)


class Serial(Executor):
    """It runs a chunk while that is submitted.

    Attributes:
        futures: Weak references to all that it has given.
    """

    def __init__(self) -> None:
        self.futures: list[ref[Future[Any]]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        self.futures.append(ref(future))
        return future


class Deaf(Executor):
    """It takes chunks, and never answers.

    Args:
        runs: Whether it says that they run.
    """

    def __init__(self, *, runs: bool) -> None:
        self.runs = runs
        self.futures: list[Future[Any]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.futures.append(Future())
        if self.runs:
            self.futures[-1].set_running_or_notify_cancel()
        return self.futures[-1]


@contextlib.contextmanager
def executor_of(kind: str, workers: int = 2) -> Iterator[Executor]:
    """One whose workers are "threads", or processes by "fork" or "spawn"."""
    pool: Executor
    if kind == "threads":
        pool = ThreadPoolExecutor(workers)
    else:
        pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context(kind))
    try:
        with pool:
            yield pool
    finally:
        if kind == "spawn":  # a process that the standard library starts with the first
            resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]
        end_kept()


def end_kept() -> None:
    """End the children that this process keeps for chunks; some may be ending already."""
    until(lambda: kept.end_idle() is None and not children(servers=True))


class Gate:
    """Threads wait until it is opened."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.waiting = 0

    def wait(self) -> None:
        self.waiting += 1
        assert self._event.wait(60)

    def open(self) -> None:
        self._event.set()
