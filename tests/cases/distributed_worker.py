"""A worker of distributed whose tasks run in a ForkExecutor: a segfault costs its task alone.
distributed_worker.py FOLDER"""

import asyncio
import ctypes
import os
import sys
from typing import Any

import dask
from distributed import Client, Scheduler, Worker

from tep_parallel import DeadWorkerError, ForkExecutor

HOST = os.getpid()


def square(number: int) -> int:
    assert os.getpid() != HOST
    return number * number


async def use(client: Any, worker: Any) -> None:
    others = client.map(square, range(4))
    try:
        await client.submit(ctypes.string_at, 0)
    except DeadWorkerError as error:
        print(error.signal)
    assert await client.gather(others) == [0, 1, 4, 9]
    assert await client.submit(square, 5) == 25
    print(worker.status.name)


async def main() -> None:
    local: dict[str, Any] = {"host": "127.0.0.1", "dashboard": False}
    with ForkExecutor(2) as executor:
        async with (
            Scheduler(port=0, **local) as scheduler,
            Worker(scheduler.address, executor=executor, nthreads=2, **local) as worker,
            Client(scheduler.address, asynchronous=True) as client,
        ):
            await use(client, worker)


with dask.config.set({"temporary-directory": sys.argv[1]}):
    asyncio.run(main())
