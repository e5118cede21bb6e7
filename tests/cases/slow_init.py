"""Who adopts the children of a killed nursery lets them lie: the call does not wait for that."""

import ctypes
import os
import signal
import time

from tep_parallel import Parallel

PR_SET_CHILD_SUBREAPER = 36
assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def work(item: int) -> str:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)
    return ""


host = os.fork()
if host == 0:
    begun = time.monotonic()
    (outcome,) = Parallel(work).outcomes([0])
    os._exit(0 if not outcome.ok and time.monotonic() - begun < 30 else 1)
assert os.waitpid(host, 0)[1] == 0
assert os.wait()[1] == signal.SIGKILL  # the orphan: it was left to this process
