"""Where the items of a call come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from tep_parallel._engine.arguments import Items
from tep_parallel._typing import Any

_MOMENT_MS = 100


class NothingYetError(Exception):
    """The next item has not come, and may come while results are waited for."""


class Coming:
    """An iterator of items that raises NothingYetError where the next one has not come.

    Attributes:
        waits: Whether the last item that was asked for had not come.
        descriptor: It can be read when an item may have come; -1: nothing tells of that but the
            call's own news.
    """

    waits = False
    descriptor = -1

    @property
    def ready(self) -> bool:
        """Whether something can be had of it."""
        raise NotImplementedError

    @property
    def awaited(self) -> int:
        """The descriptor to wait for now, for the next item; -1: there is none."""
        return self.descriptor if self.waits else -1

    def allow(self, room: int) -> None:
        """Let so many items be pulled that nobody has asked for."""

    def stop(self) -> None:
        """Pull no more: nobody asks for another item."""
        self.waits = False

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        raise NotImplementedError


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


def patient(source: Iterator[Any]) -> Iterator[Any]:
    """The same items, for who has nothing to do but to wait for the next."""
    while True:
        try:
            item = next(source)
        except StopIteration:
            return
        except NothingYetError:
            _await(source)
            continue
        yield item


def _await(source: Iterator[Any]) -> None:
    """Wait until an item may have come, or for a moment: a signal may come just before."""
    from select import POLLIN, poll  # few calls need it

    poller = poll()
    if isinstance(source, Coming) and source.awaited >= 0:
        poller.register(source.awaited, POLLIN)
    poller.poll(_MOMENT_MS)


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
