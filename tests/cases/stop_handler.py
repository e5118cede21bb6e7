"""SIGTSTP in a host: during calls, after them, and in other processes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from typing import Any

from tep_parallel import Parallel

BIT = 1 << (signal.SIGTSTP - 1)
seen: list[int] = []


def caught(process: int | str = "self") -> bool:
    """Has this process a handler for it, Python's or another?"""
    with open(f"/proc/{process}/status") as lines:
        words = next(line.split() for line in lines if line.startswith("SigCgt"))
    return bool(int(words[1], 16) & BIT)


def in_child(item: str) -> str:
    return f"{item} {caught()}"


def in_fork() -> bool:
    """The same in a process that the host forks."""
    pid = os.fork()
    if pid == 0:
        os._exit(caught())
    return os.waitpid(pid, 0)[1] != 0


def in_program() -> bool:
    """The same in another program."""
    found = subprocess.run(["grep", "SigCgt", "/proc/self/status"], stdout=-1, check=True)
    return bool(int(found.stdout.split()[1], 16) & BIT)


def hear(number: int, frame: object) -> None:
    seen.append(number)


how = sys.argv[1]
if how == "handler":
    signal.signal(signal.SIGTSTP, hear)
if how == "ignored":
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)
before = signal.getsignal(signal.SIGTSTP)
expected = how == "handler"
looks: list[bool] = []


def on_start(index: int, item: str) -> None:
    looks.append(caught())
    assert how in ("handler", "changed") or (in_fork(), in_program()) == (False, False)
    if how == "changed":
        signal.signal(signal.SIGTSTP, hear)
    os.kill(os.getpid(), signal.SIGTSTP)  # by default nothing stops: no shell waits for us


shapes: list[dict[str, Any]] = [{}, {"in_processes": 2}, {"in_processes": 2, "isolation": True}]
for shape in shapes:
    looks.clear()
    seen.clear()
    found = Parallel(in_child, on_start=on_start, **shape).map_processes(["a", "b"])
    assert found == ["a False", "b False"], found
    assert looks[0] == (how != "ignored"), looks
    assert len(seen) == (2 if how in ("handler", "changed") else 0), seen
    if how == "changed":  # it stays what the host has made it meanwhile
        assert signal.getsignal(signal.SIGTSTP) == hear
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
    assert caught() == expected
    assert signal.getsignal(signal.SIGTSTP) == before

# However a call ends, and whoever keeps what of it.
kept = []
for shape in shapes:
    try:
        Parallel(int, **shape).map_processes(["one"])
    except ValueError as error:
        kept.append(error)
    assert caught() == expected
with contextlib.suppress(FileNotFoundError):
    Parallel(in_child, scratch_root="/nowhere/at/all").map_processes(["a"])
assert caught() == expected
threads = [
    threading.Thread(target=Parallel(in_child, **shape).map_processes, args=(["a"],))
    for shape in shapes * 8
]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert caught() == expected
