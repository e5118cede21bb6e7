"""A worker that opens a block of its own: in children of a call, and in those of a block.

kept_nested.py FOLDER outside|block
"""

import os
import sys
import time
from pathlib import Path

from support import alive, below, children

from tep_parallel import ItemTimeoutError, Parallel

folder = Path(sys.argv[1])


def inner(item: str) -> str:
    if item == "sleep":
        (folder / str(os.getpid())).touch()
        time.sleep(60)
    return item.upper()


def outer(items: list[str]) -> str:
    with Parallel(inner, in_processes=2) as p:
        for pid in below(os.getpid()):
            (folder / str(pid)).touch()
        return " ".join(word for item in items for word in p.map_processes([item]))


parallel = Parallel(outer, in_processes=2, timeout=1)
if sys.argv[2] == "block":
    parallel.__enter__()
for _ in range(3):
    assert parallel.map_processes([["a", "b"], ["c"]]) == ["A B", "C"]
first, second = parallel.outcomes([["a", "sleep"], ["d"]])
assert isinstance(first.error, ItemTimeoutError), first
assert second.result == "D"
end = time.monotonic() + 20
while any(alive(int(path.name)) for path in folder.iterdir()):
    assert time.monotonic() < end
    time.sleep(0.01)
if sys.argv[2] == "block":
    parallel.__exit__(None, None, None)
assert children(servers=True) == []
