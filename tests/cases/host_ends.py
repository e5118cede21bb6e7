"""A host that ends in the middle of a call, in one way or another.

    host_ends.py HOW MARKS [WHERE]

HOW: `exit` by os._exit, in a thread; else it waits for a signal whose action is the default.
WHERE: `step` of an iterator; `loop` round one; else in map_processes.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path

from kept import Parallel

how, marks, where = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]


def work(item: int) -> str:
    if item == 2:
        return ""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    (marks / str(os.getpid())).touch()
    time.sleep(60)
    return ""


def leave() -> None:
    while len(list(marks.iterdir())) < 2:
        time.sleep(0.01)
    os._exit(7)


signal.signal(signal.SIGINT, signal.SIG_DFL)
if how == "exit":
    threading.Thread(target=leave).start()
if not where:
    Parallel(work).map_processes([0, 1])
for _ in Parallel(work).as_completed([0, 1] if where == ["step"] else [0, 1, 2]):
    time.sleep(60)
