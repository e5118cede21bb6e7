"""The nursery is killed in the middle of a call: finished results are kept, the item in hand
is a DeadWorkerError, those not begun are taken on by another nursery."""

import os
import signal
import time
from pathlib import Path

from kept import Parallel
from support import until

from tep_parallel import DeadWorkerError


def sleeps(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def work(item: int) -> str:
    if item == 5:
        nursery = os.getppid()
        until(lambda: sleeps(nursery))  # it has noted its child
        os.kill(nursery, signal.SIGKILL)
        time.sleep(60)
    return str(item)


outcomes = Parallel(work, in_processes=1, isolation=True).outcomes(range(12))
for outcome in outcomes:
    if outcome.index == 5:
        assert isinstance(outcome.error, DeadWorkerError), outcome
        assert outcome.pid is not None
        assert (outcome.exit_code, outcome.signal, outcome.cpu_seconds) == (None, None, None)
        assert "killed with its nursery" in str(outcome.error)
    else:
        assert outcome.result == str(outcome.index), outcome
