"""multiprocessing's own objects, made by the host and used in children.

    of_multiprocessing.py OPTIONS

A process of the host's that is a daemon, its manager and its temporary folder must outlive the
children. What each check finds stands behind its name.
"""

import json
import multiprocessing as mp
import os
import queue
import sys
import time
from multiprocessing import util
from pathlib import Path
from typing import Any

from tep_parallel import Parallel

shape: dict[str, Any] = json.loads(sys.argv[1])
COUNT = 12
fork = mp.get_context("fork")
daemon = fork.Process(target=time.sleep, args=(60,), daemon=True)
daemon.start()
folder = Path(util.get_temp_dir())
numbers = fork.Queue()
numbers.put(-1)  # the host has a feeder thread
assert numbers.get(timeout=60) == -1
counter = fork.Value("i", 0)
manager = fork.Manager()
shared = manager.dict(host=1)  # used: the host has a connection


def put(item: int) -> str:
    numbers.put(item)
    with counter.get_lock():
        counter.value += 1
    return str(item)


def use(item: int) -> str:
    for number in range(50):
        shared[item, number] = item * 1_000 + number
    wrong = sum(shared[item, number] != item * 1_000 + number for number in range(50))
    return str(wrong)


def be(item: int) -> str:
    itself, parent = mp.current_process(), mp.parent_process()
    assert itself.pid == os.getpid()
    assert parent is not None
    assert parent.is_alive()
    assert parent.name == "MainProcess"
    assert mp.active_children() == []
    assert not itself.daemon
    below = fork.Process(target=put, args=(item,))
    below.start()
    below.join()
    return f"{itself.name} {parent.pid == host}"


host = os.getpid()
Parallel(put, **shape).map_processes(range(COUNT))
found = []
try:
    while len(found) < COUNT:
        found.append(numbers.get(timeout=10))
except queue.Empty:
    pass
print("put", sorted(found) == list(range(COUNT)), counter.value)
print("used", *Parallel(use, **shape).map_processes(range(4)))
names = Parallel(be, **shape).map_processes(range(4))
print("is", {name.split("-")[0] for name in names}, {name.split()[1] for name in names})
print("kept", daemon.is_alive(), len(shared.keys()) == 4 * 50 + 1, folder.is_dir())
print("itself", mp.current_process().name, mp.parent_process())
daemon.terminate()
manager.shutdown()
