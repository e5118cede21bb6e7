"""Calls from four threads while six others allocate, print and log.

    threads.py CALLS LOGFILE

Prints <marks> to standard output, which the test reads. A host's mark may be cut in two by a
child's, where the host's buffer was full; none may arrive twice, and a child's is whole.
Before 3.12.4 threads that print at once spoil their own stream (CPython's issue 119506: marks
are lost, and old memory is written): there the host's two take turns, its children do not.
"""

import contextlib
import logging
import sys
import threading
from collections import Counter

from kept import Parallel

CALLS, CALLERS = int(sys.argv[1]), 4
over = threading.Event()
log = logging.getLogger("case")
log.addHandler(logging.FileHandler(sys.argv[2]))
log.setLevel(logging.INFO)
failures: list[str] = []
turn = threading.Lock() if sys.version_info < (3, 12, 4) else contextlib.nullcontext()


def allocate() -> None:
    while not over.is_set():
        [{"a": [number]} for number in range(200)]


def write() -> None:
    number = 0
    while not over.is_set():
        number += 1
        with turn:
            print(f"<host {threading.get_ident()} {number}>")


def note() -> None:
    number = 0
    while not over.is_set():
        number += 1
        log.info("host %s %s", threading.get_ident(), number)


def work(item: str) -> str:
    print(f"<child {item}>")
    log.info("child %s", item)
    return item[::-1]


def call(caller: int) -> None:
    parallel = Parallel(work)
    for number in range(CALLS // CALLERS):
        items = [f"{caller}-{number}-{k}" for k in range(2)]
        found = parallel.map_processes(items)
        if found != [item[::-1] for item in items]:
            failures.append(f"{items}: {found}")


others = [threading.Thread(target=job) for job in (allocate, write, note) for _ in range(2)]
callers = [threading.Thread(target=call, args=(caller,)) for caller in range(CALLERS)]
for thread in others + callers:
    thread.start()
for thread in callers:
    thread.join()
over.set()
for thread in others:
    thread.join()
assert failures == []
sys.stdout.flush()
logging.shutdown()
with open(sys.argv[2]) as file:
    lines = Counter(file.read().splitlines())
assert max(lines.values()) == 1, lines.most_common(3)
assert sum(line.startswith("child") for line in lines) == CALLS // CALLERS * CALLERS * 2
