"""The blocking face: check what was given, drive one call of the engine, hand its results on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, SupportsFloat, SupportsIndex, overload

from tep_parallel._engine.codec import Codec
from tep_parallel._engine.options import OnError, OnFinish, OnStart, Options, Progress
from tep_parallel._engine.run import run
from tep_parallel._errors import Failure, shown
from tep_parallel._file_digest import job_of
from tep_parallel._outcome import Outcome
from tep_parallel._typing import GenericOf, T, W_co
from tep_parallel._worker import ParallelWorker, Process, process_of, warn_of_misspelling

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from tep_parallel._engine.ended import Ended
    from tep_parallel._engine.options import Arguments
    from tep_parallel._typing import Returning


class Parallel(GenericOf[T, W_co]):
    """Run a worker on every item, each item in a child process of its own.

    Args:
        worker: A ParallelWorker instance, or any callable of one item; it is inherited by
            the children, never pickled.
        in_processes: How many children there are; each takes the next item when it has
            finished one. True: processor_count(). None: a child for every item, and never
            more than 512 alive. 0: no fork, every item is processed here, for debugging and
            tests.
        isolation: Whether every item gets a fresh child, with in_processes at most alive.
        timeout: Seconds that an item may run; then its child is killed, with its process
            group, and the item fails with ItemTimeoutError. None: for ever. A child's
            `setup` does not count.
        deadline: Seconds that the whole call may take; then all that it started is killed,
            and DeadlineError is raised. None: for ever.
        retries: How often an item whose child died is tried again; not one that raised, nor
            one that was killed at its limit.
        on_error: What a failure does to the others in map_processes and each_process.
            "stop": no new item is begun, those that run are left to end; "finish": every
            item is processed first; "kill": what runs is killed at once.
        codec: Any module or object with `dumps` and `loads` (json, pickle, orjson...), which
            turns results into objects: `dumps` in the child, `loads` here, of what bears the
            call's own MAC. None: results are text, and type checkers refuse others.
        rebuild_exceptions: False: nothing that a child sent is ever unpickled, and every
            exception arrives as WorkerError; for workers that handle hostile input. An
            exception that is rebuilt was authenticated, which keeps out other writers, not
            the worker itself.
        scratch_root: The directory below which a call makes its scratch directory. None:
            TMPDIR of the environment, or /tmp.
        progress: True: a bar of tqdm's on standard error; or an object whose `update(n)` is
            called when n more items have ended.
        on_start: Called here with index and item, before the item may start.
        on_finish: Called here with the Outcome of each item that has ended, failed ones
            too, in the order in which they do; one call at a time. What on_start, on_finish
            or `update` raises ends the call: what runs is killed.

    With in_processes=0 nothing can be killed: `timeout`, `deadline` and `retries` are not
    enforced.

    Raises:
        TypeError: An argument of the wrong kind, or a worker class in place of an instance.
        ValueError: A number out of range, or an `on_error` that there is not.
        ImportError: progress=True without tqdm, which is in tep-parallel[progress].

    Source: `Parallel.map` of grosser/parallel, lib/parallel.rb.
    """

    @overload
    def __init__(
        self: Parallel[str, W_co],
        worker: Returning[W_co] | Callable[[Any], W_co],
        *,
        codec: None = None,
        **options: Unpack[Arguments],
    ) -> None: ...

    @overload
    def __init__(
        self: Parallel[T, str],
        worker: ParallelWorker | Process,
        *,
        codec: Codec[T],
        **options: Unpack[Arguments],
    ) -> None: ...

    def __init__(  # type: ignore[misc]  # what is Returning is a ParallelWorker
        self,
        worker: ParallelWorker | Process,
        *,
        in_processes: int | SupportsIndex | None = None,
        isolation: bool = False,
        timeout: float | SupportsFloat | None = None,
        deadline: float | SupportsFloat | None = None,
        retries: int | SupportsIndex = 0,
        on_error: OnError = "stop",
        codec: Codec[T] | None = None,
        rebuild_exceptions: bool = True,
        scratch_root: str | os.PathLike[str] | None = None,
        progress: Progress | bool | None = None,
        on_start: OnStart | None = None,
        on_finish: OnFinish | None = None,
    ) -> None:
        process_of(worker)  # refused here, where the caller sees why
        warn_of_misspelling(worker)
        self.worker = worker
        self._options = Options(
            codec,
            in_processes=in_processes,
            isolation=isolation,
            timeout=timeout,
            deadline=deadline,
            retries=retries,
            on_error=on_error,
            rebuild_exceptions=rebuild_exceptions,
            scratch_root=scratch_root,
            progress=progress,
            on_start=on_start,
            on_finish=on_finish,
        )

    def map_processes(self: Parallel[T, str], items: Iterable[Any]) -> list[T]:
        """Return every item's result, in input order, once every child has ended.

        A failure does what `on_error` says. Where an item raised Break or Kill, its value is
        returned instead.

        Args:
            items: The items; of any kind, since children inherit them.

        Raises:
            TypeError: `items` is one str or bytes, or no iterable (nothing was forked); or
                `process` returned something else than a str, and there is no codec.
            Exception: What `process`, or the codec, raised, the first by input order, as
                itself, with the child's traceback as its cause. A note says what of it
                could not be sent. Its `other_failures` are index, item and exception of
                each other item that failed.
            ParallelError: What became of an item without such an exception.
            DeadlineError: The call was not over at its deadline.
            OSError: The system refused processes, memory, descriptors or a file.
            RuntimeError: This is not the main interpreter; nothing was forked.
        """
        ended = self._run(items, self._options.on_error)
        return [] if ended is None else values_of(ended)

    def each_process(self, items: Iterable[Any]) -> int:
        """Process every item for its side effects; return 0 once every child has ended.

        What `process` returns is neither checked nor sent, and no codec is asked; what Break
        or Kill gave is, and is returned.

        Args:
            items: As of map_processes.

        Raises:
            Exception: As map_processes, but for what is wrong with a result.
        """
        ended = self._run(items, self._options.on_error, discard=True)
        if ended is not None:
            values = values_of(ended)
            if ended.break_values:
                return values  # type: ignore[no-any-return]
        return 0

    def outcomes(self: Parallel[T, str], items: Iterable[Any]) -> list[Outcome[T]]:
        """Return what became of each item, in input order, once every child has ended.

        Every item is processed, and an item's failure never raises: it stands in its
        Outcome. After a Break or Kill there are those of the items that had been begun.

        Args:
            items: As of map_processes.

        Raises:
            TypeError: `items` is one str or bytes, or no iterable; nothing was forked.
            DeadlineError: The call was not over at its deadline.
            OSError: The system refused processes, memory, descriptors or a file.
            RuntimeError: This is not the main interpreter; nothing was forked.
        """
        ended = self._run(items, "finish")
        return [] if ended is None else ended.outcomes()

    def _run(self, items: Iterable[Any], on_error: str, *, discard: bool = False) -> Ended | None:
        """Process the items; None: there are none."""
        process_of(self.worker)
        if isinstance(items, str | bytes | bytearray):  # list("abc") would fork three children
            kind = type(items).__name__
            msg = f"items: expected an iterable of items, got one {kind}"
            raise TypeError(msg)
        try:
            listed = list(items)
        except TypeError as error:
            if hasattr(type(items), "__iter__"):
                raise  # the iterable's own
            msg = f"items: expected an iterable of items, got {type(items).__name__}"
            raise TypeError(msg) from error
        if not listed:
            return None
        options = self._options
        job = job_of(self.worker, listed, options.codec) if options.in_processes != 0 else None
        return run(self.worker, listed, options, on_error=on_error, discard=discard, job=job)


def values_of(ended: Ended) -> Any:
    """What a call returns: its results, or what the first Break gave; or raise its first failure.

    First means first by input order.
    """
    values, failures = ended.results()
    if ended.break_values:
        return ended.break_values[min(ended.break_values)]
    if failures:
        raise first_of(failures)
    return values


def first_of(failures: list[Failure]) -> BaseException:
    """The first failure by input order; a note says which item failed, and how many others did.

    The list is empty afterwards. The exception passes frames that refer to the list: the two
    would keep each other, and all that they refer to, until the garbage collector comes.
    """
    from tep_parallel._engine.travel.raised import add_note, add_others

    index, item, error = failures[0]
    others = failures[1:]
    failures.clear()
    more = f"{len(others)} more failed" if others else "no other failed"
    add_note(error, f"tep_parallel: item {index} ({shown(item)}); {more}")
    add_others(error, others)
    return error
