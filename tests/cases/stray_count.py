"""A child stores something over the count of what a pool's memory has handed out: the host
does not become as large as that, and gets every result."""

import contextlib
import ctypes
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

from tep_parallel import Parallel

STRAYS = [0, 8, 4096, 1 << 30, (1 << 30) + 4096, 1 << 45, (1 << 63) - 1, (1 << 64) - 8]


def memory_size() -> int:
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if "tep-results" in os.readlink(f"/proc/self/fd/{name}"):
                return os.fstat(int(name)).st_size
    raise AssertionError


def counts() -> Iterator[ctypes.c_uint64]:
    """The words of the shared page that may be the count: an only child has had all there is."""
    size = memory_size()
    for line in Path("/proc/self/maps").read_text().splitlines():
        if "/dev/zero" in line and " rw-s" in line:
            start = int(line.split("-")[0], 16)
            for at in range(start, start + 1024, 8):
                word = ctypes.c_uint64.from_address(at)
                if word.value == size:
                    yield word


def work(item: int) -> str:
    if item % 50 == 1:
        (count,) = counts()
        count.value = STRAYS[item // 50 % len(STRAYS)]
    return f"{item} " * 8000  # so that some is taken before the next stray


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


before = peak()
for watched in (False, True):
    options = {"on_finish": lambda _: time.sleep(0)} if watched else {}
    fan_out = Parallel(work, in_processes=1, **options)
    assert fan_out.map_processes(range(500)) == [f"{item} " * 8000 for item in range(500)]
assert peak() < before + 100, (before, peak())  # MiB; the results are 20
