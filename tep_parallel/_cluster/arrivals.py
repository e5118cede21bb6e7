"""What has come back of a call's items, by cell: as C has it of a call with children here."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from tep_parallel._cluster.finder import LOST
from tep_parallel._cluster.load import Load, moved
from tep_parallel._cluster.traffic import Traffic
from tep_parallel._cluster.wire import Record, Reply
from tep_parallel._engine.call import Call
from tep_parallel._engine.plan import Plan
from tep_parallel._engine.statuses import (
    BREAK,
    CUT,
    DISCARDED,
    KILL,
    NOT_BEGUN,
    RETURNED,
    TAMPERED,
    is_failure,
)
from tep_parallel._engine.waits import FAREWELL
from tep_parallel._outcome import this_host

_PLAIN, _DROPPED = Record(RETURNED, attempts=1), Record(DISCARDED, attempts=1)
_NOTHING = Record(NOT_BEGUN)


class Arrivals(Call):
    """The results of a call that an executor's workers process. See FarCall."""

    kept = True

    def __init__(self, plan: Plan, traffic: Traffic) -> None:
        # It opens no call, and so Call.__init__ is not called.
        self.aborted = False
        self.out: deque[Any] = deque()
        self._begun = True
        self._running = plan.running
        self._plan = plan
        self._options = plan.options
        self._traffic = traffic
        self._stopping = self._overdue = False
        self._eager = False
        self._unused = 0  # cells from here on were never used
        self._free: list[int] = []
        self._serial = 0  # of the next item
        self._cells: dict[int, int] = {}  # by serial number
        self._serials: dict[int, int] = {}  # by cell
        self._next = 0  # the serial number of the first that was not taken
        self._texts: dict[int, str | None] = {}  # by cell, as the records
        self._records: dict[int, Record] = {}
        self._hosts: dict[int, str] = {}
        self._reasons: dict[int, BaseException] = {}  # why a worker was lost that had it
        self._fresh: dict[int, None] = {}  # the cells of those of which nobody has heard
        self._of_call = _NOTHING

    def stop(self, behind: int = 0) -> None:
        """Let no more items start; what runs may end."""
        raise NotImplementedError

    def _cut_short(self, seconds: float) -> None:
        raise NotImplementedError

    def leave_if_child(self) -> None:
        """A fork of this process has a copy, and nobody drives it."""

    def _cell(self) -> int:
        """A cell for the next item."""
        if self._free:
            cell = self._free.pop()
        else:
            cell = self._unused
            self._unused += 1
            if cell == len(self._plan.items):
                self._grow()
        self._cells[self._serial] = cell
        self._serials[cell] = self._serial
        self._serial += 1
        return cell

    def _grow(self) -> None:
        plan = self._plan
        assert plan.numbers is not None
        assert plan.texts is not None
        plan.items.append(None)
        plan.numbers.append(-1)
        plan.texts.append(None)

    def release(self, cell: int) -> None:
        """The result in `cell` has been fetched: another item may have it."""
        del self._cells[self._serials.pop(cell)]
        self._texts.pop(cell, None)
        self._records.pop(cell, None)
        self._hosts.pop(cell, None)
        self._reasons.pop(cell, None)
        self._fresh.pop(cell, None)
        self._free.append(cell)

    @property
    def ready(self) -> bool:
        """Whether items have ended of which nobody has heard."""
        return bool(self._fresh) or self._traffic.has_landed

    @property
    def stopping(self) -> bool:
        """Whether no more items will start."""
        return self._stopping

    @property
    def overdue(self) -> bool:
        """Whether the call was ended at its deadline."""
        return self._overdue

    @property
    def unready(self) -> tuple[int, int]:
        """The first child that ended in its setup; see Results."""
        return self._of_call.pid, self._of_call.wait_status

    @property
    def overstayed(self) -> tuple[int, int]:
        """Workers warn of those by themselves."""
        return 0, 0

    def decode(self, texts: list[Any]) -> bool:  # noqa: ARG002
        """There is nothing to decode."""
        return False

    def gives_back(self) -> bool:
        """There is nothing to give back."""
        return False

    def fresh(self) -> Iterator[int]:
        """The items that have ended since the last call of this."""
        fresh, self._fresh = self._fresh, {}
        return iter(fresh)

    def fill(self, texts: list[Any]) -> int:
        """Put the text of each item that returned one in its place."""
        for cell in self._fresh:
            texts[cell] = self._texts.get(cell)
        return 0

    def take(
        self,
        number: int,
        items: list[Any],
        numbers: list[int],
        large: list[Any],  # noqa: ARG002
    ) -> list[Any]:
        """The texts of the items from `number` on that have ended, up to the first that has
        none; see UnderWay."""
        taken: list[Any] = []
        while self._next < self._serial:
            cell = self._cells.get(self._next)
            if cell is not None:
                if numbers[cell] != number or cell not in self._texts:
                    break
                taken.append(self._texts[cell])
                number += 1
                items[cell], numbers[cell] = None, -1
                self.release(cell)
            self._next += 1
        return taken

    def result(self, index: int) -> Any:
        """What became of the item in a cell; of the call, behind the last."""
        if index in self._texts:
            return _PLAIN if self._texts[index] is not None else _DROPPED
        if index == len(self._plan.items):
            return self._of_call
        return self._records.get(index, _NOTHING)

    def host(self, index: int) -> str:
        """The machine on which the item was processed."""
        return self._hosts.get(index) or this_host()

    def reason(self, index: int) -> BaseException | None:
        """What the engine has raised for an item whose worker was lost."""
        return self._reasons.get(index)

    def text(self, index: int, result: Any) -> str:
        """What the item returned.

        Raises:
            UnicodeDecodeError: No child of the library has written that.
        """
        text = self._texts.get(index)
        return str(result.said, "utf-8", "surrogatepass") if text is None else text

    def payload(self, index: int, result: Any) -> bytes:  # noqa: ARG002
        """What a child has sent."""
        return result.said  # type: ignore[no-any-return]

    def _arrive(self, load: Load, reply: Reply) -> None:
        """A chunk has come back."""
        first, cells, texts, fresh = load.first, self._cells, self._texts, self._fresh
        records = reply.records
        for index, text in enumerate(reply.texts):
            if text is None and index in records:
                continue
            cell = cells[first + index]
            texts[cell] = text
            fresh[cell] = None
        later = load.landed_ns - reply.now_ns  # than by the clock there
        for index, record in records.items():
            if index == len(load.items):
                self._of_call = record
                self._cut_short(FAREWELL)
                continue
            cell = cells[first + index]
            self._hosts[cell] = reply.host
            self._put(cell, moved(record, later, load.losses))
        if reply.overdue:
            self._overdue = True

    def _put(self, cell: int, record: Record) -> None:
        fate = record.fate
        self._records[cell] = record
        if fate in (NOT_BEGUN, CUT):
            return
        self._fresh[cell] = None
        if fate >= BREAK:
            self._cut_short(FAREWELL) if fate & KILL else self.stop(self._serials[cell])
        elif is_failure(fate):
            if self._plan.on_error == "kill":
                self._cut_short(FAREWELL)
            elif self._eager and self._plan.on_error == "stop":
                self.stop(self._serials[cell])

    def _tampered(self, load: Load) -> None:
        """What has come back of a chunk is not what was sent."""
        for serial in range(load.first, load.first + len(load.items)):
            self._put(self._cells[serial], Record(TAMPERED, attempts=1))

    def _lose(self, load: Load, why: BaseException | None = None) -> None:
        """The worker that had a chunk is lost.

        Args:
            why: What the engine has raised; None: nobody waits for the chunk any more.
        """
        record = Record(CUT if why is None else LOST, attempts=max(1, load.losses))
        for serial in range(load.first, load.first + len(load.items)):
            cell = self._cells[serial]
            if why is not None:
                self._reasons[cell] = why
            self._put(cell, record)
