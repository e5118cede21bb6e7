"""An item takes the last descriptor of its host away as it ends: its result is read still."""

import os
import resource
import time
from pathlib import Path

from kept import Parallel

HOST, SIZE = os.getpid(), 200 << 20  # bytes; it takes a while to read them


def work(item: str) -> str:
    looks = 0
    while looks < 10:  # it has all that it needs for the wait
        looks = looks + 1 if sleeps() else 0
        time.sleep(0.005)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.prlimit(HOST, resource.RLIMIT_NOFILE, (highest() + 1, hard))
    return item * SIZE


def sleeps() -> bool:
    return Path(f"/proc/{HOST}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def highest() -> int:
    return max(map(int, os.listdir(f"/proc/{HOST}/fd")))


# No number below those of the call is free.
before = highest()
while os.open(os.devnull, os.O_RDONLY) <= before:
    pass
assert Parallel(work).map_processes(["a"])[0] == "a" * SIZE
