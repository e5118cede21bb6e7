"""What a call is to do, set before the fork."""

from __future__ import annotations

from collections.abc import Collection

from tep_parallel._engine.digest_job import Job
from tep_parallel._engine.options import Options
from tep_parallel._engine.running import Running
from tep_parallel._typing import Any, NamedTuple
from tep_parallel._worker import ParallelWorker, Process


class Plan(NamedTuple):
    """What a call is to do. For most of it see run.

    Attributes:
        items: The items. In a fed call, which pulls its items while it is under way: a place
            for each item that may be between its source and the caller.
        running: Where the call is entered while abort can end it.
        numbers: In a fed call: the number of the item that is in each place.
        discard: None: each call of a block says that for itself.
        texts: In a call of a block: where C puts what the items have returned.
        grouped: Of a call whose items are commands: whether what each prints is kept; None:
            they are none.
        known: What the caller is told of how many items there are; None: nothing.
    """

    worker: ParallelWorker | Process
    items: list[Any]
    options: Options
    on_error: str
    running: Running
    discard: bool | None = False
    job: Job | None = None
    numbers: list[int] | None = None
    known: Collection[Any] | None = None
    texts: list[str | None] | None = None
    grouped: bool | None = None

    @property
    def fed(self) -> bool:
        """Whether items come while the call is under way."""
        return self.numbers is not None

    @property
    def pool(self) -> bool:
        """Whether a child may serve several items."""
        return self.options.pool
