"""A host that ends in the middle of a call, in one way or another.

    host_ends.py HOW MARKS

HOW: `exit` by os._exit, in a thread; else it waits for a signal whose action is the default.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path

from tep_parallel import Parallel

how, marks = sys.argv[1], Path(sys.argv[2])


def work(item: int) -> str:
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
Parallel(work).map_processes([0, 1])
