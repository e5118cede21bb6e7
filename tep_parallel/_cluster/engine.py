"""What is known of an executor: how many workers it has, and how to reach them."""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tep_parallel._cluster.by_name import finder_of
from tep_parallel._cluster.far import end_call, end_soon

_MOST_WORKERS = 64  # of which it is noted who has them
_REFUSED = "executor: its submit() returned {}, not a future with add_done_callback()"


class Engine:
    """An executor, as its calls see it.

    Args:
        executor: The executor.

    Attributes:
        places: The processes of its workers that are known to have a bundle, by its hash.
        warned: What its user has been warned of.
    """

    def __init__(self, executor: Any) -> None:
        self.executor = executor
        self.places, self.warned = _known_of(executor)

    @property
    def client(self) -> Any:
        """The client of Dask that it belongs to; None: it is none of Dask's."""
        executor = self.executor
        if type(executor).__module__.partition(".")[0] != "distributed":
            return None
        return getattr(executor, "_client", None)

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
        """How many workers it says that it has; None: it does not say."""
        executor = self.executor
        for name in ("_max_workers", "max_workers", "num_workers"):
            number = getattr(executor, name, None)
            if type(number) is int and number > 0:
                return number
        return None

    def submit(self, function: Callable[[bytes], bytes], data: bytes) -> Any:
        """Submit a chunk."""
        there = function if self.client is None else finder_of(function)
        future = self.executor.submit(there, data)
        if not callable(getattr(future, "add_done_callback", None)):
            raise TypeError(_REFUSED.format(type(future).__name__))
        return future

    def count(self, tell: Callable[[int], None], done: Callable[[Exception | None], None]) -> bool:
        """Ask how many workers there are, in a thread of its own. Whether there is whom to ask."""
        client = self.client
        if client is None:
            return False
        _in_thread(lambda: tell(sum(client.nthreads().values())), done)
        return True

    @property
    def can_end(self) -> bool:
        """Whether it can end what its workers run."""
        return self.is_here or self.client is not None

    def end(
        self,
        call: bytes,
        behind: int,
        found: Callable[[list[int]], None],
        done: Callable[[Exception | None], None],
    ) -> None:
        """End a call on all workers, as Here.end does. In any thread, `found` is called with the
        numbers of its chunks that run there, and `done` then."""
        if self.is_here:
            found(end_call(call, behind))
            done(None)
        else:
            client = self.client
            _in_thread(
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
            _in_thread(
                lambda: client.run(finder_of(end_soon), workers, options, on_error="ignore"),
                _silent,
            )


_Known = tuple[dict[bytes, set[bytes]], set[str]]
_known: weakref.WeakKeyDictionary[Any, _Known] = weakref.WeakKeyDictionary()


def _known_of(executor: Any) -> _Known:
    """What all its calls know."""
    try:
        return _known.setdefault(executor, ({}, set()))
    except TypeError:  # it has no hash, or there can be no weak reference to it
        return {}, set()


def _joined(answers: dict[str, list[int]]) -> list[int]:
    return [number for numbers in answers.values() for number in numbers]


def _silent(error: Exception | None) -> None:
    """Blocks that are not told end by themselves."""


def _in_thread(act: Callable[[], object], done: Callable[[Exception | None], None]) -> None:
    """Act in a thread that nobody waits for: what asks a scheduler may never return."""

    def run() -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001  # whatever an engine raises
            done(error)
        else:
            done(None)

    threading.Thread(target=run, name="tep_parallel-engine", daemon=True).start()
