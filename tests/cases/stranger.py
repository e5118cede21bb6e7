"""A host that may become another user, and not kill others, has another user's process below
it, or a child that is one. stranger.py HOW FOLDER OPTIONS: as that user, with CAP_SETUID."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path

from support import alive

from tep_parallel import DeadlineError, Parallel

how, folder, text = sys.argv[1:]
OTHER = 65533


def become_other() -> None:
    os.setgid(OTHER)
    os.setuid(OTHER)


def work(item: int) -> str:
    if how == "child":
        Path(folder, f"{os.getpid()}").touch()
        become_other()
        time.sleep(60)
    pid = os.fork()
    if pid == 0:
        become_other()
        os.execv("/bin/sleep", ["sleep", "60"])
    Path(folder, f"{pid}").touch()
    time.sleep(60)
    return str(item)


server = socket.create_server(("127.0.0.1", 0))
Path(folder, "port").write_text(str(server.getsockname()[1]))
begun = time.monotonic()
try:
    Parallel(work, **eval(f"dict({text})")).map_processes([1])
except DeadlineError:
    print("DeadlineError")
assert any(alive(int(path.name)) for path in Path(folder).iterdir() if path.name.isdigit())
assert time.monotonic() - begun < 30  # and not the minute that they sleep
