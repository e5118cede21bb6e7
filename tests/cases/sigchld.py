"""A host with an odd way with SIGCHLD, and with a child of its own.

sigchld.py ignore | reap
"""

import os
import signal
import subprocess
import sys

from kept import Parallel

from tep_parallel import DeadWorkerError

reaped: dict[int, int] = {}


def reap(number: int, frame: object) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        reaped[pid] = status


def work(item: int) -> str:
    if item % 5 == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    if item % 5 == 4:
        os._exit(item)
    return str(item)


if sys.argv[1] == "ignore":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
else:
    signal.signal(signal.SIGCHLD, reap)
own = subprocess.Popen(["sleep", "60"])
parallel = Parallel(work)
for _ in range(20):
    outcomes = parallel.outcomes(range(10))
    for outcome in outcomes:
        if outcome.index % 5 == 3:
            assert isinstance(outcome.error, DeadWorkerError), outcome
            assert (outcome.signal, outcome.exit_code) == (signal.SIGKILL, None), outcome
        elif outcome.index % 5 == 4:
            assert isinstance(outcome.error, DeadWorkerError), outcome
            assert (outcome.signal, outcome.exit_code) == (None, outcome.index), outcome
        else:
            assert (outcome.result, outcome.exit_code) == (str(outcome.index), 0), outcome
assert own.pid not in reaped
os.kill(own.pid, 0)
own.kill()
own.wait()
