"""The items of an iterating call on their way in: pulled, and fed to children."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Iterator

from tep_parallel._engine.call import Call
from tep_parallel._engine.handing import Handing
from tep_parallel._engine.handlers import raised_by_handler
from tep_parallel._engine.plan import Plan
from tep_parallel._engine.source import NothingYetError
from tep_parallel._engine.travel import raised
from tep_parallel._engine.under_way import EXHAUSTED, PULL_RAISED, UNFED
from tep_parallel._errors import not_begun
from tep_parallel._outcome import Outcome
from tep_parallel._typing import Any

_PROTOCOL = 5  # of pickle


class Fed(Handing):
    """What is pulled in an iterating call, and what has become of it.

    Args:
        source: Where the items come from.
        ordered: See stream in run.py.
        window: How many items may be pulled ahead of the results that were fetched; None: as
            many as there are places in the plan.
    """

    def __init__(
        self,
        call: Call,
        plan: Plan,
        source: Iterator[Any],
        *,
        ordered: bool,
        window: int | None = None,
    ) -> None:
        super().__init__(call, plan, ordered=ordered)
        self._source: Iterator[Any] | None = source
        self._window = window or len(plan.items)
        # How many items may be in the call at once.
        self._most = self._window if plan.options.on_start is None else call.hands
        self._forked = call.kept
        # What was pulled and could not be fed yet: number, item, and what is fed of it.
        self._waiting: tuple[int, object, str | bytes] | None = None

    @property
    def is_idle(self) -> bool:  # type: ignore[override]
        """Whether nothing was forked, and nothing will be."""
        return self._over and not self._forked

    def start(self) -> None:
        """Pull items and feed them, while there is room and nothing else to do."""
        call = self._call
        if call.stopping and not call.aborted:
            self._stop_pulling()
            self._end_feed()
        source = call.source
        if source is not None:
            source.allow(min(self._window - self._left, self._most - self._running))
        usual = self._forked and self._waiting is None and not self._plan.options.watched
        with contextlib.suppress(NothingYetError):
            if usual and self._source is not None and not self.has_ready and not call.aborted:
                self._feed_texts()
            while not (self._over or self.has_ready or call.ready or call.aborted):
                if self._waiting is None:
                    if self._left == self._window or self._running == self._most:
                        return
                    self._pull()
                elif not self._feed(*self._waiting):
                    return
        if source is not None and source.awaited >= 0:
            self._fork()  # who waits for the first item waits for the deadline, too

    def decode(self) -> bool:
        """Decode large texts that have come. Whether to call this again soon."""
        return self._plan.options.codec is None and self._call.decode(self._texts)

    def _feed_texts(self) -> None:
        """The same for text of which nobody is told: many items at a time, in C."""
        most = self._window - self._left
        box: list[Any] = [None, None]
        pulled = self._call.pull(self._source, self._pulled, most, self._items, self._numbers, box)
        fed, why = pulled >> 2, pulled & 3
        self._pulled += fed
        self._left += fed
        self._running += fed
        item, error = box
        box.clear()
        if why == EXHAUSTED:
            self._exhausted = True
            self._stop_pulling()
        elif why == UNFED:
            self._pulled += 1
            self._left += 1
            self._admit(self._pulled - 1, item)
        elif why == PULL_RAISED:
            try:
                raise error
            finally:
                del error  # otherwise it keeps this frame, and this frame it

    def _pull(self) -> None:
        assert self._source is not None
        try:
            item = next(self._source)
        except StopIteration:
            self._exhausted = True
            self._stop_pulling()
            return
        number = self._pulled
        self._pulled += 1
        self._left += 1
        self.watch.start(number, item)
        self._admit(number, item)

    def _packed(self, number: int, item: object) -> str | bytes:  # noqa: ARG002
        """What is fed of an item: text as it is, a pickle of anything else."""
        return item if type(item) is str else pickle.dumps(item, _PROTOCOL)

    def _admit(self, number: int, item: object) -> None:
        """Make of an item what can be fed."""
        try:
            data = self._packed(number, item)
        except BaseException as error:  # the item's failure, or what a signal handler raised
            if raised_by_handler(error):
                raise
            self._fail(number, item, error)
        else:
            self._waiting = number, item, data

    def _feed(self, number: int, item: object, data: str | bytes) -> bool:
        """Put an item into a cell; whether that is possible now."""
        try:
            cell = self._call.feed(data)
        except OSError as error:
            if raised_by_handler(error):
                raise
            self._waiting = None
            self._fail(number, item, error)
            return True
        if cell < 0:
            return False
        self._waiting = None
        self._numbers[cell] = number
        self._items[cell] = item
        self._running += 1
        if self._source is None:
            self._end_feed()
        self._fork()
        return True

    def _fork(self) -> None:
        if not self._forked:
            self._forked = True
            self.prepare()
            self._call.start()

    def _fail(self, number: int, item: object, error: BaseException) -> None:
        """An item cannot be fed, and that is its failure."""
        self._takes = False  # C counts only what is fed
        failure = raised.of_this_process(error, index=number, item=item)
        outcome: Outcome[Any] = Outcome(number, item, error=failure)
        self._known[number] = outcome
        self._note(number)
        self.watch.finish(lambda: outcome)

    def _stop_pulling(self) -> None:
        self._source = None
        if self._call.source is not None:
            self._call.source.stop()
        if self._waiting is None:
            self._end_feed()

    def _end_feed(self) -> None:
        if not self._over:
            self._over = True
            self._call.end_feed()

    def _settle(self) -> set[int]:
        """After the end: see Handing."""
        unended = super()._settle()
        if self._waiting is not None:
            number, item, _ = self._waiting
            self._known[number] = Outcome(number, item, error=not_begun(number, item, stopped=True))
            self._note(number)
            unended.add(number)
        return unended
