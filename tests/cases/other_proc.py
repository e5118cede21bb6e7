"""A pid namespace of its own that shows another's /proc: whoever has there the number that a
child has here, or the other way round, is nobody to be killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from support import until

from tep_parallel import DeadlineError, Parallel

mark = Path(sys.argv[1], "outer")


def work(item: int) -> str:
    if item == 0:
        mark.write_text(os.readlink("/proc/self"))
        time.sleep(60)
    return str(item)


def make_stranger(index: int, item: int) -> None:
    if index == 1:
        until(lambda: mark.exists() and mark.read_text())
        Path("/proc/sys/kernel/ns_last_pid").write_text(str(int(mark.read_text()) - 1))
        strangers.append(subprocess.Popen(["sleep", "60"]))


assert os.getpid() == 1
strangers: list[subprocess.Popen[bytes]] = []
begun = time.monotonic()
try:
    Parallel(work, deadline=2, in_processes=1, isolation=True).map_processes([0])
except DeadlineError as error:
    print("DeadlineError", len(error.outcomes))
assert time.monotonic() - begun < 30
mark.unlink()
try:
    Parallel(work, deadline=5, on_start=make_stranger, in_processes=2).map_processes([0, 1])
except DeadlineError as error:
    print("DeadlineError", len(error.outcomes))
(stranger,) = strangers
print(stranger.pid == int(mark.read_text()), stranger.poll())
stranger.kill()
stranger.wait()
