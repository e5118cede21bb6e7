"""What a call is to do, set before the fork."""

from __future__ import annotations

from typing import Any, NamedTuple

from tep_parallel._engine.digest_job import Job
from tep_parallel._engine.options import Options
from tep_parallel._worker import ParallelWorker, Process


class Plan(NamedTuple):
    """See run, whose arguments these are."""

    worker: ParallelWorker | Process
    items: list[Any]
    options: Options
    on_error: str
    discard: bool
    job: Job | None

    @property
    def pool(self) -> bool:
        """Whether a child may serve several items."""
        return self.options.in_processes is not None and not self.options.isolation
