"""How many items a chunk has, and how many chunks are under way."""

from __future__ import annotations

LARGE = 1 << 23  # bytes that a chunk or a reply should not exceed by much
_FEW = 64  # items
_SLOW = 1e-3  # seconds that an item takes: what is told of it takes some microseconds
_LONG = 0.5  # seconds that a chunk should take
_IN_FLIGHT = 2  # chunks a worker: one that runs, one that waits for it
_FIRST = 4  # chunks under way where nobody says how many workers there are
_TELLING = 0.02  # seconds: a chunk that took less says nothing about how many workers there are


class Sizes:
    """Chunks begin small, and double until one takes half a second.

    Args:
        given: How many items a chunk has; None: that is found out.
        least: How many items a chunk has at first: as many as there are children for it.

    Attributes:
        workers: How many the executor has; None: nobody says.
    """

    def __init__(self, given: int | None, least: int) -> None:
        self._given = given
        self._least = least
        self._size = given or least
        self._in_flight = _FIRST
        self._item: float | None = None  # seconds that an item has taken of late
        self.workers: int | None = None

    @property
    def in_flight(self) -> int:
        """How many chunks may be under way."""
        return self._in_flight if self.workers is None else _IN_FLIGHT * max(self.workers, 1)

    @property
    def ahead(self) -> int:
        """How many items are worth pulling ahead of results."""
        return 2 * self.in_flight * self._size

    def tells(self, size: int) -> bool:
        """Whether it costs next to nothing to tell when and where each item of a chunk ran.

        An abort may come at any time, and its error has whatever is known by then.
        """
        return size <= _FEW if self._item is None else self._item >= _SLOW

    def next(self, left: int | None) -> int:
        """How many items the next chunk has.

        Args:
            left: How many there are to send; None: nobody knows.
        """
        if self._given is not None or left is None:
            return self._size
        return max(1, min(self._size, -(-left // self.in_flight)))

    def learn(self, size: int, length: int, spent: float, taken: float) -> None:
        """A chunk has come back.

        Args:
            size: How many items it had.
            length: How many bytes its reply has.
            spent: Seconds that its items took.
            taken: Seconds from when it was sent.
        """
        self._item = spent / size
        if self._given is None:
            if length > LARGE:
                self._size = max(1, min(self._size, size * LARGE // length))
            elif size >= self._size and 2 * spent <= _LONG and 2 * length <= LARGE:
                self._size = 2 * size
            elif spent > 2 * _LONG:
                self._size = max(self._least, min(self._size, size // 2))
        if self.workers is None and spent >= _TELLING:
            # With two chunks a worker, one waits for another before it runs.
            if taken < 1.7 * spent:
                self._in_flight += 1
            elif taken > 3 * spent:
                self._in_flight = max(_IN_FLIGHT, self._in_flight - 1)
