"""Sources that fail, end and belong to their thread, while children are deaf."""

import os
import queue
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kept import Parallel, close_blocks
from support import alive, children, descriptors, until

KEPT = "TEP_PARALLEL_KEPT" in os.environ  # there nests come and go
MARKS = Path(sys.argv[1])
SHAPES: dict[str, dict[str, Any]] = {
    "fresh": {},
    "pool": {"in_processes": 2},
    "quota": {"in_processes": 2, "max_items_per_child": 3},
}
ROWS = 2_000
FACES = ("imap_processes", "as_completed")


class Spoilt(Exception):
    pass


def work(item: object) -> str:
    if item == "deaf":
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        (MARKS / str(os.getpid())).touch()
        time.sleep(60)
    return f"{item}"


def spoilt() -> Iterator[str]:
    yield "deaf"
    yield "quick"
    until(lambda: list(MARKS.iterdir()))
    raise Spoilt


def rows(base: sqlite3.Connection) -> None:
    """The cursor may be used by this thread alone, and the table changes meanwhile."""
    cursor = base.execute("select number from t order by number")
    for face in FACES:
        cursor.execute("select number from t order by number")
        found = [
            one if isinstance(one, str) else one.result for one in getattr(parallel, face)(cursor)
        ]
        assert sorted(found) == sorted(f"({number},)" for number in range(ROWS))


before = descriptors()
parallel: "Parallel[Any]" = Parallel(work, **SHAPES[sys.argv[2]])
for face in FACES:
    try:
        list(getattr(parallel, face)(spoilt()))
    except Spoilt:
        pids = [int(path.name) for path in MARKS.iterdir()]
        assert pids
        assert not any(map(alive, pids))
    else:
        raise AssertionError
    assert children() == []
    assert KEPT or descriptors() == before
    for path in MARKS.iterdir():
        path.unlink()
if sys.argv[2] != "fresh":
    base = sqlite3.connect(":memory:")
    base.execute("create table t (number)")
    base.executemany("insert into t values (?)", ((number,) for number in range(ROWS)))
    rows(base)
    base.close()
work_to_do: queue.Queue[Any] = queue.Queue(maxsize=3)


def produce() -> None:
    for number in range(100):
        work_to_do.put(number)
    work_to_do.put(None)


producer = threading.Thread(target=produce)
producer.start()
numbers = list(parallel.imap_processes(iter(work_to_do.get, None)))
producer.join()
assert numbers == [str(number) for number in range(100)]
close_blocks()
assert children(servers=True) == []
assert descriptors() == before
