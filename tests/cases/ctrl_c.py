"""Two children sleep for a minute; the test presses Ctrl-C."""

import os
import sys
import time
from pathlib import Path

from kept import Parallel


def sleep_long(item: str) -> str:
    Path(sys.argv[1], str(os.getpid())).touch()  # the test's cue: this child runs
    time.sleep(60)
    return item


Parallel(sleep_long).map_processes(["a", "b"])
