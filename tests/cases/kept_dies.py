"""A host in a block, which dies; nothing of the block is left then, and that is soon.

    kept_dies.py FOLDER fresh|pool idle|call|stream [raw]

It leaves a file with the pids of all that is below it. With `raw` a process that was forked by a
bare system call lives on: it holds every descriptor that the host had.
"""

import ctypes
import itertools
import os
import signal
import sys
import time
from pathlib import Path

from support import below, until

from tep_parallel import Parallel

SYS_clone = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
folder, shape, when = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
OPTIONS = {"in_processes": 2} if shape == "pool" else {}


def work(item: object) -> str:
    if item == "deaf":
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        (folder / f"deaf {os.getpid()}").touch()
        time.sleep(60)
    return str(item)


def say() -> None:
    """Who is there, once all that is forked ahead is."""
    found: list[int] = []
    for _ in range(20):
        found = below(os.getpid())
        time.sleep(0.01)
    (folder / "new").write_text(" ".join(map(str, found)))
    (folder / "new").rename(folder / "pids")


with Parallel(work, **OPTIONS) as p:
    assert p.map_processes(["a", "b"]) == ["a", "b"]
    if sys.argv[4:] == ["raw"]:
        pid = ctypes.CDLL(None).syscall(SYS_clone, signal.SIGCHLD, 0, 0, 0, 0)
        if pid == 0:
            time.sleep(60)
            os._exit(0)
        (folder / "raw").write_text(str(pid))
    if when == "idle":
        say()
        time.sleep(60)
    stream = p.as_completed(["deaf", "deaf", "quick"] if when == "call" else itertools.count())
    if when == "call":
        import threading

        def later() -> None:
            until(lambda: len(list(folder.glob("deaf *"))) == 2)
            say()

        threading.Thread(target=later).start()
        list(stream)
    next(stream)
    say()
    time.sleep(60)
