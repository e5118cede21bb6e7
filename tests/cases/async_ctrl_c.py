"""Children sleep for a minute below a program of asyncio's; the test presses Ctrl-C."""

import asyncio
import os
import sys
import time
from pathlib import Path

from loops import run_in

from tep_parallel import AsyncParallel

place, kind, how = Path(sys.argv[1]), sys.argv[2], sys.argv[3]


def sleep_long(item: str) -> str:
    (place / str(os.getpid())).touch()  # the test's cue: this child runs
    time.sleep(60)
    return item


async def main() -> None:
    p = AsyncParallel(sleep_long, max_calls=1)
    if how == "map":
        await p.map_processes(["a", "b"])
    elif how == "stream":
        async for _ in p.as_completed(["a", "b"]):
            pass
    elif how == "block":
        async with p:
            await p.map_processes(["a", "b"])
    else:
        await asyncio.gather(*(p.map_processes(["a", "b"]) for _ in range(3)))


run_in(kind, main())
