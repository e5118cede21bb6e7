"""The options of a call, checked."""

from __future__ import annotations

import math
import os

from tep_parallel._engine.arguments import DEFAULTS, ON_ERROR, InBytes
from tep_parallel._engine.codec import check_codec
from tep_parallel._engine.counting import processor_count
from tep_parallel._engine.numbers import real, whole
from tep_parallel._typing import TYPE_CHECKING, Any, SupportsFloat, SupportsIndex, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Unpack

    from tep_parallel._engine.arguments import Arguments, OnError
    from tep_parallel._protocols import Codec, HasFileno, Progress

Callback = TypeVar("Callback")
_LONGEST = 1e9  # seconds, 31 years; the C core counts in nanoseconds, in 64 bits
_A_CHILD, _IN_A_POOL = 4, 64  # items that are pulled ahead: for each child, and at least
_SHORTEST = 1e-9  # seconds; 0 means no limit in the C core


class BySize:
    """The default in_processes of digest_files, where the sizes of the files decide."""

    def __index__(self) -> int:
        return processor_count()

    def __repr__(self) -> str:
        return "BY_SIZE"


BY_SIZE = BySize()


class Options:
    """The arguments of a Parallel, checked. Parallel says what each means, and what it raises."""

    def __init__(self, codec: Codec[Any] | None = None, **options: Unpack[Arguments]) -> None:
        unknown = options.keys() - DEFAULTS.keys()
        if unknown:
            msg = f"Parallel() got an unexpected keyword argument {min(unknown)!r}"
            raise TypeError(msg)
        given: Arguments = {**DEFAULTS, **options}
        self.by_size = given["in_processes"] is BY_SIZE  # then in_processes is to be set later
        self.in_processes = None if self.by_size else _processes(given["in_processes"])
        self.isolation = _bool("isolation", given["isolation"])
        self.max_items = _most(given["max_items_per_child"], self.in_processes, self.isolation)
        self.isolation = self.isolation or self.max_items == 1
        self.window = _at_least_one("window", given["window"])
        self.timeout = _seconds("timeout", given["timeout"])
        self.deadline = _seconds("deadline", given["deadline"])
        self.retries = _count("retries", given["retries"])
        self.on_error = _on_error(given["on_error"])
        if codec is not None:
            check_codec(codec)
        self.codec = codec
        self.rebuild = _bool("rebuild_exceptions", given["rebuild_exceptions"])
        self.scratch_root = _path(given["scratch_root"])
        progress = given["progress"]
        self.in_bytes = isinstance(progress, InBytes)
        self.progress = _progress(progress.progress if isinstance(progress, InBytes) else progress)
        self.on_start = _callback("on_start", given["on_start"])
        self.on_finish = _callback("on_finish", given["on_finish"])
        hooks = (self.progress, self.on_start, self.on_finish)
        # Whether the caller is to be told of each item while the call runs.
        self.watched = any(one is not None for one in hooks)
        self.keep = _kept(given["keep"])
        self.max_calls = _at_least_one("max_calls", given["max_calls"])
        self.executor = given["executor"]
        self.chunk_size = _at_least_one("chunk_size", given["chunk_size"])
        # Those of another machine are not those of this one.
        self.all_processors = given["in_processes"] is True
        if self.executor is not None or self.chunk_size is not None:
            from tep_parallel._engine.far_options import check  # few calls need it

            check(vars(self))

    def for_digests(self) -> Options:
        """The same for files that are digested in C."""
        options = Options.__new__(Options)
        vars(options).update(vars(self))
        options.in_processes = options.in_processes or processor_count()
        options.isolation, options.max_items = False, None
        options.codec, options.in_bytes = None, True
        return options

    @property
    def pool(self) -> bool:
        """Whether a child may serve several items."""
        return self.in_processes is not None and not self.isolation

    def items_ahead(self) -> int:
        """The window, or what it is by default."""
        if self.window is not None:
            return self.window
        ahead = _A_CHILD * (self.in_processes or processor_count())
        return max(ahead, _IN_A_POOL) if self.pool else ahead


