"""A host on a loop with a signal handler: the handler hears what is sent to the host, and nothing
that is sent to a child."""

import asyncio
import os
import signal
import sys
import threading

from loops import run_in, until

from tep_parallel import AsyncParallel, DeadWorkerError

heard: list[int] = []
host = os.getpid()


def work(item: int) -> str:
    if item == 1:
        os.kill(os.getpid(), signal.SIGUSR1)  # the default action: it dies
    if item == 2:
        os.kill(host, signal.SIGUSR1)
    return str(item)


async def check(p: AsyncParallel) -> None:
    outcomes = await p.outcomes(range(4))
    assert [outcome.result for outcome in outcomes] == ["0", None, "2", "3"]
    error = outcomes[1].error
    assert isinstance(error, DeadWorkerError)
    assert error.signal == signal.SIGUSR1


async def main() -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, lambda: heard.append(threading.get_ident()))
    for options in ({}, {"in_processes": 2}):
        p = AsyncParallel(work, **options)
        for times in range(1, 11):
            await check(p)
            await until(lambda times=times: len(heard) == times)
        heard.clear()
        async with p:
            for times in range(1, 11):
                await check(p)
                await until(lambda times=times: len(heard) == times)
        heard.clear()


run_in(sys.argv[1], main())
