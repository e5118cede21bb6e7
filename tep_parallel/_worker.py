"""What a worker is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class ParallelWorker:
    """The base of workers: override `process`.

    One instance serves a call: every child inherits it as it is at the fork, and what a
    child changes in it stays in that child.
    """

    def process(self, item: Any) -> str:  # noqa: ARG002  # subclasses use it
        """Process one item, in a child process, and return the text that the caller gets.

        Args:
            item: One of the call's items.
        """
        return ""


Process = Callable[[Any], Any]


def process_of(worker: ParallelWorker | Process) -> Process:
    """The function of one item that `worker` stands for.

    Raises:
        TypeError: It is a worker class, not an instance, or cannot be called.
    """
    if isinstance(worker, ParallelWorker):
        return worker.process
    if isinstance(worker, type) and issubclass(worker, ParallelWorker):
        name = worker.__name__
        msg = f"worker: expected an instance, got the class {name}; write {name}()"
        raise TypeError(msg)
    if not callable(worker):
        kind = type(worker).__name__
        msg = f"worker: expected a ParallelWorker or a callable of one item, got {kind}"
        raise TypeError(msg)
    return worker


def name_of(worker: ParallelWorker | Process) -> str:
    """The worker as messages name it."""
    if isinstance(worker, ParallelWorker):
        return f"{type(worker).__qualname__}.process"
    return str(getattr(worker, "__qualname__", type(worker).__qualname__))
