"""A host that may become another user, and not kill others, has another user's process below
it, or a child that is one. stranger.py HOW FOLDER OPTIONS, as root."""

from __future__ import annotations

import ctypes
import os
import socket
import sys
import time
from pathlib import Path

from support import alive

from tep_parallel import DeadlineError, Parallel

how, folder, text = sys.argv[1:]
SELF, OTHER = 65534, 65533
PR_SET_KEEPCAPS, VERSION_3 = 8, 0x20080522
SETGID_SETUID = 1 << 6 | 1 << 7


def give_away_rights() -> None:
    """Be a user that may become another, and no more."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(PR_SET_KEEPCAPS, 1) == 0
    os.setgroups([])
    os.setgid(SELF)
    os.setuid(SELF)
    header = (ctypes.c_uint32 * 2)(VERSION_3, 0)
    rights = (ctypes.c_uint32 * 6)(SETGID_SETUID, SETGID_SETUID, 0, 0, 0, 0)
    assert libc.capset(header, rights) == 0


def become_other() -> None:
    os.setgid(OTHER)
    os.setuid(OTHER)
    Path(folder, f"{os.getpid()}").touch()  # the test's cue: nobody may kill this process now


def work(item: int) -> str:
    if how == "child":
        become_other()
    elif os.fork() == 0:
        become_other()
        os.execv("/bin/sleep", ["sleep", "60"])
    time.sleep(60)
    return str(item)


Parallel(str).map_processes([1])  # what is imported later may not be readable
give_away_rights()
server = socket.create_server(("127.0.0.1", 0))
Path(folder, "port").write_text(str(server.getsockname()[1]))
begun = time.monotonic()
try:
    Parallel(work, **eval(f"dict({text})")).map_processes([1])
except DeadlineError:
    print("DeadlineError")
assert any(alive(int(path.name)) for path in Path(folder).iterdir() if path.name.isdigit())
assert time.monotonic() - begun < 30  # and not the minute that they sleep
