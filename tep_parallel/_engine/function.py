"""What a child of an executor calls, and how what that returns travels."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable
from functools import partial

from tep_parallel._typing import Any
from tep_parallel._worker import ParallelWorker


class Pickles:
    """The codec of results."""

    def dumps(self, value: object, /) -> bytes:
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)

    def loads(self, data: Any, /) -> Any:
        return pickle.loads(data)  # noqa: S301  # its MAC was checked


class Function(ParallelWorker):
    """What a child calls."""

    def __init__(
        self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self._given = fn, args, kwargs

    def process(self, item: str) -> Any:  # noqa: ARG002  # that only names it
        fn, args, kwargs = self._given
        return fn(*args, **kwargs)


class AfterInitializer(Function):
    """The same, behind the initializer of its executor."""

    initializer: Callable[[], object]

    def setup(self) -> None:
        self.initializer()


def function_of(
    initializer: Callable[[], object] | None,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Function:
    """A function and its arguments, and what is called first, if anything."""
    if initializer is None:
        return Function(fn, args, kwargs)
    function = AfterInitializer(fn, args, kwargs)
    function.initializer = initializer
    return function


def call_each(fn: Callable[..., Any], chunk: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Call a function for each of the arguments of a chunk."""
    return [fn(*args) for args in chunk]


def name_of(fn: object) -> str:
    """What messages call a function."""
    while isinstance(fn, partial):
        fn = fn.args[0] if fn.func is call_each else fn.func
    name = getattr(fn, "__qualname__", None)
    if not isinstance(name, str):
        name = type(fn).__qualname__
    module = getattr(fn, "__module__", None)
    return name if module in (None, "builtins", "__main__") else f"{module}.{name}"
