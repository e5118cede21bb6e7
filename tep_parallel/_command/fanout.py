"""One call of `map` or `run`: drive it to its end, and write what comes of it meanwhile."""

from __future__ import annotations

from collections.abc import Iterable

from tep_parallel._command.given import RefusedError
from tep_parallel._command.interrupt import Interrupt
from tep_parallel._command.items import Source
from tep_parallel._command.options import in_its_words
from tep_parallel._command.order import InOrder
from tep_parallel._command.report import failure
from tep_parallel._command.rows import Rows
from tep_parallel._engine.options import Options
from tep_parallel._engine.run import stream, stream_far
from tep_parallel._engine.running import Running
from tep_parallel._engine.stream import has_more
from tep_parallel._errors import AbortedError, DeadlineError, message_of
from tep_parallel._file_digest import job_of
from tep_parallel._outcome import Outcome
from tep_parallel._typing import TYPE_CHECKING, Any
from tep_parallel._worker import ParallelWorker, Process

if TYPE_CHECKING:
    from tep_parallel._engine.stream import Stream


class FanOut:
    """A call that is under way.

    Args:
        source: Its items.
        rows: What writes its output.
        ordered: Whether in the order of the items; else as they end.
    """

    def __init__(self, source: Source, rows: Rows, *, ordered: bool) -> None:
        self._source = source
        self._rows = rows
        self._order = InOrder() if ordered else None

    def run(self, worker: ParallelWorker | Process, options: Options) -> bool:
        """Run the worker on every item. Whether none failed, and all could be read.

        A signal that ends this process ends the call first, and what had ended is written.

        Raises:
            OSError: Standard output cannot be written to.
            RefusedError: The system refused what the call needs; or the journal.
            WrongUsageError: The items are not those of the journal.
        """
        running = Running()
        abort = None if options.in_processes == 0 else running.abort
        rows = self._rows
        with Interrupt(abort, lambda: rows.writes) as interrupt:
            try:
                outcomes = self._begun(worker, options, running)
                try:
                    well = self._drive(outcomes)
                finally:
                    outcomes.close()
            except KeyboardInterrupt:
                if not rows.writes:
                    rows.flush()
                interrupt.die()
            except AbortedError:
                interrupt.die()
            if interrupt.number:
                interrupt.die()
        if self._source.error is not None:
            raise self._source.error
        return well

    def _begun(
        self, worker: ParallelWorker | Process, options: Options, running: Running
    ) -> Stream[Outcome[Any]]:
        try:
            if options.executor is not None:
                from tep_parallel._cluster.run import Far

                given = Far(options, job_of), worker, self._source, options, running
                return stream_far(*given, options.on_error, ordered=False)
            return stream(worker, self._source, options, running, options.on_error, ordered=False)
        except OSError as error:
            raise RefusedError(in_its_words(error)) from error

    def _drive(self, outcomes: Stream[Outcome[Any]]) -> bool:
        while True:
            try:
                outcome = next(outcomes)
            except StopIteration:
                break
            except AbortedError as error:
                self._write_all(error.outcomes)  # while the call still has what was printed
                raise
            except DeadlineError as error:
                self._write_all(error.outcomes)
                self._rows.complain(f"--deadline: {message_of(error)}")
                return False
            except OSError as error:
                self._write_all([])
                raise RefusedError(in_its_words(error)) from error
            except Exception as error:  # noqa: BLE001  # setup and teardown may raise anything
                self._write_all([])
                self._rows.complain(failure("setup or teardown", error))
                return False
            self._take(outcome)
            if not has_more(outcomes):
                self._rows.flush()
        self._write_all([])
        unended = self._source.begun - self._rows.count
        if self._rows.failed and unended:
            self._rows.complain(f"{unended} more items were not begun, or have not ended")
        return self._rows.failed == 0

    def _take(self, outcome: Outcome[Any]) -> None:
        order = self._order
        if order is None:
            self._write(outcome)
            return
        for each in order.put(outcome.index, outcome):
            self._write(each)

    def _write(self, outcome: Outcome[Any]) -> None:
        self._rows.put(self._source.index_of(outcome.index), outcome)
        self._source.printed += 1

    def _write_all(self, outcomes: Iterable[Outcome[Any]]) -> None:
        """Write these, and what waited for its turn: there will be no more."""
        for outcome in outcomes:
            self._take(outcome)
        if self._order is not None:
            for each in self._order.rest():
                self._write(each)
        self._rows.flush()
