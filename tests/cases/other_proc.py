"""A pid namespace of its own that shows another's /proc: the process that has here the number
that a child has there is nobody to be killed. other_proc.py FOLDER"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from support import until

from tep_parallel import DeadlineError, Parallel

mark = Path(sys.argv[1], "outer")
strangers: list[subprocess.Popen[bytes]] = []


def work(item: int) -> str:
    mark.write_text(os.readlink("/proc/self"))
    time.sleep(60)
    return str(item)


def make_stranger() -> None:
    until(lambda: mark.exists() and mark.read_text())
    Path("/proc/sys/kernel/ns_last_pid").write_text(str(int(mark.read_text()) - 1))
    strangers.append(subprocess.Popen(["sleep", "60"]))


assert os.getpid() == 1
thread = threading.Thread(target=make_stranger)
thread.start()
begun = time.monotonic()
try:
    Parallel(work, deadline=3).map_processes([0])
except DeadlineError as error:
    print("DeadlineError", len(error.outcomes))
assert time.monotonic() - begun < 30  # and not the minute that it sleeps
thread.join()
(stranger,) = strangers
print(stranger.pid == int(mark.read_text()), stranger.poll())
stranger.kill()
stranger.wait()
