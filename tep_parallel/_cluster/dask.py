"""A plugin of Dask's workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from distributed.diagnostics.plugin import WorkerPlugin

if TYPE_CHECKING:
    from tep_parallel._cluster.early import Early


class BlockPlugin(WorkerPlugin):  # type: ignore[misc, unused-ignore]  # where Dask is missing
    """Enters a block on each worker of Dask, when the worker starts or the plugin comes.

    Args:
        early: What enters it.
    """

    def __init__(self, early: Early) -> None:
        self._early = early

    def setup(self, worker: Any) -> None:  # noqa: ARG002
        """The worker starts."""
        self._early.enter()

    def teardown(self, worker: Any) -> None:  # noqa: ARG002
        """The worker ends, or the plugin goes."""
        self._early.leave()
