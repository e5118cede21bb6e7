"""One line on the terminal that says how far a command has come."""

from __future__ import annotations

import os
import signal
import time
from types import FrameType

from tep_parallel._command.items import Source

_AFTER, _EVERY = 1.0, 0.2  # seconds


class Progress:
    """The line. It is drawn by a timer, so that it goes on while an item takes long; it is there
    after a second, and gone at the end.

    A command in the background does not draw: with `stty tostop` that would stop it.

    Args:
        source: What is to be done.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._count = self._failed = 0
        self._begun = time.monotonic()
        self._drawn = False
        self._former = signal.getsignal(signal.SIGALRM)

    def start(self) -> None:
        """Draw from now on, where nobody else uses the timer."""
        if self._former is signal.SIG_DFL:
            signal.signal(signal.SIGALRM, self._draw)
            signal.setitimer(signal.ITIMER_REAL, _AFTER, _EVERY)

    def stop(self) -> None:
        """Draw no more."""
        if signal.getsignal(signal.SIGALRM) == self._draw:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
        self.clear()

    def update(self, count: int, failed: int) -> None:
        """So many items have ended by now, and so many of them failed."""
        self._count, self._failed = count, failed

    def clear(self) -> None:
        """Take the line away: something else is to be printed."""
        if self._drawn:
            self._drawn = False
            _show("\r\x1b[K")

    def _draw(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if _is_in_background():
            return
        seconds = time.monotonic() - self._begun
        done, total = self._count + self._source.skipped, self._source.total
        parts = [f"{done} items" if total is None else f"{done} of {total} items"]
        if self._failed:
            parts.append(f"{self._failed} failed")
        parts.append(f"{seconds:.0f} s")
        if total is not None and self._count > 0:
            left = (total - done) * seconds / self._count
            parts.append(f"about {left:.0f} s left")
        self._drawn = True
        _show(f"\rtep-parallel: {', '.join(parts)}\x1b[K")


def _is_in_background() -> bool:
    try:
        return os.tcgetpgrp(2) != os.getpgrp()
    except OSError:  # no terminal, or not that of this session
        return False


def _show(text: str) -> None:
    try:
        os.write(2, text.encode())
    except OSError:  # nobody sees it
        return
