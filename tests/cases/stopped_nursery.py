"""Somebody stops the nursery, and the host gives the call up: it is over all the same."""

import os
import signal
import threading
import time
from pathlib import Path

from kept import Parallel
from support import children


class GivenUp(Exception):
    pass


def give_up(number: int, frame: object) -> None:
    raise GivenUp


def work(item: int) -> str:
    os.kill(os.getppid(), signal.SIGSTOP)
    time.sleep(60)
    return ""


signal.signal(signal.SIGALRM, give_up)
for options in ({}, {"in_processes": 1}, {"on_finish": print}):
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    begun = time.monotonic()
    try:
        Parallel(work, **options).map_processes([0])
    except GivenUp:
        assert time.monotonic() - begun < 30
    else:
        raise AssertionError
    assert children() == []
    assert list(Path(os.environ["TMPDIR"]).iterdir()) == []
assert threading.active_count() == 1
