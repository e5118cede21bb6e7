"""The blocking face: check what was given, drive one call of the engine, hand its results on."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Generic, Protocol

from tep_parallel._codec import Codec, check_codec
from tep_parallel._counting import processor_count
from tep_parallel._errors import Failure, shown
from tep_parallel._outcome import Outcome
from tep_parallel._worker import ParallelWorker, Process, process_of

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T = TypeVar("T", default=str)  # without a codec
else:
    from typing import TypeVar

    T = TypeVar("T")

_MOST_ALIVE = 512  # children, where the caller names no number


class Ended(Protocol):
    """A call that has ended, with children (_forked) or without (_serial)."""

    def results(self) -> tuple[list[Any], list[Failure]]: ...

    def outcomes(self) -> list[Outcome[Any]]: ...


class Parallel(Generic[T]):
    """Run a worker on every item, each item in a child process of its own.

    Args:
        worker: A ParallelWorker instance, or any callable of one item; it is inherited by
            the children, never pickled.
        in_processes: How many children there are; each takes the next item when it has
            finished one. True: processor_count(). None: a child for every item, and never
            more than 512 alive. 0: no fork, every item is processed here, for debugging and
            tests.
        isolation: Whether every item gets a fresh child, with in_processes at most alive.
        codec: Any module or object with `dumps` and `loads` (json, pickle, orjson...), which
            turns results into objects: `dumps` in the child, `loads` here, of what bears the
            call's own MAC. None: results are text.
        rebuild_exceptions: False: nothing that a child sent is ever unpickled, and every
            exception arrives as WorkerError; for workers that handle hostile input. An
            exception that is rebuilt was authenticated, which keeps out other writers, not
            the worker itself.
        scratch_root: The directory below which a call makes its scratch directory. None:
            TMPDIR of the environment, or /tmp.

    Raises:
        TypeError: An argument of the wrong kind, or a worker class in place of an instance.
        ValueError: A negative number.

    Source: `Parallel.map` of grosser/parallel, lib/parallel.rb.
    """

    def __init__(
        self,
        worker: ParallelWorker | Process,
        *,
        in_processes: int | bool | None = None,
        isolation: bool = False,
        codec: Codec[T] | None = None,
        rebuild_exceptions: bool = True,
        scratch_root: str | os.PathLike[str] | None = None,
    ) -> None:
        process_of(worker)  # refused here, where the caller sees why
        if in_processes is True:
            in_processes = processor_count()
        if in_processes is not None:
            if isinstance(in_processes, bool) or not isinstance(in_processes, int):
                got = "False" if in_processes is False else type(in_processes).__name__
                msg = f"in_processes: expected an int, True or None, got {got}"
                raise TypeError(msg)
            if in_processes < 0:
                msg = f"in_processes: expected 0 or more, got {in_processes}"
                raise ValueError(msg)
        for name, value in (("isolation", isolation), ("rebuild_exceptions", rebuild_exceptions)):
            if not isinstance(value, bool):
                msg = f"{name}: expected a bool, got {type(value).__name__}"
                raise TypeError(msg)
        if codec is not None:
            check_codec(codec)
        self.worker = worker
        self._codec = codec
        self._in_processes = in_processes
        self._isolation = isolation
        self._rebuild = rebuild_exceptions
        self._scratch_root = None if scratch_root is None else _path(scratch_root)

    def map_processes(self, items: Iterable[Any]) -> list[T]:
        """Return every item's result, in input order, once every child has ended.

        After a failure no new item is begun; those that run are left to end.

        Args:
            items: The items; of any kind, since children inherit them.

        Raises:
            TypeError: `items` is one str or bytes, or no iterable (nothing was forked); or
                `process` returned something else than a str, and there is no codec.
            Exception: What `process`, or the codec, raised, the first by input order, as
                itself, with the child's traceback as its cause.
            ParallelError: What became of an item without such an exception.
            OSError: The system refused processes, memory, descriptors or a file.
            RuntimeError: This is not the main interpreter; nothing was forked.
        """
        ended = self._run(items, stop_on_failure=True)
        if ended is None:
            return []
        values, failures = ended.results()
        _raise_first(failures)
        return values

    def each_process(self, items: Iterable[Any]) -> int:
        """Process every item for its side effects; return 0 once every child has ended.

        What `process` returns is neither checked nor sent, and no codec is asked.

        Args:
            items: As of map_processes.

        Raises:
            Exception: As map_processes, but for what is wrong with a result.
        """
        ended = self._run(items, stop_on_failure=True, discard=True)
        if ended is not None:
            _raise_first(ended.results()[1])
        return 0

    def outcomes(self, items: Iterable[Any]) -> list[Outcome[T]]:
        """Return what became of each item, in input order, once every child has ended.

        Every item is processed, and an item's failure never raises: it stands in its
        Outcome.

        Args:
            items: As of map_processes.

        Raises:
            TypeError: `items` is one str or bytes, or no iterable; nothing was forked.
            OSError: The system refused processes, memory, descriptors or a file.
            RuntimeError: This is not the main interpreter; nothing was forked.
        """
        ended = self._run(items, stop_on_failure=False)
        return [] if ended is None else ended.outcomes()

    def _run(
        self, items: Iterable[Any], *, stop_on_failure: bool, discard: bool = False
    ) -> Ended | None:
        """Process the items; None: there are none."""
        process = process_of(self.worker)
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
        # Loaded now: a child of a busy host cannot import what another thread is importing.
        if self._in_processes == 0:
            from tep_parallel import _serial

            return _serial.Ended(
                self.worker,
                process,
                listed,
                stop_on_failure=stop_on_failure,
                discard=discard,
                codec=self._codec,
                rebuild=self._rebuild,
            )
        from tep_parallel import _forked

        return _forked.Ended(
            self.worker,
            process,
            listed,
            alive=self._in_processes or _MOST_ALIVE,
            pool=self._in_processes is not None and not self._isolation,
            stop_on_failure=stop_on_failure,
            discard=discard,
            codec=self._codec,
            rebuild=self._rebuild,
            root=self._scratch_root or os.path.abspath(os.environ.get("TMPDIR") or "/tmp"),
        )


def _path(given: str | os.PathLike[str]) -> str:
    path = os.fspath(given) if isinstance(given, str | os.PathLike) else given
    if not isinstance(path, str):
        msg = f"scratch_root: expected a str or a path of str, got {type(path).__name__}"
        raise TypeError(msg)
    if not path or "\0" in path:
        msg = f"scratch_root: expected a path, got {path!r}"
        raise ValueError(msg)
    return os.path.abspath(path)


def _raise_first(failures: list[Failure]) -> None:
    """Raise the first failure by input order, saying what it was and how many others failed."""
    if not failures:
        return
    from tep_parallel._raised import add_note

    index, item, error = failures[0]
    others = len(failures) - 1
    more = "no other failed" if others == 0 else f"{others} more failed"
    add_note(error, f"tep_parallel: item {index} ({shown(item)}); {more}")
    raise error
