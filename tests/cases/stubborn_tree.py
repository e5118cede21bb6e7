"""Two children block every signal and have a `sleep` and a `setsid sleep` below them.

    stubborn_tree.py MARKS [raise] [nested] [forking]

Each process leaves a file named after its pid in MARKS. With `raise` the host's handler of
SIGTERM raises, and the host goes on: it prints how long the call took to give up. With
`forking` another thread forks during the call a process that outlives the host.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from kept import Parallel
from support import children


def stubborn(item: str) -> str:
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
    below = [subprocess.Popen(["sleep", "60"]), subprocess.Popen(["setsid", "sleep", "60"])]
    for pid in [os.getpid(), *(process.pid for process in below)]:
        Path(sys.argv[1], str(pid)).touch()
    while True:
        time.sleep(60)


class GivenUp(Exception):
    pass


def give_up(number: int, frame: object) -> None:
    raise GivenUp(time.monotonic())


if "raise" in sys.argv:
    signal.signal(signal.SIGTERM, give_up)
if "forking" in sys.argv:

    def fork_later() -> None:
        while len(list(Path(sys.argv[1]).iterdir())) < 6:
            time.sleep(0.01)
        if os.fork() == 0:
            Path(sys.argv[1]).with_name("forked").touch()
            time.sleep(60)
            os._exit(0)

    threading.Thread(target=fork_later).start()
if "nested" in sys.argv:

    def nested(item: str) -> str:
        return Parallel(stubborn).map_processes([item])[0]

    Parallel(nested).map_processes(["a", "b"])
try:
    Parallel(stubborn).map_processes(["a", "b"])
except GivenUp as given_up:
    print(time.monotonic() - given_up.args[0])
    print("children:", *children())
