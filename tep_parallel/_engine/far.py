"""Where calls run that have an executor, as the faces know it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from tep_parallel._engine.call import Call
from tep_parallel._engine.fed import Fed
from tep_parallel._engine.gathering import Gathering
from tep_parallel._engine.running import Running
from tep_parallel._typing import Any, Protocol
from tep_parallel._worker import ParallelWorker, Process


class Far(Protocol):
    """Where calls run that have an executor: see run.py of _cluster, which this wing knows not."""

    def leave(self) -> None: ...

    def eager(
        self,
        worker: ParallelWorker | Process,
        items: list[Any],
        on_error: str,
        running: Running,
        left: float | None,
        *,
        discard: bool,
        whole: bool,
    ) -> tuple[Call, Gathering]: ...

    def lazy(
        self,
        worker: ParallelWorker | Process,
        source: Iterator[Any],
        on_error: str,
        running: Running,
        left: float | None,
        known: Collection[Any] | None,
        *,
        ordered: bool,
    ) -> tuple[Call, Fed]: ...
