"""The nursery of an iterator is killed, again and again: no item is lost but those in hand.

nursery_gone.py pool|fresh|quota
"""

import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

from kept import Parallel, close_blocks
from support import below, children, descriptors, name_of

from tep_parallel import DeadWorkerError

COUNT, KILLS = 3000, 10
SHAPES: dict[str, dict[str, Any]] = {
    "fresh": {"in_processes": 2, "isolation": True},
    "pool": {"in_processes": 2},
    "quota": {"in_processes": 2, "max_items_per_child": 5},
}
count = COUNT // 10 if sys.argv[1] == "fresh" else COUNT


def source() -> Iterator[int]:
    for number in range(count):
        if number % (count // KILLS) == count // KILLS - 1:
            for pid in below(os.getpid()):
                if name_of(pid) == "tep-nursery":
                    os.kill(pid, signal.SIGKILL)
        yield number


before = descriptors()
outcomes = list(Parallel(str, **SHAPES[sys.argv[1]]).as_completed(source()))
found = sorted(one.index for one in outcomes)
assert found == list(range(count)), (
    len(found),
    set(range(count)) ^ set(found),
    [n for n in found if found.count(n) > 1],
)
lost = [one for one in outcomes if not one.ok]
assert all(isinstance(one.error, DeadWorkerError) for one in lost), lost
assert all(one.result == str(one.item) for one in outcomes if one.ok)
assert len(lost) <= 2 * KILLS, len(lost)
close_blocks()
assert children(servers=True) == []
assert descriptors() == before
