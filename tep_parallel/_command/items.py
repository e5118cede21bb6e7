"""Where the items of `map` and `run` come from: words, standard input, a file."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator

from tep_parallel._command.given import STANDARD_INPUT, RefusedError, WrongUsageError
from tep_parallel._command.report import failure
from tep_parallel._engine.source import Coming, NothingYetError

_AT_ONCE = 1 << 16  # bytes that are read in one piece...
_PIECES = 16  # ...and pieces of one long item, before somebody else may go on
_AHEAD = 4096  # items that are begun before the output of the first of them is written


class Lines(Coming):
    """The items that come through a descriptor, each ended by the same byte; text, undecodable
    bytes escaped. The last one need not be ended.

    Args:
        descriptor: It may be of any kind, also in non-blocking mode.
        end: The byte.
    """

    def __init__(self, descriptor: int, end: bytes) -> None:
        self.descriptor = descriptor
        self._end = end
        self._whole: Iterator[bytes] = iter(())
        self._begun: list[bytes] = []  # pieces of an item that has not ended
        self._over = False
        from select import POLLIN, poll  # where items are words, nobody needs it

        self._poll = poll()
        self._poll.register(descriptor, POLLIN)
        self._encoding = sys.getfilesystemencoding()
        self._errors = sys.getfilesystemencodeerrors()

    @property
    def ready(self) -> bool:
        """Whether it can be read, or its end seen."""
        return self._over or bool(self._poll.poll(0))

    def __next__(self) -> str:
        """The next item.

        Raises:
            NothingYetError: It has not come.
            OSError: The descriptor cannot be read.
        """
        for item in self._whole:
            self.waits = False
            return item.decode(self._encoding, self._errors)
        self._read()
        return self.__next__()

    def _read(self) -> None:
        """Read up to the end of an item."""
        for _ in range(_PIECES):
            piece = self._piece()
            if piece is None:
                break
            whole, end, rest = piece.rpartition(self._end)
            if not piece:
                self._whole = iter([b"".join(self._begun)] if any(self._begun) else [])
                self._begun = []
            elif end:
                self._whole = iter((b"".join(self._begun) + whole).split(self._end))
                self._begun = [rest]
            else:
                self._begun.append(piece)
                continue
            return
        self.waits = True
        raise NothingYetError

    def _piece(self) -> bytes | None:
        """Some bytes; none at the end; None: they have not come."""
        if self._over:
            raise StopIteration
        if not self._poll.poll(0):
            return None
        try:
            piece = os.read(self.descriptor, _AT_ONCE)
        except BlockingIOError:  # somebody else was quicker
            return None
        self._over = not piece
        return piece


class Source(Coming):
    """The items that a call is given. What cannot be read, or is not what it was when a journal
    was written, ends them: then the call ends as well as it can, and `error` says why.

    Args:
        given: The items in input order; an iterator that may raise NothingYetError.
        is_done: Of index and item: whether that need not be run. It may raise WrongUsageError.
        indices: The places of the items in the input; None: from 0.

    Attributes:
        begun: How many the call has been given...
        printed: ...and of how many of them the output has been written: set by who does that.
        skipped: How many need not be run.
        total: How many there are, the skipped ones included; None: that is not known yet.
    """

    def __init__(
        self,
        given: Iterable[str],
        is_done: Callable[[int, str], bool] | None = None,
        indices: Iterable[int] | None = None,
    ) -> None:
        self.begun = self.printed = self.skipped = 0
        self.total = len(given) if isinstance(given, list) else None
        self.error: Exception | None = None
        self._given = iter(given)
        self._is_done = is_done
        self._indices = None if indices is None else iter(indices)
        self._places: dict[int, int] = {}  # by the number that the call knows

    @property
    def ready(self) -> bool:
        """Whether something can be had of it."""
        given = self._given
        return self._is_open() and (not isinstance(given, Coming) or given.ready)

    def place_of(self, number: int) -> int:
        """The same, before that is asked for."""
        return self._places.get(number, number)

    def index_of(self, number: int) -> int:
        """The place in the input of an item that the call knows by this number. It is asked for
        once."""
        return self._places.pop(number, number)

    def __next__(self) -> str:
        if not self._is_open():
            self.waits, self.descriptor = True, -1  # the call's news are that output was written
            raise NothingYetError
        try:
            item = self._next()
        except NothingYetError:
            assert isinstance(self._given, Coming)
            self.waits, self.descriptor = True, self._given.descriptor
            raise
        except (OSError, WrongUsageError) as error:
            self.error = error
            if isinstance(error, OSError):
                self.error = RefusedError(f"items: {error.strerror}")
            self._given = iter(())
            raise StopIteration from None
        self.waits = False
        self.begun += 1
        return item

    def _is_open(self) -> bool:
        return self.begun - self.printed < _AHEAD

    def _next(self) -> str:
        while True:
            try:
                item = next(self._given)
            except StopIteration:
                self.total = self.begun + self.skipped
                raise
            index = self.begun + self.skipped
            if self._indices is not None:
                index = next(self._indices)
            if self._is_done is not None and self._is_done(index, item):
                self.skipped += 1
                continue
            if index != self.begun:
                self._places[self.begun] = index
            return item


def lines_of(path: str, end: bytes) -> Lines:
    """The items in a file, or with `-` those of standard input.

    Raises:
        WrongUsageError: It cannot be opened, or is a directory.
    """
    name = "standard input" if path == STANDARD_INPUT else path
    try:
        if path != STANDARD_INPUT:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        elif sys.stdin is None:  # the shell's <&-
            raise OSError(errno.EBADF, "closed")
        else:
            descriptor = 0
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    except OSError as error:
        if error.filename is None:
            error.filename = name
        msg = f"items: {failure(name, error)}"
        raise WrongUsageError(msg) from error
    return Lines(descriptor, end)
