"""What becomes of the items of `map` and `run`: their output, their failures, the journal."""

from __future__ import annotations

from collections.abc import Callable

from tep_parallel._command.report import Printer, as_line, failure, fields_of, shortened
from tep_parallel._outcome import Outcome
from tep_parallel._typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tep_parallel._command.journal import Journal
    from tep_parallel._command.progress import Progress

_MUCH = 1 << 16  # bytes of output that wait for more


class Rows:
    """Writes what is handed to it, in that order. It waits with that while there is more.

    Args:
        printer: Where to.
        shown: Of an outcome that did not fail: its output.
        as_json: Whether every outcome is a line of JSON instead.
        end: What ends a row of JSON.
        journal: Told of each item once its output has been written; None: there is none.
        progress: Told of each item; None: nobody wants to see that.

    Attributes:
        count: How many outcomes there were...
        failed: ...and how many of them failed.
        writes: Whether output is written just now; that may take long.
    """

    def __init__(
        self,
        printer: Printer,
        shown: Callable[[Outcome[Any]], bytes],
        *,
        as_json: bool = False,
        end: bytes = b"\n",
        journal: Journal | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.count = self.failed = 0
        self.writes = False
        self._printer = printer
        self._shown = shown
        self._as_json = as_json
        self._end = end
        self._journal = journal
        self._progress = progress
        self._waiting: list[bytes] = []
        self._size = 0

    def put(self, index: int, outcome: Outcome[Any]) -> None:
        """Write the output of an item; of one that failed, a line on standard error.

        Args:
            index: The item's place in the input.
            outcome: What became of it; its item is a str.

        Raises:
            OSError: Standard output cannot be written to.
            RefusedError: The journal cannot be.
        """
        error = outcome.error
        row = b""
        try:
            if self._as_json:
                fields = fields_of(outcome)
                fields["index"] = index
                row = as_line(fields).encode() + self._end
            elif error is None:
                row = self._shown(outcome)
        except UnicodeEncodeError as unprintable:
            error = unprintable
        self.count += 1
        self._waiting.append(row)
        self._size += len(row)
        if error is not None:
            self.failed += 1
            self.complain(failure(shortened(str(outcome.item)), error))
        self._note(index, outcome, error)

    def _note(self, index: int, outcome: Outcome[Any], error: BaseException | None) -> None:
        """The output of an item waits to be written: tell of the item."""
        if self._journal is not None:
            self._journal.note(index, outcome, error)
        if self._progress is not None:
            self._progress.update(self.count, self.failed)
        if self._size >= _MUCH:
            self.flush()

    def complain(self, text: str) -> None:
        """Print a line on standard error, after all output before it."""
        self._write()
        if self._progress is not None:
            self._progress.clear()
        self.writes = True
        self._printer.complain(text)
        self.writes = False

    def flush(self) -> None:
        """Write what waits.

        Raises:
            OSError, RefusedError: See put.
        """
        self._write()
        if self._journal is not None:
            self._journal.flush()

    def _write(self) -> None:
        content = b"".join(self._waiting)
        self._waiting.clear()
        self._size = 0
        if content:
            self.writes = True
            self._printer.write(content)
            self.writes = False
