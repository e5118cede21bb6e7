"""The children multiply matrices: 25 calls of 4.

blas.py idle: the host has done so before, with all of OpenBLAS's threads
blas.py busy: threads of the host do so all the time, and OpenBLAS has no thread of its own
"""

import os
import sys
import threading

busy = sys.argv[1] == "busy"
if busy:
    os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402  # it reads the environment

from tep_parallel import Parallel  # noqa: E402

matrix = np.ones((300, 300))
expected = str(float((matrix @ matrix).sum()))
over = threading.Event()


def compute() -> None:
    while not over.is_set():
        assert (matrix @ matrix)[0, 0] == 300


threads = [threading.Thread(target=compute) for _ in range(2 if busy else 0)]
for thread in threads:
    thread.start()
parallel = Parallel(lambda _: str(float((matrix @ matrix).sum())))
try:
    for _ in range(25):
        assert parallel.map_processes(range(4)) == [expected] * 4
finally:
    over.set()
for thread in threads:
    thread.join()
