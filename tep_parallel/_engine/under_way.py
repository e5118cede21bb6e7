"""What goes on in a call of the C core while its children run."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from functools import partial

from tep_parallel._engine.native import fail, lib
from tep_parallel._engine.results import Results
from tep_parallel._typing import Any

_next = lib.sphttp_call_next
_ready = lib.sphttp_call_ready
_pull = lib.py_call_pull
_take = lib.py_call_take
_decode = lib.py_call_decode
ENOUGH: int = lib.SPHTTP_ENOUGH
EXHAUSTED: int = lib.SPHTTP_EXHAUSTED
UNFED: int = lib.SPHTTP_UNFED
PULL_RAISED: int = lib.SPHTTP_PULL_RAISED


class UnderWay(Results):
    """A call that is under way: what may start in it, and what has ended."""

    @property
    def bytes_read(self) -> int:
        """How many bytes of files have been read so far. Needs SPHTTP_TELL."""
        return int(lib.sphttp_call_bytes(self.handle))

    @property
    def hands(self) -> int:
        """How many items the children may process at one time, all together."""
        return int(lib.sphttp_call_hands(self.handle))

    def allow(self, mark: int) -> None:
        """Let the items below `mark` start. If this is never called, all may."""
        lib.sphttp_call_allow(self.handle, mark)

    @property
    def ready(self) -> bool:
        """Whether items have ended of which nobody has heard. It costs no system call."""
        return bool(_ready(self.handle))

    def committed(self, index: int) -> bool:
        """Whether a child has committed an item. Any thread may ask."""
        return bool(lib.sphttp_call_committed(self.handle, index))

    def fresh(self) -> Iterator[int]:
        """The items that have ended since the last call of this, in the order of their ends."""
        return iter(partial(_next, self.handle), -1)

    def stop(self) -> None:
        """Let no more items start; what runs may end."""
        lib.sphttp_call_stop(self.handle)

    @property
    def stopping(self) -> bool:
        """Whether no more items will start."""
        return bool(lib.sphttp_call_stopping(self.handle))

    @property
    def overdue(self) -> bool:
        """Whether the call was ended at its deadline."""
        return bool(lib.sphttp_call_overdue(self.handle))

    def descriptor(self) -> int:
        """A descriptor that is readable when there is something to do; -1: the nursery is gone."""
        descriptor: int = lib.sphttp_call_descriptor(self.handle)
        if descriptor < -1:
            fail(descriptor, "preparing to wait")
        return descriptor

    def feed(self, data: str | bytes) -> int:
        """Put an item into a cell, and return that; below 0: try again when an item has ended.

        Args:
            data: Text is an item itself; bytes are the pickle of one.

        Raises:
            OSError: No memory, or the item is too large.
        """
        cell: int = lib.py_call_feed(self.handle, id(data))
        if cell < 0 and cell != -errno.EAGAIN:
            fail(cell, "feeding an item")
        return cell

    def pull(
        self,
        source: Iterator[Any] | None,
        number: int,
        most: int,
        items: list[Any],
        numbers: list[int],
        box: list[Any],
    ) -> int:
        """Pull items, and feed those that are text; see py_call_pull."""
        pulled: int = _pull(self.handle, id(source), number, most, id(items), id(numbers), id(box))
        return pulled

    def take(
        self, number: int, items: list[Any], numbers: list[int], large: list[Any]
    ) -> list[str]:
        """The texts of the items from `number` on that have ended; see py_call_take."""
        texts: list[str] = []
        _take(self.handle, number, id(texts), id(items), id(numbers), id(large))
        return texts

    def decode(self, texts: list[Any]) -> bool:
        """Before `fresh`: decode large texts. Whether to call this again; see py_call_decode."""
        return bool(_decode(self.handle, id(texts)))

    def end_feed(self) -> None:
        """That was the last item."""
        lib.sphttp_call_end_feed(self.handle)

    def release(self, cell: int) -> None:
        """The result in `cell` has been fetched: another item may have it."""
        lib.sphttp_call_release(self.handle, cell)
