"""A loop is closed while calls run in it, and nobody has their tasks any more."""

import asyncio
import gc
import sys

from loops import sleep_deaf
from support import children

from tep_parallel import AsyncParallel

parallel = AsyncParallel(sleep_deaf)
loop = asyncio.new_event_loop()


async def begin() -> tuple[object, ...]:
    results = parallel.as_completed([0, 60])
    assert (await anext(results)).result == "slept"
    block = AsyncParallel(sleep_deaf, in_processes=1)
    await block.__aenter__()
    kept = asyncio.create_task(block.map_processes([60]))
    await asyncio.sleep(0.3)
    return results, kept, block


held = [loop.create_task(parallel.map_processes([60, 60])), *loop.run_until_complete(begin())]
calls = list(parallel._here.calls)
assert len(calls) == 2
assert len(children(servers=True)) == 3
loop.close()
if sys.argv[1] == "dropped":
    calls.clear()
    held.clear()
    gc.collect()
    assert children(servers=True) == []
elif sys.argv[1] == "kept in a cycle":
    calls.append(calls)
    del calls, held
    gc.collect()
    assert children(servers=True) == []
else:
    parallel.held = calls
