"""Parallel: check what was given, let the engine run one call, and return its results."""

from __future__ import annotations

from collections.abc import Callable, Iterable

# What children may ask the package for. They must not import: another thread of the host may
# have held an import lock at the fork.
from tep_parallel import _control, _digest, _sock, _version  # noqa: F401
from tep_parallel._engine import stream  # noqa: F401
from tep_parallel._engine.arguments import Shown
from tep_parallel._engine.ended import values_of
from tep_parallel._engine.face import Face
from tep_parallel._engine.options import Options
from tep_parallel._engine.running import Running
from tep_parallel._file_digest import job_of
from tep_parallel._outcome import Outcome
from tep_parallel._typing import TYPE_CHECKING, Any, GenericOf, T, W_co, overload, public
from tep_parallel._worker import ParallelWorker, Process, process_of, warn_of_misspelling

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from tep_parallel._engine.arguments import Arguments, Items
    from tep_parallel._engine.stream import Stream
    from tep_parallel._protocols import Codec
    from tep_parallel._typing import Returning


@public
class Parallel(Face, GenericOf[T, W_co]):
    """Run a worker on every item, each item in a child process of its own.

    Args:
        worker: A ParallelWorker instance, or any callable of one item. The children inherit
            it; it is never pickled.
        in_processes: How many children there are. Each takes the next item when it has
            finished one. True: processor_count(). None: a child for every item, at most 512
            alive. 0: no fork, every item is processed in this process, for debugging and
            tests.
        isolation: Whether every item gets a fresh child, with at most in_processes alive.
        max_items_per_child: How many items a child of in_processes takes before a fresh child
            takes its place. 1 is isolation. None: any number.
        window: How many items imap_processes and as_completed pull ahead of the results that
            were fetched, at most. No more children are alive. None: 4 for each child (of
            processor_count() children without in_processes), at least 64 without isolation.
        timeout: Seconds that an item may run. After that its child is killed, with its
            process group, and the item fails with ItemTimeoutError. `setup` does not count.
            None: no limit.
        deadline: Seconds that the whole call may take. After that everything it started is
            killed, and DeadlineError is raised. None: no limit.
        retries: How often an item is tried again if its child died. An item that raised, or
            was killed at its timeout, is not tried again.
        on_error: What a failure does to the other items of map_processes, each_process and
            imap_processes. "stop": no new item is begun, and running items may end.
            "finish": every item is processed first. "kill": running items are killed at once.
        codec: A module or object with `dumps` and `loads` (json, pickle, orjson...), so that
            results may be more than text. The child calls `dumps`. This process calls
            `loads`, after it has checked the call's MAC. None: results are text, and type
            checkers refuse others.
        rebuild_exceptions: Whether an exception arrives as itself. False: nothing that a
            child sent is unpickled, and every exception arrives as WorkerError; for workers
            that handle hostile input. The MAC of an exception keeps out other writers, but
            not the worker itself.
        scratch_root: The directory in which a call makes its scratch directory. None:
            TMPDIR of the environment, or /tmp.
        progress: True: a progress bar of tqdm on standard error. Or an object whose
            `update(n)` is called when n more items have ended.
        on_start: Called in this process with index and item, before the item may start.
        on_finish: Called in this process with the Outcome of each item that has ended or
            failed, in the order of their ends, one call at a time. If on_start, on_finish or
            `update` raises, running items are killed and the call raises that.
        keep: Descriptors, or objects with fileno(), that the children of a block have beside the
            streams and the files of logging's handlers.
        max_calls: How many calls of a block run at once; others wait their turn. None:
            processor_count().
        executor: An executor as of concurrent.futures, whose workers process the items. These
            go there in chunks, by `submit` alone. Each worker has in_processes children for a
            chunk, and keeps them for 5 seconds more. None or 0: it has none, so nothing can be
            killed: timeout, isolation, retries and on_error="kill" are refused.
        chunk_size: How many items a chunk has. None: chunks grow until one takes half a second.

    With an executor an item may be processed more than once: the chunk of a lost worker is sent
    again. cloudpickle carries the worker, codec and items that are not text. A worker that has
    a teardown has children anew in each chunk. `with` forks nothing here; its end ends children
    that the executor's workers keep. `keep` is refused.

    With in_processes=0 nothing can be killed: `timeout`, `deadline` and `retries` have no
    effect.

    `with Parallel(...) as p:` keeps children for the calls of a block. With in_processes=N they
    serve call after call; otherwise each serves one item, and is forked before the call comes.
    They are as this process was at the block's entry, and have none of its other descriptors.
    A call ends when its items have; what children do behind that ends with the block.

    Raises:
        TypeError: An argument is of the wrong kind, or a worker class was given instead of
            an instance.
        ValueError: A number is out of range, or options do not go together.
        ImportError: progress=True needs tep-parallel[progress], executor= tep-parallel[cluster].

    Source: `Parallel.map` of grosser/parallel, lib/parallel.rb.
    """

    __signature__ = Shown()

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
        codec: Codec[T] | None = None,
        **options: Unpack[Arguments],
    ) -> None:
        process_of(worker)  # it raises here, where the caller sees why, and not in a child
        warn_of_misspelling(worker)
        self.worker = worker
        self._running = Running()
        self._options = Options(codec, **options)
        if self._options.executor is not None:
            from tep_parallel._cluster.run import Far  # few programs need it

            self._far = Far(self._options, job_of)

    def map_processes(self: Parallel[T, str], items: Iterable[Any]) -> list[T]:
        """Return every item's result, in input order, once every child has ended.

        `on_error` says what a failure does. If an item raised Break or Kill, the value of
        that is returned instead.

        Args:
            items: The items, of any kind: children inherit them.

        Raises:
            TypeError: `items` is one str or bytes, or is not iterable; nothing was forked.
                Or `process` returned something other than a str, and there is no codec.
            Exception: What `process` or the codec raised for the first failed item, by input
                order. It is the same exception, with the child's traceback as its cause. A
                note names the parts that could not be sent. Its `other_failures` has index,
                item and exception of each other failed item.
            ParallelError: The item, or the executor, failed without raising: a child died.
            DeadlineError: The call was not over at its deadline.
            OSError: The system refused processes, memory, descriptors or a file.
            RuntimeError: This is not the main interpreter; nothing was forked.
        """
        return values_of(self._run(items, self._options.on_error))  # type: ignore[no-any-return]

    def each_process(self, items: Iterable[Any]) -> int:
        """Process every item for its side effects; return 0 once every child has ended.

        What `process` returns is neither checked nor sent, and no codec is called. If an
        item raised Break or Kill, the value of that is returned.

        Args:
            items: See map_processes.

        Raises:
            Exception: See map_processes, except for what concerns results.
        """
        ended = self._run(items, self._options.on_error, discard=True)
        values = values_of(ended)
        return values if ended.break_values else 0

    def outcomes(self: Parallel[T, str], items: Iterable[Any]) -> list[Outcome[T]]:
        """Return what became of each item, in input order, once every child has ended.

        Every item is processed. A failure is not raised: it is the `error` of its Outcome.
        After a Break or Kill, the list has only the items that had been begun.

        Args:
            items: See map_processes.

        Raises:
            TypeError: `items` is one str or bytes, or is not iterable; nothing was forked.
            DeadlineError: The call was not over at its deadline.
            OSError: The system refused processes, memory, descriptors or a file.
            RuntimeError: This is not the main interpreter; nothing was forked.
        """
        return self._run(items, "finish", whole=True).outcomes()

    def imap_processes(self: Parallel[T, str], items: Items) -> Stream[T]:
        """Return an iterator of the results, in input order, each as soon as it is there.

        The thread that asks for a result pulls items, at most `window` ahead, and never while
        there is a result to hand out. A child gets text as it is, and all else as a pickle.
        Children are forked at the first `next`; the deadline begins here.

        A failure is raised in place of its item's result, and the iterator is over; `on_error`
        says what happens first. After a Break or Kill, the iterator gives the results before
        that, as far as their items had begun, and ends. If it raises, is closed, or is not
        used any more, what runs is killed.

        Args:
            items: An iterable, or a function that returns an item at each call, and raises
                StopIteration when there are no more.

        Raises:
            TypeError: `items` is one str or bytes, or neither iterable nor callable.
            OSError: The system refused memory or descriptors.
            RuntimeError: This is not the main interpreter.
            Exception: From the iterator: what map_processes raises, and what `items` raises. An
                item that cannot be pickled fails with what pickle raises.

        Source: `Pool.imap` of multiprocessing; producers of grosser/parallel.
        """
        return self._stream(items, self._options.on_error, ordered=True)

    def as_completed(self: Parallel[T, str], items: Items) -> Stream[Outcome[T]]:
        """Return an iterator of an Outcome for each item, as the items end.

        A failure is the `error` of its Outcome, and does not end the iterator. After a Break or
        Kill, the iterator gives the Outcomes of all items that had been begun, and ends.

        Args:
            items: See imap_processes, also for when they are pulled.

        Raises:
            TypeError, OSError, RuntimeError: See imap_processes.
            Exception: From the iterator: what outcomes raises, and what `items` raises.

        Source: `as_completed` of concurrent.futures.
        """
        return self._stream(items, "finish", ordered=False)

    def abort(self) -> None:
        """End the calls of this Parallel that run now: kill and reap all that they have started.

        They raise AbortedError. Any thread may call this, also in a hook or a signal handler.
        """
        self._running.abort()

    def _job(self, items: list[Any]) -> Any:
        return job_of(self.worker, items, self._options.codec)
