"""What a call sends: some items, on terms that are the same for all of them."""

from __future__ import annotations

from typing import Any, NamedTuple

from tep_parallel._cluster.shipping import Bundle
from tep_parallel._cluster.wire import Chunk


class Terms(NamedTuple):
    """What is the same for all chunks of a call; see Chunk."""

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
        chunk: What was sent then.
    """

    def __init__(self, first: int, items: list[str | bytes], losses: int = 0) -> None:
        self.first = first
        self.items = items
        self.losses = losses
        self.sent = 0.0
        self.chunk: Chunk | None = None
        self.with_bundle = False
