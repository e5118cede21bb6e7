"""A Parallel that works in a block of its own: what is promised outside holds there too.

`Parallel(worker, kept=True)` enters its block at once; close_blocks() leaves all of them, and so
does the end of the interpreter. Where the environment has TEP_PARALLEL_KEPT, every Parallel that
the program's first process makes is such a one.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import time
import warnings
from pathlib import Path
from typing import Any

import tep_parallel

_PID = os.getpid()
_EVERY = "TEP_PARALLEL_KEPT" in os.environ
_blocks = contextlib.ExitStack()
if _EVERY:  # for threads, whose filters of warnings are one
    warnings.simplefilter("ignore", RuntimeWarning)


class Parallel(tep_parallel.Parallel):  # type: ignore[type-arg]
    def __new__(cls, worker: Any, *, kept: bool = _EVERY, **options: Any) -> Any:
        kind = os.environ.get("TEP_PARALLEL_LOOP")
        if kind is None or options.get("in_processes") == 0:
            return super().__new__(cls)
        from looped import Looped

        with warnings.catch_warnings():  # see below
            warnings.simplefilter("ignore", RuntimeWarning)
            looped = Looped(worker, kept=kept and os.getpid() == _PID, kind=kind, **options)
        if os.getpid() == _PID:
            _blocks.callback(looped.close)
        return looped

    def __init__(self, worker: Any, *, kept: bool = _EVERY, **options: Any) -> None:
        super().__init__(worker, **options)
        if kept and os.getpid() == _PID:
            with warnings.catch_warnings():  # that there are threads: pytest's, a case's
                warnings.simplefilter("ignore", RuntimeWarning)
                before = _servers()
                _blocks.enter_context(self)
            end = time.monotonic() + 10
            # It has its name a moment after its birth; support.children knows it by that.
            while options.get("in_processes") != 0 and _servers() == before:
                assert time.monotonic() < end
                time.sleep(0.001)


def _servers() -> int:
    """How many children of this process say that they are a block's server."""
    found = 0
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            for pid in (task / "children").read_text().split():
                found += Path(f"/proc/{pid}/comm").read_text() == "tep-server\n"
    return found


def close_blocks() -> None:
    """Leave every block that is open."""
    if os.getpid() == _PID:
        _blocks.close()


atexit.register(close_blocks)
