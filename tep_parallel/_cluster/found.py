"""What a worker of an executor finds out about a chunk's items."""

from __future__ import annotations

from typing import NamedTuple

from tep_parallel._cluster.wire import Record


class Found(NamedTuple):
    """What became of a chunk's items; see Reply."""

    texts: list[str | None]
    records: dict[int, Record]
    overdue: bool = False


def nothing_begun(count: int, *, overdue: bool = False) -> Found:
    """No item was begun."""
    from tep_parallel._engine.statuses import NOT_BEGUN

    return Found([None] * count, dict.fromkeys(range(count), Record(NOT_BEGUN)), overdue)
