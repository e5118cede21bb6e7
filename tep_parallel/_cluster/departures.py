"""The items of a call on their way to an executor's workers: fed, put into chunks, and sent."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from typing import Any, NoReturn

from tep_parallel._cluster.arrivals import Arrivals
from tep_parallel._cluster.engine import SubmitError
from tep_parallel._cluster.load import Load
from tep_parallel._cluster.replies import ForgedError
from tep_parallel._cluster.sizes import LARGE
from tep_parallel._cluster.traffic import Traffic
from tep_parallel._cluster.wire import DONE, Reply
from tep_parallel._engine.plan import Plan
from tep_parallel._engine.under_way import ENOUGH, EXHAUSTED, PULL_RAISED, UNFED
from tep_parallel._errors import DeadWorkerError

_MOST_NAMED = 10  # items in a message


class Departures(Arrivals):
    """What is sent of a call. See FarCall."""

    def __init__(self, plan: Plan, traffic: Traffic, *, eager: bool, total: int | None) -> None:
        super().__init__(plan, traffic)
        self._eager = eager
        self._total = total
        self._pending: deque[str | bytes] = deque()  # fed, and not sent
        self._sent = 0
        self._no_more = False  # whether all items have been fed
        self._broken = False  # whether the executor has failed
        self._behind = -1  # which serial number nothing is begun any more, once it stops

    @property
    def hands(self) -> int:
        """How many items may be under way."""
        return self._traffic.sizes.ahead

    def feed(self, data: str | bytes) -> int:
        """Put an item into a cell, and return that."""
        cell = self._cell()
        self._pending.append(data)
        self._send(rest=not self._eager)
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
        """Pull items, and feed those that are text; see UnderWay."""
        assert source is not None
        why = ENOUGH
        fed, pause = 0, time.monotonic() + 0.001
        put = self._pending.append
        while fed < most:
            try:
                item = next(source)
            except StopIteration:
                why = EXHAUSTED
                break
            except BaseException as error:  # noqa: BLE001  # the caller raises it
                box[1] = error
                why = PULL_RAISED
                break
            if type(item) is not str:
                box[0] = item
                why = UNFED
                break
            cell = self._cell()
            put(item)
            items[cell], numbers[cell] = item, number + fed
            fed += 1
            if not fed & 63 or not self._eager:
                self._send(rest=not self._eager and time.monotonic() > pause)
                if self.ready:
                    break
        return int(fed * 4 + why)

    def end_feed(self) -> None:
        """That was the last item."""
        self._no_more = True

    def _send(self, *, rest: bool) -> None:
        """Send chunks, as many as may be under way.

        Args:
            rest: Whether to send fewer items than a chunk has, if a worker has nothing to do.
        """
        traffic = self._traffic
        sizes = traffic.sizes
        while self._pending and traffic.has_room and not self._stopping:
            left = self._options.window if self._total is None else self._total - self._sent
            size = sizes.next(left)
            if len(self._pending) < size and not (rest and traffic.in_flight < sizes.in_flight):
                return
            load = Load(self._sent, self._taken(size))
            self._sent += len(load.items)
            self._launch(load)

    def _send_again(self) -> None:
        """Send what was lost, but for what a stop keeps from being begun."""
        while (load := self._traffic.next_again()) is not None:
            if not self._stopping or load.first <= self._behind:
                self._launch(load)
            elif load.losses:  # nobody knows which of its items were begun
                self._lose(load)

    def _launch(self, load: Load) -> None:
        try:
            self._traffic.send(load)
        except SubmitError as error:
            self._raise_broken(error.reason)

    def _taken(self, size: int) -> list[str | bytes]:
        """The items of a chunk of this size: fewer if they are large."""
        taken: list[str | bytes] = []
        room = LARGE
        while self._pending and len(taken) < size and room > 0:
            taken.append(self._pending.popleft())
            room -= len(taken[-1])
        return taken

    def _hear_the_last(self) -> None:
        """Take those of the results that have come, and that would be taken next."""
        while (landed := self._traffic.landed()) is not None:
            load, future = landed
            answer = self._traffic.answer(load, future)
            if isinstance(answer, Reply) and answer.kind == DONE:
                self._arrive(load, answer)
            elif isinstance(answer, ForgedError):
                self._tampered(load)

    def _unreported(self) -> list[int]:
        """The numbers of the items of which nothing has come back."""
        heard = self._texts.keys() | self._records.keys()
        numbers = self._plan.numbers or []
        found = [numbers[cell] for cell in self._cells.values() if cell not in heard]
        if self._eager:  # and those that were not fed
            found += range(self._serial, len(numbers))
        return sorted(found)

    def _raise_broken(self, error: BaseException) -> NoReturn:
        self._broken = True
        self._hear_the_last()
        numbers = self._unreported()
        named = ", ".join(map(str, numbers[:_MOST_NAMED]))
        if len(numbers) > _MOST_NAMED:
            named += f" and {len(numbers) - _MOST_NAMED} more"
        kind = type(self._traffic.engine.executor).__name__
        why = f"{type(error).__name__}: {error}".removesuffix(": ")
        msg = f"{kind} failed ({why}): items {named} were not reported"
        raise DeadWorkerError(msg) from error
