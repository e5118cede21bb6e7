"""Children do away with what ends them with their nursery, which is then killed: nobody of
them outlives the call. outlives.py HOW FOLDER OPTIONS."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from pathlib import Path

from support import alive, children, until

from tep_parallel import DeadWorkerError, Parallel

how, folder, text = sys.argv[1:]
options = eval(f"dict({text})")
PR_SET_PDEATHSIG = 1


def pids() -> list[int]:
    return [int(path.name) for path in Path(folder).iterdir()]


def work(item: int) -> str:
    if item > 1:
        return str(item)
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    mark = os.open(folder, os.O_PATH)
    if "close" in how:
        for name in os.listdir("/proc/self/fd"):
            if int(name) not in (1, 2, mark):
                os.closerange(int(name), int(name) + 1)
    if "prctl" in how:
        assert ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, 0) == 0
    if "setuid" in how:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    os.close(os.open(f"{os.getpid()}", os.O_CREAT | os.O_WRONLY, dir_fd=mark))
    time.sleep(60)
    return ""


def kill_nursery() -> None:
    until(lambda: len(pids()) == 2)
    (nursery,) = children()
    # It sleeps: so it has noted whom it has forked.
    until(lambda: Path(f"/proc/{nursery}/stat").read_text().rpartition(")")[2].split()[0] == "S")
    os.kill(nursery, signal.SIGKILL)


os.chmod(folder, 0o777)
killer = threading.Thread(target=kill_nursery)
killer.start()
begun = time.monotonic()
outcomes = Parallel(work, **options).outcomes(range(8))
killer.join()
assert not any(map(alive, pids())), pids()
assert time.monotonic() - begun < 30  # else they have slept to their end
for outcome in outcomes:
    if outcome.index < 2:
        assert isinstance(outcome.error, DeadWorkerError), outcome
    else:  # some had begun when the nursery was killed
        dead = isinstance(outcome.error, DeadWorkerError)
        assert dead or outcome.result == str(outcome.index), outcome
assert children() == []
