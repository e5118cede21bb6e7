"""The arguments of a call: their types, their defaults, and how inspect shows them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Callable, Iterable

from tep_parallel._typing import TYPE_CHECKING, Any, Literal, SupportsFloat, SupportsIndex

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from inspect import Signature

    from typing_extensions import TypedDict

    from tep_parallel._protocols import HasFileno, OnFinish, OnStart, Progress
else:  # the TypedDict of typing compiles each type, and an import would take 1 ms more

    class TypedDict:
        def __init_subclass__(cls, *, total: bool) -> None:
            """Type checkers alone care."""


OnError = Literal["stop", "finish", "kill"]
ON_ERROR: tuple[OnError, ...] = ("stop", "finish", "kill")
# What an iterating call pulls its items from: a function raises StopIteration at the end.
Items = Iterable[Any] | Callable[[], Any]
# The same for AsyncParallel.
AsyncItems = Iterable[Any] | AsyncIterable[Any] | Callable[[], Any]


class InBytes:
    """A `progress` that counts the bytes of files that have been read, and not the items.

    Args:
        progress: See Parallel. Options takes it out of here.
    """

    def __init__(self, progress: Progress | bool | None) -> None:  # noqa: FBT001
        self.progress = progress

    def update(self, n: int, /) -> None:
        """So that it is a Progress; nobody calls it."""


class DigestArguments(TypedDict, total=False):
    """The keyword arguments of Parallel that digest_files takes too."""

    in_processes: int | SupportsIndex | None
    timeout: float | SupportsFloat | None
    deadline: float | SupportsFloat | None
    retries: int | SupportsIndex
    on_error: OnError
    progress: Progress | bool | None
    executor: Executor | None
    chunk_size: int | SupportsIndex | None


class Arguments(DigestArguments, total=False):
    """The keyword arguments of Parallel, except for the codec."""

    isolation: bool
    max_items_per_child: int | SupportsIndex | None
    window: int | SupportsIndex | None
    rebuild_exceptions: bool
    scratch_root: str | os.PathLike[str] | None
    on_start: OnStart | None
    on_finish: OnFinish | None
    keep: Iterable[int | HasFileno]
    max_calls: int | SupportsIndex | None


# In the order in which they are shown.
DEFAULTS: Arguments = {
    "in_processes": None,
    "isolation": False,
    "max_items_per_child": None,
    "window": None,
    "timeout": None,
    "deadline": None,
    "retries": 0,
    "on_error": "stop",
    "rebuild_exceptions": True,
    "scratch_root": None,
    "progress": None,
    "on_start": None,
    "on_finish": None,
    "keep": (),
    "max_calls": None,
    "executor": None,
    "chunk_size": None,
}


class Shown:
    """The signature of a class that takes these options, each with its type and its default.

    inspect and help ask for it. It is made then: to import inspect takes 10 ms.
    """

    def __get__(self, instance: object, owner: type) -> Signature | None:
        maker = next(kind for kind in owner.__mro__ if "__init__" in vars(kind))
        if "__signature__" not in vars(maker):
            return None  # a subclass that takes other arguments
        from inspect import Parameter, signature

        taken = signature(vars(maker)["__init__"])
        first = [one for one in taken.parameters.values() if one.kind is not Parameter.VAR_KEYWORD]
        types = {**DigestArguments.__annotations__, **Arguments.__annotations__}
        shown = [
            Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=types[name])
            for name, default in DEFAULTS.items()
        ]
        return taken.replace(parameters=[*first[1:], *shown])
