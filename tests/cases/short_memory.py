"""Items and results for which there is no room: each is its own item's error, and no other's.

    short_memory.py file|address pool|fresh

`file`: a limit on the size of files. `address`: one on the address space.
"""

import errno
import itertools
import os
import resource
import sys
from pathlib import Path
from typing import Any

from tep_parallel import Parallel

LARGE = 96 << 20
OPTIONS: dict[str, Any] = {"in_processes": 2} if sys.argv[2] == "pool" else {"window": 4}
REASONS = {errno.EFBIG, errno.ENOMEM, errno.ENOSPC}


def work(item: str) -> str:
    return "r" * LARGE if item == "grow" else item[:1]


large = "i" * LARGE
parallel = Parallel(work, **OPTIONS)
if sys.argv[1] == "file":
    resource.setrlimit(resource.RLIMIT_FSIZE, (8 << 20, 8 << 20))
else:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    room = used + LARGE // 2
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
items = [*["a"] * 5, large, *["b"] * 5, "grow", *["c"] * 5] * 3
found = {one.index: one for one in parallel.as_completed(iter(items))}
assert len(found) == len(items)
for number, item in enumerate(items):
    one = found[number]
    if len(item) == 1:
        assert one.result == item, one
    elif item == "grow" and sys.argv[1] == "address":
        assert isinstance(one.error, MemoryError), repr(one.error)
    else:
        assert isinstance(one.error, OSError), repr(one.error)
        assert one.error.errno in REASONS, repr(one.error)
try:
    list(parallel.imap_processes(itertools.chain(["a", "a", large], itertools.repeat("b"))))
except OSError as error:
    assert error.errno in REASONS
    assert "item 2 (" in "".join(getattr(error, "__notes__", ["item 2 ("]))
else:
    raise AssertionError
