"""A host in the middle of an iterator, until somebody kills it; its children block all signals.

    killed_iterating.py MARKS fresh|pool|quota imap_processes|as_completed

Each process leaves a file named after its pid.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kept import Parallel

MARKS = Path(sys.argv[1])
SHAPES: dict[str, dict[str, Any]] = {
    "fresh": {},
    "pool": {"in_processes": 3},
    "quota": {"in_processes": 3, "max_items_per_child": 2},
}


def source() -> Iterator[int]:
    for number in range(10**9):
        yield number
        time.sleep(0.001)


def work(item: int) -> str:
    if item in (5, 6):  # some have been handed out
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        below = subprocess.Popen(["setsid", "sleep", "60"])
        for pid in (os.getpid(), below.pid):
            (MARKS / str(pid)).touch()
        time.sleep(60)
    return f"{item}"


for _ in getattr(Parallel(work, window=16, **SHAPES[sys.argv[2]]), sys.argv[3])(source()):
    pass
