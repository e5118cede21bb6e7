"""Signals sent to fresh children, as early as their pids can be seen: none reaches the host.

The host runs an event loop that listens for the signal, and has its wake-up descriptor.
"""

import asyncio
import os
import signal
import threading
import time

from kept import Parallel
from support import children, children_of

from tep_parallel import DeadWorkerError

WANTED = 400
arrived = 0
sent = 0
over = False


def count() -> None:
    global arrived
    arrived += 1


def nap(item: int) -> str:
    time.sleep(0.002)
    return str(item)


def nurseries() -> list[int]:
    """Of this host's calls; in a block they are the server's children."""
    if "TEP_PARALLEL_KEPT" not in os.environ:
        return children()
    return [nest for server in children(servers=True) for nest in children_of(server)]


def shoot() -> None:
    """Send one signal to each child of theirs, the moment it is seen."""
    global sent
    seen: set[int] = set()
    while not over:
        for nursery in nurseries():
            for child in children_of(nursery):
                if child not in seen:
                    seen.add(child)
                    try:
                        os.kill(child, signal.SIGUSR1)
                    except ProcessLookupError:
                        continue
                    sent += 1


async def main() -> None:
    global over
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, count)
    shooter = threading.Thread(target=shoot)
    shooter.start()
    end = time.monotonic() + 50
    parallel = Parallel(nap)
    while sent < WANTED and time.monotonic() < end:
        for outcome in parallel.outcomes(range(8)):
            died = isinstance(outcome.error, DeadWorkerError)
            assert outcome.ok or (died and outcome.signal == signal.SIGUSR1), outcome
        await asyncio.sleep(0)
    over = True
    shooter.join()
    await asyncio.sleep(0.05)


asyncio.run(main())
assert sent >= WANTED, sent
assert arrived == 0, arrived
