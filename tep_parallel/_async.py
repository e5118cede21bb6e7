"""AsyncParallel: the methods of Parallel for a program that runs on asyncio."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable

from tep_parallel import _parallel  # noqa: F401  # for its children: see there
from tep_parallel._digest import checked, with_exceptions
from tep_parallel._engine.arguments import AsyncItems, Shown
from tep_parallel._engine.async_face import AsyncFace
from tep_parallel._engine.counting import processor_count
from tep_parallel._engine.options import Options
from tep_parallel._engine.running import Running
from tep_parallel._file_digest import FileDigest, job_of
from tep_parallel._outcome import Outcome
from tep_parallel._typing import TYPE_CHECKING, Any, GenericOf, Literal, T, W_co, overload, public
from tep_parallel._worker import (
    ParallelWorker,
    Process,
    refuse_coroutines,
    warn_of_misspelling,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer, Unpack

    from tep_parallel._engine.arguments import Arguments
    from tep_parallel._file_digest import Algorithm
    from tep_parallel._protocols import Codec
    from tep_parallel._sock import StrOrBytesPath
    from tep_parallel._typing import Returning


_CALLS_A_CPU = 2  # that are alive at once


@public
class AsyncParallel(AsyncFace, GenericOf[T, W_co]):
    """Parallel for an event loop of asyncio: while a call runs, the loop goes on.

    A call uses no thread. If its task is cancelled, all that it has started is killed and
    reaped, and CancelledError goes on then. Hooks are called in the loop's thread, and are no
    coroutines. An object is for one loop; when that is closed, it may be used in another.

    Args:
        worker: See Parallel, as for all arguments that are not here. Its `process` must not be
            an async def: children run no event loop.
        in_processes: See Parallel. 0 is refused without executor=: it would block the loop.
        max_calls: How many calls are alive at once, in a block and outside; others wait their
            turn. None: twice processor_count().

    `async with AsyncParallel(...) as p:` keeps children for the calls of a block.

    Raises:
        TypeError, ValueError, ImportError: See Parallel.

    Source: `Pool` of aiomultiprocess, which awaits in this way, and does not kill.
    """

    __signature__ = Shown()

    @overload
    def __init__(
        self: AsyncParallel[str, W_co],
        worker: Returning[W_co] | Callable[[Any], W_co],
        *,
        codec: None = None,
        **options: Unpack[Arguments],
    ) -> None: ...

    @overload
    def __init__(
        self: AsyncParallel[T, str],
        worker: ParallelWorker | Process,
        *,
        codec: Codec[T],
        **options: Unpack[Arguments],
    ) -> None: ...

    def __init__(  # type: ignore[misc]  # what is Returning is a ParallelWorker
        self,
        worker: ParallelWorker | Process,
        *,
        codec: Codec[T] | None = None,
        **options: Unpack[Arguments],
    ) -> None:
        refuse_coroutines(worker)
        warn_of_misspelling(worker)
        self.worker = worker
        self._running = Running()
        self._options = Options(codec, **options)
        self._options.max_calls = self._options.max_calls or _CALLS_A_CPU * processor_count()
        if self._options.executor is not None:
            from tep_parallel._cluster.run import Far  # few programs need it

            self._far = Far(self._options, job_of)
        elif self._options.in_processes == 0:
            msg = "in_processes: 0 would process the items in the thread of the event loop, which "
            msg += "stands still meanwhile; Parallel does that"
            raise ValueError(msg)

    async def map_processes(
        self: AsyncParallel[T, str], items: Iterable[Any] | AsyncIterable[Any]
    ) -> list[T]:
        """Return every item's result, in input order, once every child has ended.

        Args:
            items: See Parallel.map_processes. An async iterable is read to its end first, in a
                task of its own; the deadline runs meanwhile.

        Raises:
            CancelledError: The task was cancelled; nothing of the call is alive.
            RuntimeError: It was called in a second event loop, or in none.
            Exception: See Parallel.map_processes.
        """
        here, ended = await self._run(items, self._options.on_error, job=self._job)
        return await self._value(here, ended)  # type: ignore[no-any-return]

    async def each_process(self, items: Iterable[Any] | AsyncIterable[Any]) -> int:
        """Process every item for its side effects; return 0 once every child has ended.

        Args:
            items: See map_processes.

        Raises:
            Exception: See map_processes, and Parallel.each_process.
        """
        here, ended = await self._run(items, self._options.on_error, discard=True, job=self._job)
        value = await self._value(here, ended)
        return value if ended.break_values else 0

    async def outcomes(
        self: AsyncParallel[T, str], items: Iterable[Any] | AsyncIterable[Any]
    ) -> list[Outcome[T]]:
        """Return what became of each item, in input order, once every child has ended.

        Args:
            items: See map_processes.

        Raises:
            Exception: See map_processes, and Parallel.outcomes.
        """
        here, ended = await self._run(items, "finish", whole=True, job=self._job)
        return await here.in_slices(ended.gathered_outcomes())

    def imap_processes(self: AsyncParallel[T, str], items: AsyncItems) -> AsyncGenerator[T, None]:
        """Return an async iterator of the results, in input order, each as soon as it is there.

        See Parallel.imap_processes. `aclose` kills and reaps what runs, and so does a cancel
        while a result is awaited; if the iterator is dropped, the loop does it next.

        Args:
            items: See Parallel.imap_processes; or an async iterable, which a task of its own
                pulls, at most `window` ahead.

        Raises:
            TypeError: See Parallel.imap_processes.
            RuntimeError: No event loop runs, or a second one.
            Exception: From the iterator: see Parallel.imap_processes.
        """
        return self._stream(items, self._options.on_error, ordered=True)

    def as_completed(
        self: AsyncParallel[T, str], items: AsyncItems
    ) -> AsyncGenerator[Outcome[T], None]:
        """Return an async iterator of an Outcome for each item, as the items end.

        See Parallel.as_completed, and imap_processes here.

        Args:
            items: See imap_processes.

        Raises:
            Exception: See imap_processes.
        """
        return self._stream(items, "finish", ordered=False)

    @overload
    async def digest_files(
        self,
        paths: Iterable[StrOrBytesPath],
        key: str | Buffer = b"",
        *,
        algorithm: Algorithm = "hmac-sha256",
        return_exceptions: Literal[False] = False,
    ) -> list[str]: ...

    @overload
    async def digest_files(
        self,
        paths: Iterable[StrOrBytesPath],
        key: str | Buffer = b"",
        *,
        algorithm: Algorithm = "hmac-sha256",
        return_exceptions: bool,
    ) -> list[str | BaseException]: ...

    async def digest_files(
        self,
        paths: Iterable[StrOrBytesPath],
        key: str | Buffer = b"",
        *,
        algorithm: Algorithm = "hmac-sha256",
        return_exceptions: bool = False,
    ) -> list[str] | list[str | BaseException]:
        """Return the digest of each file, in the order of the paths. The worker has no part in it.

        Args:
            paths: See digest_files, as for all arguments. What is not one of these is that of
                this object; without in_processes the loop's thread digests a small set, and
                processor_count() children a large one.

        Raises:
            Exception: See digest_files.
        """
        listed = checked(paths)
        worker = FileDigest(key, algorithm=algorithm)
        on_error = "finish" if return_exceptions else self._options.on_error
        here, ended = await self._digested(worker, listed, on_error, job_of(worker, listed, None))
        if not return_exceptions:
            return await self._value(here, ended)  # type: ignore[no-any-return]
        return with_exceptions(*await here.in_slices(ended.gathered(every=True)))

    def abort(self) -> None:
        """Kill all that the calls of this object have started; wait for nothing.

        They raise AbortedError when all that has ended. Any thread may call this, also in a
        hook or a signal handler.
        """
        self._running.abort()

    def _job(self, items: list[Any]) -> Any:
        return job_of(self.worker, items, self._options.codec)
