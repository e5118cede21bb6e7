"""The end of the interpreter: it awaits what executors run, or kills that."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from signal import SIGKILL, Signals
from weakref import WeakValueDictionary

from tep_parallel._typing import Protocol


class Closable(Protocol):
    """What drives the calls of an executor."""

    pid: int

    def close(self, *, end: Signals | None = None) -> None:
        """Let nothing more be submitted, and end what runs if so asked."""

    def join(self) -> None:
        """Wait until all is done."""


_open: WeakValueDictionary[int, Closable] = WeakValueDictionary()
_ended: set[int] = set()  # processes: what such a one forks at its end is none of them


def enter(driver: Closable) -> None:
    """Close and join it at the end of the interpreter."""
    _open[id(driver)] = driver


def ends() -> bool:
    """Whether the interpreter of this process ends."""
    return os.getpid() in _ended


def _at_exit() -> None:
    """Before Python joins its threads: let each end when it has done what was submitted."""
    _ended.add(os.getpid())
    drivers = [one() for one in _open.valuerefs()]
    own = [one for one in drivers if one is not None and one.pid == os.getpid()]
    # After a Ctrl-C that nobody caught. In an interactive session that ended a line only.
    if getattr(sys, "last_type", None) is KeyboardInterrupt and not hasattr(sys, "ps1"):
        _end(own)
    try:
        for driver in own:
            driver.close()
        for driver in own:
            driver.join()
    except KeyboardInterrupt:
        _end(own)
        raise


def _end(drivers: list[Closable]) -> None:
    for driver in drivers:
        driver.close(end=SIGKILL)
    for driver in drivers:
        driver.join()


with suppress(AttributeError, RuntimeError):  # RuntimeError: it ends already
    threading._register_atexit(_at_exit)  # type: ignore[attr-defined]
