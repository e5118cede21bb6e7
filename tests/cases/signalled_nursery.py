"""A signal is sent to the nursery, as systemd does to all of a service. Nothing changes."""

import os
import sys

from tep_parallel import Parallel


def work(item: int) -> str:
    os.kill(os.getppid(), int(sys.argv[1]))
    return f"{item} {os.getppid()}"


for shape in ({}, {"in_processes": 2}, {"in_processes": 2, "isolation": True}):
    found = [result.split() for result in Parallel(work, **shape).map_processes(range(20))]
    assert [item for item, _ in found] == [str(item) for item in range(20)]
    assert len({nursery for _, nursery in found}) == 1
