"""What ends in any order, in the order in which it began."""

from __future__ import annotations

from collections.abc import Iterator

from tep_parallel._typing import Any


class InOrder:
    """Numbered things, from 0, handed on one after the other.

    Attributes:
        next: The number of the next that is handed on.
    """

    def __init__(self) -> None:
        self.next = 0
        self._kept: dict[int, Any] = {}

    def put(self, number: int, thing: Any) -> Iterator[Any]:
        """Take one; hand on all whose turn it is now."""
        self._kept[number] = thing
        while self.next in self._kept:
            self.next += 1
            yield self._kept.pop(self.next - 1)

    def rest(self) -> Iterator[Any]:
        """Those that wait for one that will not come."""
        for number in sorted(self._kept):
            yield self._kept.pop(number)
