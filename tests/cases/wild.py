"""Children that do all they can to stay.

    wild.py HOW MARKS [deadline]

HOW: `daemon` leaves by the double fork; `stopped` stops itself; `running` forks for ever,
each process a session of its own that ends when it has forked the next; `many` is a tree of
a hundred. Each leaves a file named after its pid. With `deadline` the call is over after a
while; else somebody ends this host.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from kept import Parallel
from support import children

from tep_parallel import DeadlineError

how, marks = sys.argv[1], Path(sys.argv[2])


def mark() -> None:
    (marks / str(os.getpid())).touch()


def sleep() -> None:
    mark()
    while True:
        time.sleep(60)


def work(item: int) -> str:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    if how == "daemon":
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                sleep()
            os._exit(0)
    elif how == "stopped":
        below = subprocess.Popen(["sleep", "60"])
        (marks / str(below.pid)).touch()
        mark()
        os.kill(os.getpid(), signal.SIGSTOP)
    elif how == "running":
        mark()
        if os.fork() == 0:
            while os.fork() == 0:
                os.setsid()
                time.sleep(0.001)
            os._exit(0)
    else:
        for _ in range(9):
            if os.fork() == 0:
                os.setsid()
                for _ in range(9):
                    if os.fork() == 0:
                        sleep()
                sleep()
    sleep()
    return ""


options = {"in_processes": 2} if "pool" in sys.argv else {}
try:
    Parallel(work, deadline=1 if "deadline" in sys.argv else None, **options).map_processes([0, 1])
except DeadlineError:
    print("over")
assert children() == []
