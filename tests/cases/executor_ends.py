"""A host of a ForkExecutor that ends while calls run: executor_ends.py HOW FOLDER. Each call says
there that it runs, and hears no signal."""

import os
import signal
import sys
import time
from pathlib import Path

from tep_parallel import ForkExecutor

how, folder = sys.argv[1:]


def deaf() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    Path(folder, str(os.getpid())).touch()
    time.sleep(60)


def caught() -> None:
    try:
        with executor:
            executor.submit(deaf)
    except KeyboardInterrupt:
        print("caught", flush=True)
    time.sleep(60)  # nothing runs by now: the test looks


executor = ForkExecutor(2)
if how == "at a result":
    executor.submit(deaf).result()
elif how == "in a block":
    with executor:
        executor.submit(deaf).result()
elif how == "at the end of a block":
    caught()
else:
    executor.submit(deaf)  # and the program ends
