"""What a call sends: some items, on terms that are the same for all of them."""

from __future__ import annotations

from typing import Any, NamedTuple

from tep_parallel._cluster.shipping import Bundle
from tep_parallel._cluster.wire import Chunk, Record, Reply
from tep_parallel._engine.statuses import BREAK, CUT, NOT_BEGUN, is_failure


class Terms(NamedTuple):
    """What is the same for all chunks of a call; see Chunk.

    Attributes:
        told: Whether the caller is told of more than texts in any case.
    """

    bundle: Bundle
    options: dict[str, Any]
    key_of_digests: bytes | bool | None
    on_error: str
    discard: bool
    told: bool


class Load:
    """Some items that travel together.

    Attributes:
        first: The serial number of the first.
        items: See Chunk.
        losses: How often it was lost with a worker.
        sent: When it was sent last, by time.monotonic.
        landed_ns: When its future was done, by time.monotonic_ns.
        chunk: What was sent then.
    """

    def __init__(self, first: int, items: list[str | bytes], losses: int = 0) -> None:
        self.first = first
        self.items = items
        self.losses = losses
        self.sent = 0.0
        self.landed_ns = 0
        self.chunk: Chunk | None = None
        self.with_bundle = False


class GivenBackError(Exception):
    """A worker was told to end a call that goes on, or its block has ended meanwhile."""

    def __init__(self) -> None:
        super().__init__("the executor's worker gave it back, and nobody has ended the call")


def rests_of(load: Load, reply: Reply) -> list[Load]:
    """What an executor's worker has not ended of a load, where no item of that is the reason."""
    assert load.chunk is not None
    ended = load.chunk.on_error != "finish"
    rests: list[Load] = []
    for index, item in enumerate(load.items):
        record = reply.records.get(index)
        if record is None:
            continue
        if record.fate >= BREAK or (ended and is_failure(record.fate)):
            return []
        if record.fate not in (NOT_BEGUN, CUT):
            continue
        if rests and load.first + index == rests[-1].first + len(rests[-1].items):
            rests[-1].items.append(item)
        else:
            rests.append(Load(load.first + index, [item], load.losses))
    return rests


def moved(record: Record, later: int, losses: int) -> Record:
    """What a reply says of an item, by the clock of this machine.

    Args:
        later: Nanoseconds that this clock is ahead.
        losses: See Load.
    """
    if not record.started_ns:
        return record
    return record._replace(
        started_ns=record.started_ns + later,
        ended_ns=record.ended_ns + later,
        attempts=record.attempts + losses,
    )
