"""A worker that closes descriptors of the process, and opens files of its own in their place.
What it opened holds only what it wrote: closes.py WHICH KIND FOLDER OPTIONS."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sys
from pathlib import Path

from tep_parallel import Parallel

which, kind, folder, text = sys.argv[1:]
options = eval(f"dict({text})")
own: list[int] = []


def open_own(name: str) -> int:
    if kind == "file":
        return os.open(f"{folder}/{name}", os.O_RDWR | os.O_CREAT, 0o600)
    if kind == "folder":
        return os.open(folder, os.O_RDONLY)
    if kind == "memory":
        return os.memfd_create(name)
    return os.pipe2(os.O_NONBLOCK)[0]  # its other end is the next to be filled


def close() -> None:
    ours = [int(fd) for fd in os.listdir("/proc/self/fd") if int(fd) > 2]
    for fd in ours if which == "all" else ours[:: 2 if which == "even" else -2]:
        with contextlib.suppress(OSError):
            os.close(fd)
    own[:] = [open_own(f"{os.getpid()} {number}") for number in range(12)]
    for fd in own if kind in ("file", "memory") else []:
        os.write(fd, b"precious\n")


def touched() -> list[str]:
    """What has been written to, in the child's own eyes."""
    found = []
    for fd in own:
        if kind in ("file", "memory") and os.pread(fd, 100, 0) != b"precious\n":
            found.append(f"file {fd}")
        if kind == "memory" and fcntl.fcntl(fd, fcntl.F_GET_SEALS) != fcntl.F_SEAL_SEAL:
            found.append(f"seals {fd}")
        if kind == "pipe":
            with contextlib.suppress(BlockingIOError):
                found.append(f"pipe {fd} {os.read(fd, 100)!r}")
    return found


def work(item: int) -> str:
    if item % 5 == 1:
        close()
    elif touched():
        Path(folder, "touched").write_text(repr(touched()))
    return "R" * 20000


outcomes = Parallel(work, deadline=50, **options).outcomes(range(20))
for path in Path(folder).iterdir():
    assert path.read_bytes() == b"precious\n", (path, path.read_bytes()[:200])
failed = [outcome for outcome in outcomes if not outcome.ok]
assert [getattr(outcome.error, "errno", 0) for outcome in failed] == [errno.EBADF] * len(failed)
if options.get("in_processes") and not options.get("isolation"):
    # A child may have room left for the result of the one that closes, and none for the next.
    assert len(failed) <= 4, [outcome.index for outcome in failed]
else:
    indices = [outcome.index for outcome in failed]
    closing = [1, 6, 11, 16]
    assert indices == closing if which == "all" else set(indices) <= set(closing), indices
