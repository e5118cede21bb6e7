"""Another thread aborts a call whose children are deaf to every signal that they can be."""

import os
import signal
import threading
import time

from tep_parallel import AbortedError, Parallel

alive, last = os.pipe()


def process(item: str) -> str:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    while item != "quick":
        time.sleep(60)
    return item


def abort() -> None:
    time.sleep(0.5)
    parallel.abort()
    os.close(last)
    os.set_blocking(alive, False)
    print(os.read(alive, 1))  # the end: nobody else has the other one


parallel = Parallel(process)
thread = threading.Thread(target=abort)
thread.start()
try:
    parallel.outcomes(["quick", "deaf", "deaf"])
except AbortedError as error:
    print([outcome.result for outcome in error.outcomes])
thread.join()
