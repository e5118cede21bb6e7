"""Where the items of a call come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from tep_parallel._engine.arguments import Items
from tep_parallel._typing import Any


class NothingYetError(Exception):
    """The next item has not come, and may come while results are waited for."""


def list_of(items: Iterable[Any]) -> list[Any]:
    """The items of an eager call.

    Raises:
        TypeError: `items` is one str or bytes, or is not iterable.
    """
    _refuse_text(items)
    try:
        return list(items)
    except TypeError as error:
        if hasattr(type(items), "__iter__"):
            raise  # the iterable's own
        msg = f"items: expected an iterable of items, got {type(items).__name__}"
        raise TypeError(msg) from error


def source_of(items: Items) -> Iterator[Any]:
    """An iterator of the items.

    Raises:
        TypeError: `items` is one str or bytes, or is neither iterable nor callable.
    """
    _refuse_text(items)
    try:
        return iter(items)  # type: ignore[arg-type]
    except TypeError as error:
        if hasattr(type(items), "__iter__"):
            raise  # the iterable's own
        if callable(items):
            return _called(items)
        msg = "items: expected an iterable of items, or a function that returns one item at a "
        msg += f"time, got {type(items).__name__}"
        raise TypeError(msg) from error


def _called(function: Callable[[], Any]) -> Iterator[Any]:
    while True:
        try:
            item = function()
        except StopIteration:
            return
        yield item


def _refuse_text(items: object) -> None:
    if isinstance(items, str | bytes | bytearray):  # list("abc") would fork three children
        msg = f"items: expected an iterable of items, got one {type(items).__name__}"
        raise TypeError(msg)
