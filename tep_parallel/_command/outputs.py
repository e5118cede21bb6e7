"""What the commands of `run` have printed, written where it belongs, and how they ended."""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable, Iterator

from tep_parallel._command.report import (
    CONTROLS,
    Printer,
    as_line,
    error_of,
    fields_of,
    shortened,
)
from tep_parallel._command.rows import Rows
from tep_parallel._command.template import SEPARATOR, shown
from tep_parallel._errors import ItemTimeoutError, ParallelError, message_of
from tep_parallel._outcome import Outcome
from tep_parallel._typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tep_parallel._command.journal import Journal
    from tep_parallel._command.progress import Progress

_PIECE = 1 << 20  # bytes that are copied at once

# Of index and stream, 0 or 1: a descriptor of what that command has printed; None: nothing.
Output = Callable[[int, int], int | None]


class Outputs(Rows):
    """Writes what each command has printed, whole: its standard output, then its standard error;
    then a line on standard error, if it has failed.

    Args:
        printer: Where to.
        tag: Whether each line begins with the item and a tab.
        as_json: Whether every outcome is a line of JSON instead, with what was printed.
        end: See Rows.
        journal: See Rows.
        progress: See Rows.

    Attributes:
        output: See Output; set before the first put. Of what goes straight to the command's own
            descriptors there is none.
    """

    output: Output

    def __init__(
        self,
        printer: Printer,
        *,
        tag: bool = False,
        as_json: bool = False,
        end: bytes = b"\n",
        journal: Journal | None = None,
        progress: Progress | None = None,
    ) -> None:
        super().__init__(
            printer, _nothing, as_json=as_json, end=end, journal=journal, progress=progress
        )
        self._tag = tag
        self._is_full = False  # where what a command has printed is kept
        self._ends_line = True  # what was printed on standard error
        self._lost: OSError | None = None  # why that cannot be had

    def put(self, index: int, outcome: Outcome[Any]) -> None:
        """Write what a command has printed.

        Args:
            index: The item's place in the input.
            outcome: What became of it.

        Raises:
            OSError: Standard output cannot be written to.
            RefusedError: The journal cannot be written.
        """
        if self._as_json:
            self._add_row(index, outcome)
        else:
            tag = _tag_of(outcome) if self._tag else b""
            for stream, write in enumerate((self._add, self._write_error)):
                for piece in self._pieces(outcome, stream, tag):
                    write(piece)
        self.count += 1
        error, self._lost = outcome.error or self._lost, None
        if error is not None:
            self.failed += 1
            note = " (there is no space left for what it prints)" if self._is_full else ""
            self._is_full = False
            self.complain(ended(index, outcome, error) + note)
        self._note(index, outcome, error)

    def complain(self, text: str) -> None:
        """Print a line of its own on standard error, after all output before it."""
        if not self._ends_line:
            self._write_error(b"\n")
        super().complain(text)

    def _add_row(self, index: int, outcome: Outcome[Any]) -> None:
        """Write a row, in pieces where it is large: JSON of bytes may be six times as long."""
        fields = fields_of(outcome)
        del fields["result"], fields["error"]
        fields["index"] = index
        items = str(outcome.item).split(SEPARATOR)
        if len(items) > 1:
            fields["item"] = items
        row = [as_line(fields)[:-1].encode()]
        size = 0
        for stream, name in enumerate(("stdout", "stderr")):
            row.append(f', "{name}": "'.encode())
            for text in _decoded(self._pieces(outcome, stream, b"")):
                row.append(as_line(text)[1:-1].encode())
                size += len(row[-1])
                if size >= _PIECE:
                    self._add(b"".join(row))
                    row, size = [], 0
            row.append(b'"')
        error = outcome.error or self._lost
        told = as_line(None if error is None else error_of(error))
        row.append(f', "error": {told}}}'.encode())
        self._add(b"".join(row) + self._end)

    def _pieces(self, outcome: Outcome[Any], stream: int, tag: bytes) -> Iterator[bytes]:
        """What was printed, piece by piece, up to what cannot be had."""
        pieces: Iterator[bytes] = iter(())
        try:
            descriptor = self.output(outcome.index, stream)
            if descriptor is None:
                return
            if outcome.error is not None:
                self._is_full = self._is_full or os.fstatvfs(descriptor).f_bavail == 0
            pieces = _pieces(descriptor, tag)
        except OSError as error:
            self._lost = error
        while True:
            try:
                piece = next(pieces)
            except StopIteration:
                return
            except OSError as error:
                self._lost = error
                return
            yield piece

    def _add(self, content: bytes) -> None:
        self._waiting.append(content)
        self._size += len(content)
        if self._size >= _PIECE:
            self._write()

    def _write_error(self, content: bytes) -> None:
        self._write()
        if self._progress is not None:
            self._progress.clear()
        self.writes = True
        self._printer.write_error(content)
        self._ends_line = content.endswith(b"\n")
        self.writes = False


def _nothing(outcome: Outcome[Any]) -> bytes:
    raise NotImplementedError(outcome)


def _pieces(descriptor: int, tag: bytes) -> Iterator[bytes]:
    """What was printed, piece by piece; with a tag before each line."""
    begins = True  # a line
    try:
        while piece := os.read(descriptor, _PIECE):
            if not tag:
                yield piece
                continue
            lines = piece.split(b"\n")
            whole = (b"\n" + tag).join(lines[:-1])
            first = tag if begins else b""
            begins = not lines[-1]
            if len(lines) == 1:
                yield first + piece
            else:
                yield first + whole + b"\n" + (b"" if begins else tag + lines[-1])
        if tag and not begins:
            yield b"\n"
    finally:
        os.close(descriptor)


def _decoded(pieces: Iterator[bytes]) -> Iterator[str]:
    """The same as text; bytes that are no UTF-8 are lone surrogates."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    for piece in pieces:
        yield decoder.decode(piece)
    yield decoder.decode(b"", final=True)


def _tag_of(outcome: Outcome[Any]) -> bytes:
    return os.fsencode(shown(str(outcome.item)).translate(CONTROLS)) + b"\t"


def ended(index: int, outcome: Outcome[Any], error: BaseException) -> str:
    """The line that says which command failed, and how it ended.

    Args:
        index: The item's place in the input.
        outcome: What became of it.
        error: Why it failed.
    """
    if isinstance(error, OSError) and not isinstance(error, ItemTimeoutError):
        how = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
        how += f" (exit status {outcome.exit_code})" if outcome.exit_code else ""
    elif outcome.exit_code is not None:
        how = f"exit status {outcome.exit_code}"
    elif isinstance(error, ItemTimeoutError):
        how = message_of(error).rpartition(" was ")[2]
    elif outcome.signal is not None and not _is_cut(outcome):
        import signal  # few commands need it

        how = f"killed by signal {outcome.signal} ({signal.strsignal(outcome.signal)})"
    else:
        how = message_of(error).rpartition(": ")[2]
    tries = f", attempt {outcome.attempts}" if outcome.attempts > 1 else ""
    return f"item {index} ({shortened(shown(str(outcome.item)))}): {how}{tries}"


def _is_cut(outcome: Outcome[Any]) -> bool:
    error = outcome.error
    return isinstance(error, ParallelError) and "cut short" in str(error)
