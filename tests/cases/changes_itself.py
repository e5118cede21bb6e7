"""A worker that changes what its process is; its results come as ever.
changes_itself.py HOW OPTIONS. As root, where HOW needs that."""

from __future__ import annotations

import ctypes
import json
import os
import sys
import tempfile

from tep_parallel import Parallel

how, text = sys.argv[1:]
options = eval(f"dict({text})")
PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4


class Own(Exception):
    pass


def change() -> None:
    if how == "user" and os.getuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    elif how == "group" and os.getgid() == 0:
        os.setgid(65534)
    elif how.startswith("umask"):
        os.umask(int(how.removeprefix("umask"), 8))
    elif how == "folder":
        os.chdir(tempfile.gettempdir())
    elif how == "session" and os.getsid(0) != os.getpid():
        os.setpgid(0, os.getpgid(os.getppid()))  # a group's leader may not
        os.setsid()
    elif how == "root" and os.path.exists("/proc/self"):
        os.chroot("/proc/self/fdinfo")
    elif how == "prctl":
        libc = ctypes.CDLL(None)
        assert libc.prctl(PR_SET_PDEATHSIG, 0) == 0
        assert libc.prctl(PR_SET_DUMPABLE, 0) == 0


def work(item: int) -> str:
    change()
    if item == 3:
        raise Own(item)
    return str(item) * 30000


def structured(item: int) -> dict[str, int]:
    change()
    return {"item": item}


for _ in range(2):
    outcomes = Parallel(work, **options).outcomes(range(6))
    for outcome in outcomes:
        if outcome.index == 3:
            assert type(outcome.error) is Own, outcome
            assert outcome.error.args == (3,)
        else:
            assert outcome.result == str(outcome.index) * 30000, outcome
found = Parallel(structured, codec=json, **options).map_processes(range(6))
assert found == [{"item": item} for item in range(6)]
assert Parallel(structured, **options).each_process(range(6)) == 0
if how == "umask":
    os.umask(0o777)  # also that of the host
    assert Parallel(str, **options).map_processes([1, 2]) == ["1", "2"]
