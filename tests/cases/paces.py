"""A consumer that is slower than the children, or faster: neither side works while it waits.

paces.py slow|fast imap_processes|as_completed
"""

import os
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from support import below, until

from tep_parallel import Parallel

SLOW = sys.argv[1] == "slow"
WINDOW, COUNT = 6, 30
TICK = os.sysconf("SC_CLK_TCK")
pulled: list[int] = []


def source() -> Iterator[int]:
    for number in range(COUNT):
        pulled.append(number)
        yield number


def work(item: int) -> str:
    if not SLOW:
        time.sleep(0.05)
    return f"{item}"


def cpu(pids: list[int]) -> float:
    """Seconds of CPU, of processes that are still there."""
    found = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        found += int(fields[11]) + int(fields[12])
    return found / TICK


stream = getattr(Parallel(work, in_processes=2, window=WINDOW), sys.argv[2])(source())
found = []
for fetched, result in enumerate(stream):
    found.append(result if isinstance(result, str) else result.result)
    assert len(pulled) - fetched <= WINDOW, (fetched, pulled)
    if SLOW and fetched == 3:
        pids = below(os.getpid())
        assert len(pids) == 3, pids
        until(lambda: all(Path(f"/proc/{pid}/wchan").exists() for pid in pids))
        time.sleep(0.1)  # whatever ran then has come to wait
        before = cpu(pids)
        time.sleep(1)
        assert cpu(pids) - before < 0.1, cpu(pids) - before
    elif SLOW:
        time.sleep(0.01)
own = resource.getrusage(resource.RUSAGE_SELF)
assert sorted(found, key=int) == [str(number) for number in range(COUNT)]
assert sys.argv[2] == "as_completed" or found == sorted(found, key=int)
assert own.ru_utime + own.ru_stime < 0.7, own  # of which Python's start is the most
