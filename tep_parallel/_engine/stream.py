"""Stream: what an iterating call gives to its caller."""

from __future__ import annotations

import errno
import os

from tep_parallel._typing import TYPE_CHECKING, Any, Generic, TypeVar, public

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

T_co = TypeVar("T_co", covariant=True)


@public
class Stream(Generic[T_co]):
    """The iterator that `imap_processes` and `as_completed` return.

    It ends what it has started, kills and reaps what still runs, and waits for that: when it is
    closed, when the garbage collector takes it, and when it raises. A process that was forked
    from this one, and has a copy, does nothing of this.

    Only one thread may advance it at a time.
    """

    __slots__ = (
        "__weakref__",
        "_advance",
        "_call",
        "_end",
        "_flow",
        "_out",
        "_owner",
        "_steps",
        "_turn",
    )

    def __init__(
        self,
        call: Any,
        steps: Any,
        *,
        advance: Callable[[Any, Any], None],
        end: Callable[[Any, Any], None],
        flow: Any = None,
    ) -> None:
        # Whose turn it is, if it is somebody's. Not a lock: a signal handler may raise when one
        # has just been taken.
        self._turn: dict[int, object] = {}
        self._owner = os.getpid()
        # The call's handle ends the call when the collector takes it; see Call. It needs no
        # method here, which might come after it.
        self._call = call
        self._steps = steps
        self._out = call.out  # what is next
        # Of drive.py, which this module does not import: importing this package must stay cheap.
        self._advance = advance
        self._end = end
        self._flow = flow  # of items that children process

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T_co:
        while True:
            try:
                return self._out.popleft()  # type: ignore[no-any-return]
            except IndexError:
                pass
            self._step()

    def _step(self) -> None:
        if os.getpid() != self._owner:
            msg = "the iterator is that of the process that this one was forked from"
            raise ChildProcessError(errno.ECHILD, msg)
        try:
            self._in_turn(self._advance)
        except StopIteration as end:
            if end.value is None:
                raise
            msg = "a function of the caller's raised StopIteration"
            raise RuntimeError(msg) from end.value

    def close(self) -> None:
        """End the iteration, and kill and reap what still runs. A second call does nothing.

        Raises:
            ValueError: Another thread, or a function that this iterator called, does so: it is
                being advanced.
        """
        if os.getpid() != self._owner:
            return
        self._in_turn(self._clear_and_end)

    def _clear_and_end(self, call: Any, steps: Any) -> None:
        self._out.clear()
        self._end(call, steps)

    def _in_turn(self, act: Callable[[Any, Any], None]) -> None:
        token = object()
        try:
            if self._turn.setdefault(0, token) is not token:
                msg = "the iterator is already being advanced"
                raise ValueError(msg)
            act(self._call, self._steps)
        finally:
            # No call here, behind which a signal handler could raise: nobody else would do it.
            if 0 in self._turn and self._turn[0] is token:
                del self._turn[0]


def has_more(stream: Stream[Any]) -> bool:
    """Whether there is a result that nobody has to wait for; outside blocks."""
    return bool(stream._out) or (stream._flow is not None and stream._flow.has_ready)
