"""A host that is forked by a system call, without any handler: that process lives on when the
host is killed, and has its descriptors. raw_fork.py FOLDER"""

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

from support import until

from tep_parallel import Parallel

SYS_clone = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
folder = Path(sys.argv[1])


def work(item: int) -> str:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    (folder / f"{os.getpid()}").touch()
    time.sleep(60)
    return str(item)


def on_start(index: int, item: int) -> None:
    if index == 2:  # there is a nursery by now
        until(lambda: any(folder.iterdir()))
        pid = ctypes.CDLL(None).syscall(SYS_clone, signal.SIGCHLD, 0, 0, 0, 0)
        if pid == 0:
            time.sleep(60)
            os._exit(0)
        (folder / "raw").write_text(str(pid))


def quick_or_long(item: int) -> str:
    return str(item) if item == 0 else work(item)


Parallel(quick_or_long, on_start=on_start, in_processes=2).map_processes(range(4))
