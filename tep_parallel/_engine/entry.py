"""What a block finds out about its process when it is entered."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Iterator

from tep_parallel._engine.native import lib
from tep_parallel._engine.told import warn
from tep_parallel._typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tep_parallel._protocols import HasFileno


def user() -> tuple[Any, ...]:
    """Whose rights this process has."""
    return os.getresuid(), os.getresgid(), os.getgroups()


def kept_descriptors(named: Iterable[int | HasFileno]) -> list[int]:
    """The descriptors that children have, beside 0 to 2: those of the streams, of logging's
    handlers, and those that the caller has named.

    Raises:
        OSError: One that the caller named is not open.
    """
    found = {_descriptor(stream) for stream in _writers()}
    for value in named:
        number = value if isinstance(value, int) else value.fileno()
        os.fstat(number)
        found.add(number)
    return sorted(number for number in found if number > 2)


def _writers() -> Iterator[object]:
    """What this process writes text to."""
    yield from (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    logging = sys.modules.get("logging")
    if logging is not None:
        for reference in list(logging._handlerList):
            handler = reference()
            yield getattr(handler, "__dict__", {}).get("stream")


def _descriptor(stream: Any) -> int:
    """The descriptor of a stream; -1: it has none."""
    try:
        number = stream.fileno()
    except Exception:  # noqa: BLE001  # whatever stands in for a stream may raise anything
        return -1
    return number if isinstance(number, int) else -1


def warn_of_threads() -> None:
    """Warn if this process has threads: what they hold at the fork stays locked in children."""
    if lib.sphttp_is_alone():
        return
    me = threading.current_thread()
    names = [each.name for each in threading.enumerate() if each is not me]
    others = _threads() - 1 - len(names)
    if others > 0:
        names.append(f"{others} that Python does not know")
    if names:
        msg = f"the block was entered in a process with other threads ({', '.join(names)}): what"
        msg += " they hold now, a lock or an import, children never get; enter it before they start"
        warn(msg)


def _threads() -> int:
    """How many threads this process has; 0: the system does not tell."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 0
