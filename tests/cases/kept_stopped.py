"""Somebody stops the server of a block, and its block ends."""

import asyncio
import os
import signal
import sys

from support import alive, children, until

from tep_parallel import AsyncParallel, Parallel


def stop() -> list[int]:
    found = children(servers=True)
    for pid in found:
        os.kill(pid, signal.SIGSTOP)
    return found


def blocking() -> list[int]:
    with Parallel(str.upper, in_processes=2) as p:
        assert p.map_processes(["a", "b"]) == ["A", "B"]
        return stop()


async def awaited() -> list[int]:
    async with AsyncParallel(str.upper, in_processes=2) as p:
        assert await p.map_processes(["a", "b"]) == ["A", "B"]
        return stop()


servers = asyncio.run(awaited()) if sys.argv[1] == "awaited" else blocking()
assert servers
until(lambda: not any(map(alive, servers)))
assert not children(servers=True)
