"""What is known of an executor: how many workers it has, and how to reach them."""

from __future__ import annotations

import os
import sys
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tep_parallel._cluster.asker import Asker, Done
from tep_parallel._cluster.by_name import finder_of
from tep_parallel._cluster.far import end_call, end_soon
from tep_parallel._engine.handlers import raised_by_handler

_COUNT_EVERY = 2.0  # seconds
_MOST_WORKERS = 64  # of which it is noted who has them
_REFUSED = "executor: its submit() returned {}, not a future with add_done_callback()"


class SubmitError(Exception):
    """An executor takes no chunk.

    Attributes:
        reason: What its submit has raised.
    """

    def __init__(self, reason: Exception) -> None:
        super().__init__(reason)
        self.reason = reason


class Engine:
    """An executor, as its calls see it.

    Args:
        executor: The executor.

    Attributes:
        client: The client of Dask that it belongs to; None: it is none of Dask's.
        places: The processes of its workers that are known to have a bundle, by its hash.
        warned: What its user has been warned of.
    """

    def __init__(self, executor: Any) -> None:
        self.executor = executor
        self.client: Any = None
        if type(executor).__module__.partition(".")[0] == "distributed":
            self.client = getattr(executor, "_client", None)
        self._known = _known_of(executor if self.client is None else self.client)
        self.places, self.warned = self._known.places, self._known.warned

    @property
    def is_here(self) -> bool:
        """Whether its workers are threads of this process."""
        executor = self.executor
        interpreters = sys.modules.get("concurrent.futures.interpreter")
        if interpreters is not None and isinstance(executor, interpreters.InterpreterPoolExecutor):
            return False  # it is a ThreadPoolExecutor, too
        return isinstance(executor, ThreadPoolExecutor)

    def note(self, worker: bytes, place: bytes) -> None:
        """A process has the bundle of a worker."""
        self.places.setdefault(worker, set()).add(place)
        if len(self.places) > _MOST_WORKERS:
            del self.places[next(iter(self.places))]

    def workers(self) -> int | None:
        """How many workers it says that it has; None: it has not said that."""
        executor = self.executor
        for name in ("_max_workers", "max_workers", "num_workers"):
            number = getattr(executor, name, None)
            if type(number) is int and number > 0:
                return number
        return self._known.workers

    def submit(self, function: Callable[[bytes], bytes], data: bytes) -> Any:
        """Submit a chunk.

        Raises:
            SubmitError: The executor's submit has raised something.
            TypeError: It has returned something that is no future.
        """
        there = function if self.client is None else finder_of(function)
        try:
            future = self.executor.submit(there, data)
        except Exception as error:
            if raised_by_handler(error):
                raise
            raise SubmitError(error) from error
        if not callable(getattr(future, "add_done_callback", None)):
            raise TypeError(_REFUSED.format(type(future).__name__))
        return future

    def count(self, done: Done) -> None:
        """Have it asked how many workers there are, now and then: once for all its calls."""
        client, known = self.client, self._known
        if client is None or known.counting:
            return
        now = time.monotonic()
        if now - known.counted < _COUNT_EVERY:
            return
        known.counting, known.counted = True, now

        def act() -> None:
            try:
                known.workers = sum(client.nthreads().values())
            finally:
                known.counting = False

        known.counts.ask(act, done)

    @property
    def can_end(self) -> bool:
        """Whether it can end what its workers run."""
        return self.is_here or self.client is not None

    def end(self, call: bytes, behind: int, found: Callable[[list[int]], None], done: Done) -> None:
        """End a call on all workers, as Here.end does. In any thread, `found` is called with the
        numbers of its chunks that run there, and `done` then."""
        if self.is_here:
            found(end_call(call, behind))
            done(None)
        else:
            client = self.client
            self._known.ends.ask(
                lambda: found(
                    _joined(client.run(finder_of(end_call), call, behind, on_error="ignore"))
                ),
                done,
            )

    def leave(self, workers: list[bytes], options: dict[str, Any]) -> None:
        """Let blocks end now that no chunk uses, where that can be told."""
        client = self.client
        if self.is_here:
            end_soon(workers, options)
        elif client is not None:
            self._known.ends.ask(
                lambda: client.run(finder_of(end_soon), workers, options, on_error="ignore"),
                _silent,
            )


class _Known:
    """What all calls of this process know of an executor."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.places: dict[bytes, set[bytes]] = {}
        self.warned: set[str] = set()
        self.workers: int | None = None
        self.counting = False
        self.counted = -_COUNT_EVERY
        # Who counts workers may wait for that for ever, and calls are to end all the same.
        self.counts, self.ends = Asker(), Asker()


_known: weakref.WeakKeyDictionary[Any, _Known] = weakref.WeakKeyDictionary()


def _known_of(executor: Any) -> _Known:
    try:
        known = _known.get(executor)
        if known is None or known.pid != os.getpid():  # threads are not forked
            known = _known[executor] = _Known()
    except TypeError:  # it has no hash, or there can be no weak reference to it
        return _Known()
    return known


def _joined(answers: dict[str, list[int]]) -> list[int]:
    return [number for numbers in answers.values() for number in numbers]


def _silent(error: BaseException | None) -> None:
    """Blocks that are not told end by themselves."""
