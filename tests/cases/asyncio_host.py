"""A host that runs an asyncio loop with a signal handler, and calls from a thread and from the
loop's own: its handler hears what is sent to the host, and nothing that is sent to a child."""

import asyncio
import os
import signal
import threading

from kept import Parallel

from tep_parallel import DeadWorkerError

heard: list[int] = []


def work(item: int) -> str:
    if item == 1:
        os.kill(os.getpid(), signal.SIGUSR1)  # the default action: it dies
    if item == 2:
        os.kill(host, signal.SIGUSR1)
    return str(item)


def check() -> None:
    outcomes = parallel.outcomes(range(4))
    assert [outcome.result for outcome in outcomes] == ["0", None, "2", "3"]
    error = outcomes[1].error
    assert isinstance(error, DeadWorkerError)
    assert error.signal == signal.SIGUSR1


async def until_heard(times: int) -> None:
    for _ in range(5000):
        if len(heard) == times:
            return
        await asyncio.sleep(0.002)
    raise AssertionError(heard)


async def main() -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, lambda: heard.append(threading.get_ident()))
    for times in range(1, 11):
        await loop.run_in_executor(None, check)
        await until_heard(times)
    for times in range(11, 21):
        check()  # blocks the loop; what arrived meanwhile is handed on
        await until_heard(times)
    await asyncio.sleep(0.05)
    assert heard == [threading.get_ident()] * 20


host = os.getpid()
parallel = Parallel(work)
asyncio.run(main())
