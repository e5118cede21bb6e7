"""A host that is interrupted in a block: between calls, in a call, and while it leaves.

kept_ctrl_c.py FOLDER idle|call|leave fresh|pool
"""

import os
import signal
import sys
import time
from pathlib import Path

from support import children

from tep_parallel import Parallel, ParallelWorker

folder, when = Path(sys.argv[1]), sys.argv[2]
OPTIONS = {"in_processes": 2} if sys.argv[3] == "pool" else {}


class Worker(ParallelWorker):
    def process(self, item: object) -> str:
        if item == "sleep":
            (folder / str(os.getpid())).touch()
            time.sleep(60)
        return str(item)

    def teardown(self) -> None:
        if when == "leave":
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            (folder / str(os.getpid())).touch()
            time.sleep(60)


begun = 0.0
try:
    with Parallel(Worker(), **OPTIONS) as p:
        if when != "leave":
            assert p.map_processes([1]) == ["1"]
        if when == "idle":
            (folder / str(os.getpid())).touch()
            time.sleep(60)
        if when == "call":
            p.map_processes(["sleep"])
        elif when == "leave":
            p.map_processes([1])
except KeyboardInterrupt:
    assert children(servers=True) == [], children(servers=True)
    print("interrupted")
