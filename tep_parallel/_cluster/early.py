"""Blocks that an executor's workers enter when they start, before they have threads and memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tep_parallel._cluster import kept
from tep_parallel._cluster.run import far_options
from tep_parallel._cluster.shipping import bundled

if TYPE_CHECKING:
    from tep_parallel._engine.options import Options
    from tep_parallel._worker import ParallelWorker, Process


class Early:
    """What enters the block of a worker with its options in another process.

    Args:
        worker: The worker.
        options: Those of its Parallel.

    Raises:
        TypeError: The worker cannot be shipped.
        ValueError: There are to be no children on the executor's workers.
    """

    def __init__(self, worker: ParallelWorker | Process, options: Options) -> None:
        if options.executor is None or not options.in_processes:
            msg = "parallel: expected one with executor= and in_processes=N: only then are there "
            msg += "children to fork early"
            raise ValueError(msg)
        self._bundle = bundled(worker, options.codec)
        self._options: dict[str, Any] = far_options(options)

    def enter(self) -> None:
        """Fork the server of the block."""
        kept.enter(self._bundle.hash, self._bundle.data, self._options)

    def leave(self) -> None:
        """End it.

        Raises:
            Exception: What a teardown has raised.
        """
        kept.leave(self._bundle.hash, self._options)
