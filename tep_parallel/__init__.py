"""Fork-based fan-out: each item in a child process of its own, results in input order."""

import typing as _typing

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

if _typing.TYPE_CHECKING:
    from tep_parallel._executor import ForkExecutor

__all__ = [
    "AbortedError",
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
    "digest_files",
    "processor_count",
    "worker_number",
]

# What loads much, and is loaded when somebody asks for it first; and the module where it is.
_LATER = {"ForkExecutor": "_executor"}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module

    found = globals()[name] = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    found.__module__ = __name__
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


# Tracebacks, logs and pickles must name what a user can import.
for _name in __all__:
    if _name in globals() and hasattr(globals()[_name], "__module__"):
        globals()[_name].__module__ = __name__
del _name
