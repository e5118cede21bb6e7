"""An item sleeps for a minute in a child of a thread; the test presses Ctrl-C."""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tep_parallel import Parallel


def sleep(item: str) -> str:
    Path(sys.argv[1], str(os.getpid())).touch()
    time.sleep(60)
    return item


with ThreadPoolExecutor(1) as pool:
    Parallel(sleep, executor=pool, in_processes=1).map_processes(["a"])
