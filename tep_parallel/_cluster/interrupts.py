"""Who has raised KeyboardInterrupt in a worker of an executor: the worker, or a signal."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class Interrupts:
    """Notes, in the main thread of a process, whether SIGINT has come while items are processed.

    Only there a signal raises KeyboardInterrupt. Everywhere else it is the worker's own.
    """

    def __init__(self) -> None:
        self._came = False
        self._former: Any = None

    def __enter__(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        former = signal.getsignal(signal.SIGINT)
        if callable(former):  # neither ignored, nor the system's
            try:
                signal.signal(signal.SIGINT, self._note)
            except ValueError:  # a subinterpreter: no signal comes there
                return
            self._former = former

    def __exit__(self, *_: object) -> None:
        # What the worker has set in its place stays.
        if self._former is not None and signal.getsignal(signal.SIGINT) == self._note:
            signal.signal(signal.SIGINT, self._former)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._came = True
        self._former(number, frame)

    def pass_on(self, error: BaseException) -> None:
        """Raise what a signal has raised: it ends the chunk."""
        if self._came and isinstance(error, KeyboardInterrupt):
            raise error
