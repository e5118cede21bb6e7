"""What a Parallel was told, checked."""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from tep_parallel._codec import Codec, check_codec
from tep_parallel._counting import processor_count

if TYPE_CHECKING:
    from tep_parallel._outcome import Outcome

ON_ERROR = ("stop", "finish", "kill")
_LONGEST = 1e9  # seconds; 31 years, which the C core can count in nanoseconds


class Progress(Protocol):
    """What is told how many more items have ended: a tqdm bar, or an object of your own."""

    def update(self, n: int, /) -> object: ...


OnStart = Callable[[int, Any], object]
OnFinish = Callable[["Outcome[Any]"], object]


class Options:
    """See Parallel, whose arguments these are.

    Raises:
        TypeError, ValueError, ImportError: As Parallel.
    """

    def __init__(
        self,
        *,
        in_processes: int | bool | None,
        isolation: bool,
        timeout: float | None,
        deadline: float | None,
        retries: int,
        on_error: str,
        codec: Codec[Any] | None,
        rebuild_exceptions: bool,
        scratch_root: str | os.PathLike[str] | None,
        progress: Progress | bool | None,
        on_start: OnStart | None,
        on_finish: OnFinish | None,
    ) -> None:
        self.in_processes = _processes(in_processes)
        self.isolation = _bool("isolation", isolation)
        self.timeout = _seconds("timeout", timeout)
        self.deadline = _seconds("deadline", deadline)
        self.retries = _count("retries", retries)
        if on_error not in ON_ERROR:
            msg = f"on_error: expected one of {', '.join(map(repr, ON_ERROR))}, got {on_error!r}"
            raise ValueError(msg)
        self.on_error = on_error
        if codec is not None:
            check_codec(codec)
        self.codec = codec
        self.rebuild = _bool("rebuild_exceptions", rebuild_exceptions)
        self.scratch_root = None if scratch_root is None else _path(scratch_root)
        if progress is True and importlib.util.find_spec("tqdm") is None:
            msg = "progress=True needs tqdm: pip install 'tep-parallel[progress]'"
            raise ImportError(msg)
        if not isinstance(progress, bool | None) and not callable(
            getattr(progress, "update", None)
        ):
            msg = f"progress: expected True, None or update(n), got {type(progress).__name__}"
            raise TypeError(msg)
        self.progress = None if progress is False else progress
        for name, hook in (("on_start", on_start), ("on_finish", on_finish)):
            if hook is not None and not callable(hook):
                msg = f"{name}: expected a callable, got {type(hook).__name__}"
                raise TypeError(msg)
        self.on_start = on_start
        self.on_finish = on_finish

    @property
    def watched(self) -> bool:
        """Whether somebody wants to know of each item while the call runs."""
        return any(one is not None for one in (self.progress, self.on_start, self.on_finish))


def _bool(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        msg = f"{name}: expected a bool, got {type(value).__name__}"
        raise TypeError(msg)
    return value


def _count(name: str, value: object, expected: str = "an int") -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        got = "False" if value is False else type(value).__name__
        msg = f"{name}: expected {expected}, got {got}"
        raise TypeError(msg)
    if value < 0:
        msg = f"{name}: expected 0 or more, got {value}"
        raise ValueError(msg)
    return value


def _processes(value: int | None) -> int | None:
    if value is True:
        return processor_count()
    return value if value is None else _count("in_processes", value, "an int, True or None")


def _seconds(name: str, value: float | None) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        msg = f"{name}: expected seconds or None, got {type(value).__name__}"
        raise TypeError(msg)
    if not 0 < value < math.inf:
        msg = f"{name}: expected seconds above 0, got {value}"
        raise ValueError(msg)
    return float(min(value, _LONGEST))


def _path(given: str | os.PathLike[str]) -> str:
    path = os.fspath(given) if isinstance(given, str | os.PathLike) else given
    if not isinstance(path, str):
        msg = f"scratch_root: expected a str or a path of str, got {type(path).__name__}"
        raise TypeError(msg)
    if not path or "\0" in path:
        msg = f"scratch_root: expected a path, got {path!r}"
        raise ValueError(msg)
    return os.path.abspath(path)
