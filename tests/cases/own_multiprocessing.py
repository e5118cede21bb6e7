"""A worker imports multiprocessing, which the host has not, and leaves a manager running.

own_multiprocessing.py OPTIONS
"""

import json
import sys

from kept import Parallel


def work(item: int) -> str:
    import multiprocessing

    manager = multiprocessing.get_context("fork").Manager()
    kept.append(manager)  # not before the child's end
    shared = manager.list([item])
    assert list(shared) == [item]
    return str(manager._process.pid)  # type: ignore[attr-defined]


def runs(pid: str) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


kept: list[object] = []
pids = Parallel(work, **json.loads(sys.argv[1])).map_processes(range(2))
assert "multiprocessing.util" not in sys.modules
print(not any(map(runs, pids)))
