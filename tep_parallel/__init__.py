"""Fork-based fan-out: each item in a child process of its own, results in input order."""

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

__all__ = [
    "AbortedError",
    "Break",
    "Codec",
    "DeadWorkerError",
    "DeadlineError",
    "FileDigest",
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

# Tracebacks, logs and pickles must name what a user can import.
for _name in __all__:
    if hasattr(globals()[_name], "__module__"):
        globals()[_name].__module__ = __name__
del _name
