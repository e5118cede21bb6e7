"""An endless generator, one long item in it, under a limit on the size of files.

    endless.py SECONDS

Prints in MiB how far each process and the memory that they share have grown since the first
second, and how many items there were.
"""

import itertools
import os
import resource
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from support import below

from tep_parallel import Parallel

SECONDS = float(sys.argv[1])
LONG = SECONDS / 2
TEXTS = ["x" * size for size in (0, 10, 300, 5_000, 70_000)]
resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 20, 64 << 20))


def source() -> Iterator[str]:
    for number in itertools.count():
        yield f"{number}:{TEXTS[number % 5 if number % 97 == 0 else number % 3]}"


def work(item: str) -> str:
    if item.startswith("1000:"):
        time.sleep(LONG)
    return item


def resident(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def shared() -> float:
    """What is in memory files: an empty one is not smaller than a full one."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            if "memfd:tep" in os.readlink(f"/proc/self/fd/{name}"):
                found += os.stat(f"/proc/self/fd/{name}").st_blocks * 512
        except FileNotFoundError:  # the listing's own
            continue
    return found / 2**20


def measured() -> dict[int, float]:
    found = {pid: resident(pid) for pid in (os.getpid(), *below(os.getpid()))}
    return {**found, 0: shared()}


def look() -> None:
    """As nobody who is in a call can: after a second, and often from then on."""
    time.sleep(1)
    first = measured()
    while not over.wait(SECONDS / 50):
        for pid, size in measured().items():
            grown[pid] = max(grown.get(pid, -1e9), size - first[pid])


grown: dict[int, float] = {}
over = threading.Event()
looking = threading.Thread(target=look)
looking.start()
begun = time.monotonic()
seen, long_ended = set[int](), 0.0
stream = Parallel(work, in_processes=2).as_completed(source())
count = 0
for outcome in stream:
    assert outcome.result == outcome.item, outcome
    count += 1
    if outcome.index == 1000:
        long_ended = time.monotonic() - begun
    if time.monotonic() - begun > SECONDS:
        break
over.set()
looking.join()
stream.close()
assert LONG < long_ended < SECONDS, long_ended
sizes = {
    ("host" if pid == os.getpid() else "shared" if pid == 0 else f"below {pid}"): size
    for pid, size in grown.items()
}
print(f"{count} items;", ", ".join(f"{name} {size:.1f}" for name, size in sizes.items()))
assert len(grown) == 5, grown  # the host, the nursery, two children, what they share
assert max(grown.values()) < 10, grown
