"""The nursery is killed in the middle of a call: finished results are kept, the item in hand
is a DeadWorkerError, those not begun are taken on by another nursery."""

import os
import signal
import time

from kept import Parallel

from tep_parallel import DeadWorkerError


def work(item: int) -> str:
    if item == 5:
        os.kill(os.getppid(), signal.SIGKILL)
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
