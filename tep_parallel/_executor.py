"""ForkExecutor: an executor of concurrent.futures whose calls can be killed."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from functools import partial
from itertools import islice
from signal import SIGKILL, SIGTERM
from weakref import ref

from tep_parallel import _parallel  # noqa: F401  # for its children: see there
from tep_parallel._engine.counting import processor_count
from tep_parallel._engine.executing import Driver
from tep_parallel._engine.function import Pickles, call_each
from tep_parallel._engine.options import Options
from tep_parallel._typing import TYPE_CHECKING, Any, TypeVar, public

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import ParamSpec

    P = ParamSpec("P")

T = TypeVar("T")


@public
class ForkExecutor(Executor):
    """Run each call in a child process of its own, which is forked when the call starts.

    Function and arguments are inherited, and never pickled: closures and lambdas work. They are
    as they are when the call starts. One thread of this process drives all calls; it begins with
    the first.

    What a call returns is pickled, and so is what it raises, as with Parallel. A child that ends
    without a result costs its call, which raises DeadWorkerError, and no other.

    `cancel` of a future whose call runs kills all that it has started, and returns True. The
    future stays running until all of that has ended, and is cancelled then, also if a result has
    come meanwhile. It returns False once the child has committed a result.

    `with ForkExecutor() as executor:` waits for all calls at its end, and so does the end of the
    program. A KeyboardInterrupt that leaves the block, or ends the program, kills what runs.

    Args:
        max_workers: How many calls run at once. None: processor_count().
        timeout: Seconds that a call may run, after the initializer. After that its child is
            killed, and it raises ItemTimeoutError. None: no limit.
        retries: How often a call is tried again if its child died.
        initializer: Called in each child, before the function. If it raises, the executor is
            broken: no other call begins.
        initargs: What it is called with.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: A number is out of range.

    Source: `ProcessPoolExecutor` of concurrent.futures; `kill_workers` and `terminate_workers` of
    Python 3.14.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        *,
        timeout: float | None = None,
        retries: int = 0,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
    ) -> None:
        if max_workers is None:
            max_workers = processor_count()
        if max_workers <= 0:
            msg = "max_workers must be greater than 0"
            raise ValueError(msg)
        if initializer is not None and not callable(initializer):
            msg = "initializer must be a callable"
            raise TypeError(msg)
        options = Options(Pickles(), timeout=timeout, retries=retries)
        called = None if initializer is None else partial(initializer, *initargs)
        self._max_workers = max_workers  # asyncio, Dask and others read it
        self._driver = Driver(max_workers, options, called)

    @property
    def _broken(self) -> str | bool:
        return self._driver.broken or False

    def _own(self) -> Driver:
        """The driver of this process: a child that has this executor makes its own."""
        driver = self._driver
        if driver.pid != os.getpid():
            self._driver = driver = driver.anew()
        return driver

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have `fn(*args, **kwargs)` called in a child, and return the future of that.

        Raises:
            BrokenExecutor: The initializer has failed.
            RuntimeError: The executor was shut down, the interpreter ends, or there is no thread to
                be had.
            OSError: There are no descriptors.
        """
        return self._own().submit(fn, args, kwargs)

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[T]:
        """Return an iterator of what `fn` returns for the items of the iterables, in their order.

        An iterator that has begun, and raises, is closed or is dropped, cancels the calls whose
        results it has not given, and kills what runs of them.

        Args:
            fn: The function.
            iterables: Each gives an argument.
            timeout: Seconds after which TimeoutError is raised; None: never.
            chunksize: So many calls share a child. If one raises, or the child dies, all that are
                left of the chunk fail with it.
            buffersize: How many chunks are submitted ahead of the results; None: all at once.

        Raises:
            TypeError, ValueError: `chunksize` or `buffersize` is not 1 or more.
            BrokenExecutor, RuntimeError, OSError: See submit.
        """
        if chunksize < 1:
            msg = "chunksize must be >= 1."
            raise ValueError(msg)
        if buffersize is not None and not isinstance(buffersize, int):
            msg = "buffersize must be an integer or None"
            raise TypeError(msg)
        if buffersize is not None and buffersize < 1:
            msg = "buffersize must be None or > 0"
            raise ValueError(msg)
        end = None if timeout is None else time.monotonic() + timeout
        items = zip(*iterables, strict=False)
        if chunksize == 1:
            return self._results(fn, items, end, buffersize)
        chunks = iter(lambda: tuple(islice(items, chunksize)), ())
        called = partial(call_each, fn)
        return _flat(self._results(called, ((chunk,) for chunk in chunks), end, buffersize))

    def _results(
        self,
        fn: Callable[..., Any],
        items: Iterator[tuple[Any, ...]],
        end: float | None,
        ahead: int | None,
    ) -> Iterator[Any]:
        futures = deque(self.submit(fn, *args) for args in islice(items, ahead))
        return _given(ref(self), futures, fn, items if ahead is not None else iter(()), end)

    def shutdown(
        self,
        wait: bool = True,  # noqa: FBT001, FBT002  # as in concurrent.futures
        *,
        cancel_futures: bool = False,
    ) -> None:
        """Let nothing more be submitted.

        Args:
            wait: Whether to return only when all that was submitted has ended.
            cancel_futures: Whether calls that have not started are cancelled. Those that run are
                left alone.
        """
        driver = self._own()
        driver.close("shutdown", cancel=cancel_futures)
        if wait:
            driver.join()

    def kill_workers(self) -> None:
        """Shut down, and kill all that runs: its calls raise DeadWorkerError. Wait for that."""
        driver = self._own()
        driver.close("shutdown", end=SIGKILL)
        driver.join()

    def terminate_workers(self) -> None:
        """Shut down, and send each child a SIGTERM; do not wait for what they make of it."""
        self._own().close("shutdown", end=SIGTERM)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        try:
            if not isinstance(error, KeyboardInterrupt):
                self.shutdown(wait=True)
                return
        except KeyboardInterrupt:  # while it waited
            self.kill_workers()
            raise
        self.kill_workers()

    def __del__(self) -> None:
        driver = getattr(self, "_driver", None)
        if driver is not None and not sys.is_finalizing():
            driver.close("shutdown")


def _given(
    executor: ref[ForkExecutor],
    futures: deque[Future[Any]],
    fn: Callable[..., Any],
    items: Iterator[tuple[Any, ...]],
    end: float | None,
) -> Iterator[Any]:
    """The results of the futures. More of the items are submitted as those are fetched, for as
    long as there is the executor."""
    try:
        while futures:
            owner = executor()
            args = next(items, None) if owner is not None else None
            if owner is not None and args is not None:
                futures.append(owner.submit(fn, *args))
            del owner, args
            yield _fetched(futures.popleft(), end)
    finally:
        for future in futures:
            future.cancel()


def _fetched(future: Future[T], end: float | None) -> T:
    """The result of a future, which is cancelled if that does not come."""
    try:
        return future.result(None if end is None else end - time.monotonic())
    finally:
        future.cancel()
        del future  # an error that was raised here keeps this frame


def _flat(chunks: Iterator[list[T]]) -> Iterator[T]:
    for chunk in chunks:
        chunk.reverse()
        while chunk:
            yield chunk.pop()