def _most(value: SupportsIndex | None, processes: int | None, isolation: bool) -> int | None:  # noqa: FBT001
    most = _at_least_one("max_items_per_child", value)
    if most is not None and most > 1 and (processes is None or isolation):
        why = "in_processes=N" if processes is None else "isolation=False"
        msg = f"max_items_per_child: {most} needs {why}: every child has one item"
        raise ValueError(msg)
    return most


def _on_error(value: OnError) -> OnError:
    if value not in ON_ERROR:
        expected = ", ".join(map(repr, ON_ERROR))
        msg = f"on_error: expected one of {expected}, got {value!r}"
        raise ValueError(msg)
    return value


def _progress(value: Progress | bool | None) -> Progress | bool | None:  # noqa: FBT001
    if value is True:
        from importlib.util import find_spec  # few calls need it

        if find_spec("tqdm") is None:
            msg = "progress=True needs tqdm: pip install 'tep-parallel[progress]'"
            raise ImportError(msg)
    if not isinstance(value, bool | None) and not callable(getattr(value, "update", None)):
        msg = f"progress: expected True, None or update(n), got {type(value).__name__}"
        raise TypeError(msg)
    return None if value is False else value


def _callback(name: str, value: Callback | None) -> Callback | None:
    if value is not None and not callable(value):
        msg = f"{name}: expected a callable, got {type(value).__name__}"
        raise TypeError(msg)
    return value


def _kept(values: Iterable[int | HasFileno]) -> tuple[int | HasFileno, ...]:
    if isinstance(values, str | bytes) or not hasattr(type(values), "__iter__"):
        msg = f"keep: expected an iterable of descriptors, got one {type(values).__name__}"
        raise TypeError(msg)
    kept = tuple(values)
    for value in kept:
        if not callable(getattr(value, "fileno", None)):
            _count("keep", value, "descriptors, or objects with fileno()")
    return kept


def _bool(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        msg = f"{name}: expected a bool, got {type(value).__name__}"
        raise TypeError(msg)
    return value


def _count(name: str, value: object, expected: str = "an int") -> int:
    count = whole(value)
    if count is None:
        got = "False" if value is False else type(value).__name__
        msg = f"{name}: expected {expected}, got {got}"
        raise TypeError(msg)
    if count < 0:
        msg = f"{name}: expected 0 or more, got {count}"
        raise ValueError(msg)
    return count


def _at_least_one(name: str, value: SupportsIndex | None) -> int | None:
    if value is None:
        return None
    count = _count(name, value, "an int or None")
    if count == 0:
        msg = f"{name}: expected 1 or more, got 0"
        raise ValueError(msg)
    return count


def _processes(value: SupportsIndex | None) -> int | None:
    if value is True:
        return processor_count()
    return value if value is None else _count("in_processes", value, "an int, True or None")


def _seconds(name: str, value: SupportsFloat | None) -> float | None:
    if value is None:
        return None
    seconds = real(value)
    if seconds is None:
        msg = f"{name}: expected seconds or None, got {type(value).__name__}"
        raise TypeError(msg)
    try:
        fits = 0 < seconds < math.inf
    except ArithmeticError:  # Decimal("nan")
        fits = False
    if not fits:
        msg = f"{name}: expected seconds above 0, got {value}"
        raise ValueError(msg)
    try:
        return max(min(float(seconds), _LONGEST), _SHORTEST)
    except OverflowError:  # a Fraction, say, may be larger than any float
        return _LONGEST


def _path(given: str | os.PathLike[str] | None) -> str | None:
    if given is None:
        return None
    path = os.fspath(given) if isinstance(given, str | os.PathLike) else given
    if not isinstance(path, str):
        msg = f"scratch_root: expected a str or a path of str, got {type(path).__name__}"
        raise TypeError(msg)
    if not path or "\0" in path:
        msg = f"scratch_root: expected a path, got {path!r}"
        raise ValueError(msg)
    return os.path.abspath(path)
