"""Signals that end a command, which first prints what has ended by then."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType, TracebackType

from tep_parallel._typing import NoReturn

_DEADLY = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupt:
    """A block with a call in it. The first signal aborts the call; while output is written, or
    when there was one before, it raises KeyboardInterrupt.

    Handlers of the worker's module stay as they are, and so does what is ignored.

    Args:
        abort: Ends the call; None: it runs here, and only KeyboardInterrupt can end it.
        is_writing: Whether output is written just now.

    Attributes:
        number: The signal that came; 0: none did.
    """

    def __init__(self, abort: Callable[[], None] | None, is_writing: Callable[[], bool]) -> None:
        self.number = 0
        self._is_writing = is_writing
        self._abort = abort
        self._set: list[signal.Signals] = []

    def __enter__(self) -> Interrupt:
        for each in _DEADLY if self._abort is not None else _DEADLY[:1]:
            if signal.getsignal(each) in (signal.SIG_DFL, signal.default_int_handler):
                signal.signal(each, self._hear)
                self._set.append(each)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        for each in self._set:
            signal.signal(each, signal.SIG_DFL)

    def _hear(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        first, self.number = self.number == 0, self.number or number
        if not first or self._is_writing() or self._abort is None:
            raise KeyboardInterrupt
        self._abort()

    def die(self) -> NoReturn:
        """End this process by the signal that came, so that a shell sees that."""
        number = self.number or signal.SIGINT
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        os._exit(128 + number)  # the signal is blocked
