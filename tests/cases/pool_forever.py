"""A pool of two whose children say who they are, block every signal, and never end."""

import os
import signal
import sys
import time
from pathlib import Path

from tep_parallel import Parallel


def stay(_: object) -> str:
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, signal.NSIG))
    Path(sys.argv[1], str(os.getpid())).touch()
    while True:
        time.sleep(1)


Parallel(stay, in_processes=2).map_processes(range(10))
