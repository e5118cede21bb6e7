"""A host whose children are kept; it prints who is below it, and waits to be killed.

    served_host.py WITH

WITH: `raw`, a raw fork of it that lives on; `idle`, nothing; `busy`, items that run and block
every signal.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time

from served import Nest, Server
from support import below, until

(how,) = sys.argv[1:]
SYS_CLONE = {"x86_64": 56, "aarch64": 220}[os.uname().machine]


def work(item: str) -> str:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    for session in False, True:
        subprocess.Popen(["sleep", "600"], start_new_session=session)
    time.sleep(600)
    return item


server = Server(work, alive=3)
nests = [Nest(server) for _ in range(3)]
assert min(nest.pid for nest in nests) > 0
until(lambda: len(below(os.getpid())) == 1 + 3 + 9)
if how != "idle":
    nests[0].feed(["a", "b"])
    until(lambda: len(below(os.getpid())) == 13 + 4)
raw = 0
if how == "raw":
    raw = ctypes.CDLL(None).syscall(SYS_CLONE, signal.SIGCHLD, 0, 0, 0, 0)
    if raw == 0:
        while True:
            signal.pause()
print(raw, *(pid for pid in below(os.getpid()) if pid != raw), flush=True)
time.sleep(600)
