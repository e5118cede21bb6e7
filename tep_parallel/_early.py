"""dask_plugin and early_entry: children of an executor's workers that are forked early."""

from __future__ import annotations

from collections.abc import Callable

from tep_parallel._parallel import Parallel
from tep_parallel._typing import TYPE_CHECKING, Any, public

if TYPE_CHECKING:
    from tep_parallel._cluster.early import Early


@public
def dask_plugin(parallel: Parallel[Any, Any]) -> Any:
    """Return a plugin for Dask that enters the block of `parallel` on each worker early.

    `client.register_plugin(dask_plugin(parallel))` does so on the workers that there are, and on
    each that comes, when it starts: before its threads run, and before its memory grows. All
    calls of this Parallel with this worker find the block there. It ends with the plugin.

    Args:
        parallel: One with executor= and in_processes=N.

    Raises:
        ImportError: Dask is not installed; it is in tep-parallel[dask].
        TypeError: The worker cannot be shipped.
        ValueError: `parallel` has no executor, or no in_processes.

    Source: WorkerPlugin of distributed.
    """
    early = _early(parallel)
    try:
        from tep_parallel._cluster.dask import BlockPlugin
    except ImportError as error:
        msg = "dask_plugin needs distributed: pip install 'tep-parallel[dask]'"
        raise ImportError(msg) from error
    return BlockPlugin(early)


@public
def early_entry(parallel: Parallel[Any, Any]) -> Callable[[], None]:
    """Return a function that enters the block of `parallel` in the process that calls it.

    It can be pickled. It is for engines whose workers call a function when they start, such as
    `initializer=` of ProcessPoolExecutor, loky and mpi4py. The block ends with the process.

    Args:
        parallel: One with executor= and in_processes=N. The executor may be any here.

    Raises:
        TypeError, ValueError: See dask_plugin.
    """
    return _early(parallel).enter


def _early(parallel: Parallel[Any, Any]) -> Early:
    if not isinstance(parallel, Parallel):
        msg = f"parallel: expected a Parallel, got {type(parallel).__name__}"
        raise TypeError(msg)
    from tep_parallel._cluster.early import Early  # it needs cloudpickle, and that an extra

    return Early(parallel.worker, parallel._options)
