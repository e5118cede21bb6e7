"""A signal handler that raises at random moments, while an iterator waits, pulls, hands out.

raising_handler.py fresh|pool|quota imap_processes|as_completed [SEED]
"""

import itertools
import logging
import os
import random
import signal
import sys
import time
from types import FrameType
from typing import Any

from kept import Parallel, close_blocks
from support import children, descriptors

SHAPES: dict[str, dict[str, Any]] = {
    "fresh": {},
    "pool": {"in_processes": 2},
    "quota": {"in_processes": 2, "max_items_per_child": 3},
}


KEPT = "TEP_PARALLEL_KEPT" in os.environ  # there nests come and go


class Alarm(Exception):
    pass


def ring(number: int, frame: FrameType | None) -> None:
    """Not in what logging does after each fork, nor in an import's locks: Python prints what is
    raised there, and loses it."""
    while frame is not None:
        if frame.f_code.co_filename in (logging.__file__, "<frozen importlib._bootstrap>"):
            return
        frame = frame.f_back
    raise Alarm


def work(item: int) -> str:
    if item % 20 == 19:
        time.sleep(0.005)
    return f"{item}"


signal.signal(signal.SIGALRM, ring)
chance = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
before = descriptors()
parallel = Parallel(work, **SHAPES[sys.argv[1]])
rung = 0
for _ in range(60):
    found: list[str] = []
    stream = None
    try:
        try:
            # Again: the first may come in what logging does.
            signal.setitimer(signal.ITIMER_REAL, chance.random() * 0.03 + 1e-4, 0.1)
            stream = getattr(parallel, sys.argv[2])(itertools.count())
            for one in stream:
                found.append(one if isinstance(one, str) else one.result)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except Alarm:
        rung += 1
    if stream is not None:  # it goes on if that was raised beside it
        stream.close()
    del stream
    expected = [str(number) for number in range(len(found))]
    if sys.argv[2] == "imap_processes":
        assert found == expected
    else:
        assert len(set(found)) == len(found)
    assert children() == [], children()
    assert KEPT or descriptors() == before, set(descriptors().items()) ^ set(before.items())
assert rung == 60
close_blocks()
assert children(servers=True) == []
assert descriptors() == before, set(descriptors().items()) ^ set(before.items())
