"""Forks of a block's owner: each has a server of its own when it needs one, and ends nothing.

kept_copies.py fresh|pool
"""

import ctypes
import gc
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support import below, children, name_of

from tep_parallel import Parallel

SYS_clone = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
OPTIONS = {"in_processes": 2} if sys.argv[1] == "pool" else {}


def ancestors(_: object) -> str:
    """The owner of the server that has forked this child's nursery."""
    pid, found = os.getpid(), []
    while pid > 1:
        found.append(pid)
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return " ".join(map(str, found))


def call() -> None:
    for _ in range(3):
        for line in p.map_processes([1, 2]):
            assert str(os.getpid()) in line.split()[:4], (os.getpid(), line)


def leave() -> None:
    p.__exit__(None, None, None)


def drop() -> None:
    global p
    del p
    gc.collect()


def in_fork(what: Callable[[], object]) -> None:
    """By os.fork, and by multiprocessing."""
    pid = os.fork()
    if pid == 0:
        try:
            what()
            os._exit(0)
        except BaseException as error:
            print(what, repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, what
    process = multiprocessing.get_context("fork").Process(target=what)
    process.start()
    process.join()
    assert process.exitcode == 0, (what, process.exitcode)


def in_raw_fork(what: Callable[[], object]) -> None:
    """By a system call: no handler runs, and Python does not know it."""
    pid = ctypes.PyDLL(None).syscall(SYS_clone, signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        signal.alarm(20)
        try:
            what()
            os._exit(0)
        except BaseException as error:
            os.write(2, f"{what} {error!r}\n".encode())
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, what


p: Any = Parallel(ancestors, max_calls=1, **OPTIONS)  # no with statement: it would hold it too
p.__enter__()
call()
servers = [pid for pid in below(os.getpid()) if name_of(pid) == "tep-server"]
stream = p.imap_processes(range(10**9))
next(stream)
for what in (call, leave, drop, lambda: None, gc.collect, p.abort, stream.close):
    in_fork(what)
    assert [pid for pid in below(os.getpid()) if name_of(pid) == "tep-server"] == servers
    next(stream)
for what in (drop, gc.collect):
    in_raw_fork(what)
    next(stream)
stream.close()
call()
for what in (drop, leave):
    in_raw_fork(what)
    call()
p.__exit__(None, None, None)
assert children(servers=True) == []
