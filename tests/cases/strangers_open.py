"""What a child of one call, and what the host starts otherwise, has of another call that is
open: nothing. strangers_open.py OPTIONS OPTIONS"""

from __future__ import annotations

import contextlib
import gc
import os
import subprocess
import sys
import threading
import warnings
from typing import Any

from support import descriptors, until

from tep_parallel import Parallel

LARGE = 40 << 20  # bytes


def shared() -> int:
    """Bytes of memory that files in memory, and what processes share, take."""
    with open("/proc/meminfo") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("Shmem:")) << 10


def things() -> set[str]:
    """What this process has open, by what tells it from others of its name."""
    found = set()
    for fd, path in descriptors().items():
        with contextlib.suppress(OSError):  # the listing's own
            status = os.stat(f"/proc/self/fd/{fd}")
            named = path.startswith(("/dev/", "anon_inode:"))
            found.add(path if named else f"{status.st_dev} {status.st_ino}")
    return found - {"/dev/null"}


def mappings() -> set[str]:
    """The memory that is shared with others."""
    with open("/proc/self/maps") as lines:
        found = [line.split() for line in lines]
    return {words[4] for words in found if words[1][3] == "s"}


def large(item: int) -> str:
    return str(item) * LARGE


def look(item: int) -> Any:
    return repr((sorted(things()), sorted(mappings())))


def in_fork() -> set[str]:
    """What a process has open that the host forks."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writing, repr(things()).encode())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as file:
        found: set[str] = eval(file.read())
    os.waitpid(pid, 0)
    return found


def in_program() -> set[str]:
    command = [sys.executable, __file__]
    found: set[str] = eval(subprocess.run(command, stdout=-1, check=True).stdout)
    return found


class Held:
    """A call that is open in a thread: all its items but the last have ended."""

    def __init__(self) -> None:
        self.go_on = os.pipe()
        self.waits = os.pipe()
        self.thread = threading.Thread(target=self.call)
        self.results: list[str] = []

    def work(self, item: int) -> str:
        if item == 2:
            os.write(self.waits[1], b".")
            os.read(self.go_on[0], 1)
        return large(item)

    def call(self) -> None:
        self.results = Parallel(self.work, **one).map_processes(range(3))

    def __enter__(self) -> Held:
        self.thread.start()
        os.read(self.waits[0], 1)
        return self

    def __exit__(self, *raised: object) -> None:
        os.write(self.go_on[1], b".")
        self.thread.join()
        for fd in (*self.go_on, *self.waits):
            os.close(fd)
        assert [len(result) for result in self.results] == [LARGE] * 3
        self.results = []


if len(sys.argv) == 1:  # that program
    print(things())
    sys.exit()
warnings.simplefilter("ignore", DeprecationWarning)  # this host forks among threads
one, other = (eval(f"dict({text})") for text in sys.argv[1:])
Parallel(str, **one).map_processes([1])  # what is opened once and for all
before, before_maps = things(), mappings()
held = Held()
pipes = things()
with held:
    during = things() - pipes
    during_maps = mappings() - before_maps
    assert during, during  # else there is nothing to see here
    assert during_maps
    found, maps = eval(Parallel(look, **other).map_processes([1])[0])
    assert not set(found) & during, set(found) & during
    assert not set(maps) & during_maps, set(maps) & during_maps
    assert not in_fork() & during
    assert not in_program() & during
assert things() <= before | pipes

# What a call held is free when its results are dropped, whoever still runs.
gc.collect()
level = shared()
waits, go_on = os.pipe(), os.pipe()


def sleep(item: int) -> str:
    os.write(waits[1], b".")
    os.read(go_on[0], 1)
    return str(item)


with Held() as held:
    thread = threading.Thread(target=lambda: Parallel(sleep, **other).map_processes([1]))
    thread.start()
    os.read(waits[0], 1)
gc.collect()
until(lambda: shared() < level + LARGE)
os.write(go_on[1], b".")
thread.join()
