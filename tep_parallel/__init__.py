"""Fork-based fan-out: each item in a child process of its own, results in input order."""

# Every module below needs it. Two threads that are the first to load it may get half of it (Python
# 3.13), so it is here already when several may ask for names.
import collections.abc as _loaded  # noqa: F401

TYPE_CHECKING = False  # type checkers take it for True, by its name: to import typing takes long

if TYPE_CHECKING:
    from tep_parallel._async import AsyncParallel
    from tep_parallel._control import Break, Kill
    from tep_parallel._digest import digest_files
    from tep_parallel._early import dask_plugin, early_entry
    from tep_parallel._engine.counting import processor_count, worker_number
    from tep_parallel._engine.stream import Stream
    from tep_parallel._errors import (
        AbortedError,
        DeadlineError,
        DeadWorkerError,
        ItemTimeoutError,
        ParallelError,
        TamperedResultError,
        WorkerError,
    )
    from tep_parallel._executor import ForkExecutor
    from tep_parallel._file_digest import FileDigest
    from tep_parallel._outcome import Outcome
    from tep_parallel._parallel import Parallel
    from tep_parallel._protocols import Codec, OnFinish, OnStart, Progress
    from tep_parallel._sock import Sock
    from tep_parallel._version import __version__
    from tep_parallel._worker import ParallelWorker

del TYPE_CHECKING

__all__ = [
    "AbortedError",
    "AsyncParallel",
    "Break",
    "Codec",
    "DeadWorkerError",
    "DeadlineError",
    "FileDigest",
    "ForkExecutor",
    "ItemTimeoutError",
    "Kill",
    "OnFinish",
    "OnStart",
    "Outcome",
    "Parallel",
    "ParallelError",
    "ParallelWorker",
    "Progress",
    "Sock",
    "Stream",
    "TamperedResultError",
    "WorkerError",
    "__version__",
    "dask_plugin",
    "digest_files",
    "early_entry",
    "processor_count",
    "worker_number",
]

# The modules, each of which is loaded when somebody asks for a name of it. What a child may ask
# for is loaded before the fork: see _parallel.py.
_HOMES = {
    "_async": ("AsyncParallel",),
    "_control": ("Break", "Kill"),
    "_digest": ("digest_files",),
    "_early": ("dask_plugin", "early_entry"),
    "_engine.counting": ("processor_count", "worker_number"),
    "_engine.stream": ("Stream",),
    "_errors": (
        "AbortedError",
        "DeadWorkerError",
        "DeadlineError",
        "ItemTimeoutError",
        "ParallelError",
        "TamperedResultError",
        "WorkerError",
    ),
    "_executor": ("ForkExecutor",),
    "_file_digest": ("FileDigest",),
    "_outcome": ("Outcome",),
    "_parallel": ("Parallel",),
    "_protocols": ("Codec", "OnFinish", "OnStart", "Progress"),
    "_sock": ("Sock",),
    "_version": ("__version__",),
    "_worker": ("ParallelWorker",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    # Several threads may be here at a time. An import makes them wait until the module is whole.
    module = __import__(f"{__name__}.{_HOME_OF[name]}", fromlist=[name])
    found = globals()[name] = getattr(module, name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
