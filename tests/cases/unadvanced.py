"""An iterator that nobody advances, with timeout=0.5: how long its child lives, in seconds."""

import os
import sys
import time
from pathlib import Path

from kept import Parallel
from support import alive, until

from tep_parallel import ItemTimeoutError

MARK = Path(sys.argv[1], "mark")
OPTIONS = {"in_processes": 2} if sys.argv[2] == "pool" else {}


def work(item: str) -> str:
    if item == "slow":
        MARK.with_name("new").write_text(str(os.getpid()))
        MARK.with_name("new").rename(MARK)
        time.sleep(60)
    else:
        until(MARK.exists)
    return item


stream = Parallel(work, timeout=0.5, **OPTIONS).as_completed(["slow", "quick"])
assert next(stream).result == "quick"
begun = time.monotonic()
pid = int(MARK.read_text())
assert alive(pid)
until(lambda: not alive(pid))
print(f"{time.monotonic() - begun:.3f}")
(late,) = stream
assert isinstance(late.error, ItemTimeoutError)
