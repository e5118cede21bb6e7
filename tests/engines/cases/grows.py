"""A call during which its cluster grows; how many workers took part. grows.py"""

import os
import time
from pathlib import Path

from distributed import Client

from tep_parallel import Parallel

HERE = os.getcwd()
PATIENCE = 60.0


def work(item):
    with (Path(HERE) / "begun").open("a") as file:
        file.write(f"{os.getppid()}\n")
    time.sleep(0.02)
    return str(os.getpid())


def endless():
    end = time.monotonic() + PATIENCE
    while len(seen) < 3 and time.monotonic() < end:
        yield len(seen)


seen = set()
if __name__ == "__main__":
    with Client(os.environ["SCHEDULER"]) as client:
        call = Parallel(work, executor=client.get_executor(), in_processes=2)
        # Two children a worker: the third is on another one.
        for outcome in call.as_completed(endless()):
            seen.add(outcome.result)
        print(len(client.nthreads()))
        assert len(seen) >= 3, seen
