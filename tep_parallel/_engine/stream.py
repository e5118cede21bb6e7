"""Stream: what an iterating call gives to its caller."""

from __future__ import annotations

import os
from _thread import allocate_lock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from typing_extensions import Self

T_co = TypeVar("T_co", covariant=True)


class Stream(Generic[T_co]):
    """The iterator that `imap_processes` and `as_completed` return.

    It ends what it has started, kills and reaps what still runs, and waits for that: when it is
    closed, when the garbage collector takes it, and when it raises. A process that was forked
    from this one, and has a copy, does nothing of this.

    Only one thread may advance it at a time.
    """

    __slots__ = ("__weakref__", "_advance", "_batch", "_call", "_end", "_owner", "_steps", "_turn")

    def __init__(
        self,
        call: Any,
        steps: Any,
        *,
        advance: Callable[[Any, Any], Sequence[Any]],
        end: Callable[[Any, Any], None],
    ) -> None:
        self._turn = allocate_lock()
        self._owner = os.getpid()
        # The call's handle ends the call when the collector takes it; see Call. It needs no
        # method here, which might come after it.
        self._call = call
        self._steps = steps
        self._batch: Iterator[Any] = iter(())  # what is next
        # Of drive.py, which this module does not import: importing this package must stay cheap.
        self._advance = advance
        self._end = end

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T_co:
        for value in self._batch:
            return value  # type: ignore[no-any-return]
        self._take_turn()
        try:
            batch = iter(self._advance(self._call, self._steps))
            value = next(batch)
            self._batch = batch
            return value  # type: ignore[no-any-return]
        except StopIteration as end:
            if end.value is None:
                raise
            msg = "a function of the caller's raised StopIteration"
            raise RuntimeError(msg) from end.value
        finally:
            self._turn.release()

    def close(self) -> None:
        """End the iteration, and kill and reap what still runs. A second call does nothing.

        Raises:
            ValueError: Another thread, or a function that this iterator called, does so: it is
                being advanced.
        """
        if os.getpid() != self._owner:
            return
        self._take_turn()
        try:
            self._batch = iter(())
            self._end(self._call, self._steps)
        finally:
            self._turn.release()

    def _take_turn(self) -> None:
        if not self._turn.acquire(blocking=False):
            msg = "the iterator is already being advanced"
            raise ValueError(msg)
