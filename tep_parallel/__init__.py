"""Fork-based fan-out: each item in a child process of its own, results in input order."""

from typing import TYPE_CHECKING as _TYPE_CHECKING

from tep_parallel._control import Break, Kill
from tep_parallel._digest import digest_files
from tep_parallel._engine.arguments import OnFinish, OnStart, Progress
from tep_parallel._engine.codec import Codec
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
from tep_parallel._file_digest import FileDigest
from tep_parallel._outcome import Outcome
from tep_parallel._parallel import Parallel
from tep_parallel._sock import Sock
from tep_parallel._version import __version__
from tep_parallel._worker import ParallelWorker

if _TYPE_CHECKING:
    from tep_parallel._async import AsyncParallel
    from tep_parallel._early import dask_plugin, early_entry
    from tep_parallel._executor import ForkExecutor

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

# Where the names are that need asyncio, cloudpickle or the like, whose import takes longer than a
# call, or that need what may not be installed.
_LATE = {
    "AsyncParallel": "tep_parallel._async",
    "ForkExecutor": "tep_parallel._executor",
    "dask_plugin": "tep_parallel._early",
    "early_entry": "tep_parallel._early",
}


def __getattr__(name: str) -> object:
    if name not in _LATE:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module

    found = getattr(import_module(_LATE[name]), name)
    found.__module__ = __name__
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


# Tracebacks, logs and pickles must name what a user can import.
for _name in __all__:
    if hasattr(globals().get(_name), "__module__"):
        globals()[_name].__module__ = __name__
del _name
