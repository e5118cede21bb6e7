"""What became of an item that an executor's worker had."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tep_parallel._engine.found import Finder
from tep_parallel._engine.plan import Plan
from tep_parallel._errors import DeadWorkerError, shown

LOST = -7  # beside enum sphttp_fate: the executor's worker ended


class FarFinder(Finder):
    """A Finder of a call that an executor's workers process."""

    elsewhere = True

    def __init__(self, call: Any, plan: Plan) -> None:
        super().__init__(call, plan)
        self._reason_of: Callable[[int], BaseException | None] = call.reason

    def _error(self, cell: int, result: Any, fate: int) -> Exception:
        if fate != LOST:
            return super()._error(cell, result, fate)
        index, item = self._numbers[cell], self._items[cell]
        msg = f"item {index} ({shown(item)}): the executor's worker that had it was lost"
        error = DeadWorkerError(msg, index=index, item=item)
        error.__cause__ = self._reason_of(cell)
        return error
