"""A host that adopts orphans, as pid 1 of a container does: of a nursery that was killed no
zombie is left to it."""

import ctypes
import os
import signal
import time

from kept import Parallel
from support import children

PR_SET_CHILD_SUBREAPER = 36
assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def work(item: int) -> str:
    if item == 2:
        time.sleep(0.05)
        os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)
    return ""


outcomes = Parallel(work).outcomes(range(3))
assert not any(outcome.ok for outcome in outcomes)
assert children() == []
