"""Rounds in a host that handles signals, and children that do while they are idle."""

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

exchanged: list[int] = []
_module: Any = sys.modules["_signal"]  # where C asks for it when it first needs it
_exchange = _module.set_wakeup_fd


def count(fd: int, **options: bool) -> int:
    exchanged.append(fd)
    return int(_exchange(fd, **options))


_module.set_wakeup_fd = count

from served import Nest, Server  # noqa: E402
from support import until  # noqa: E402

from tep_parallel._engine.native import lib  # noqa: E402

heard = Path(sys.argv[1], "heard")


def hear(number: int, frame: object) -> None:
    heard.write_text(str(time.monotonic()))


def send_to_this_thread(delay: float) -> None:
    time.sleep(delay)
    signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)


def work(item: str) -> str:
    what, _, value = item.partition(" ")
    if what == "sleep":
        time.sleep(float(value))
    elif what == "hear":
        signal.signal(signal.SIGUSR1, hear)
    elif what == "later":  # another thread gets it, when this one is idle
        threading.Thread(target=send_to_this_thread, args=[float(value)], daemon=True).start()
    return f"{os.getpid()}"


def delay_since(begun: float) -> float:
    """How long after `begun` a child has run its handler."""
    until(heard.exists)
    until(heard.read_text)
    delay = float(heard.read_text()) - begun
    heard.unlink()
    return delay


class AlarmError(Exception):
    pass


def ring(number: int, frame: object) -> None:
    raise AlarmError


server = Server(work, alive=1)
nest = Nest(server)
[pid] = map(int, nest.map(["hear"]))
assert nest.map(["x", "x"]) == [str(pid)] * 2

# An idle child handles signals at once, and one that another of its threads got soon.
for idle in (0.1, 1.5):
    time.sleep(idle)
    begun = time.monotonic()
    os.kill(pid, signal.SIGUSR1)
    assert delay_since(begun) < 0.09, idle
nest.map(["later 0.3"])
delay = delay_since(time.monotonic()) - 0.3
assert delay < 0.25, delay
nest.map(["later 1.6"])
delay = delay_since(time.monotonic()) - 1.6
assert delay < 1.5, delay

# What is over at once leaves the host's wake-up descriptor alone; what is not has it back.
reading, writing = os.pipe()
os.set_blocking(writing, False)
_exchange(writing)
costs = []
for _ in range(50):
    del exchanged[:]
    nest.map(["x"])
    costs.append(len(exchanged))
assert min(costs) == 0, costs
nest.map(["sleep 0.02"])
assert len(exchanged) >= 2
assert _exchange(writing) == writing

# The wait lets other threads run, and ends at once for a signal.
ticks: list[Any] = []
ticking = threading.Event()


def tick() -> None:
    while not ticking.wait(0.001):
        ticks.append(None)


thread = threading.Thread(target=tick)
thread.start()
nest.map(["sleep 0.3"])
ticking.set()
thread.join()
assert len(ticks) > 20, len(ticks)
for delay in (0.0001, 0.05):
    signal.signal(signal.SIGALRM, ring)
    cells = nest.feed(["sleep 0.3"], lib.SPHTTP_PATIENT)
    begun = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, delay)
    try:
        nest.run()
    except AlarmError:
        assert time.monotonic() - begun < 0.25
        nest.run()
    else:
        raise AssertionError
    assert nest.results(cells) == [str(pid)]
    assert nest.renew() == 1

# Also in rounds that other threads drive, before and after.
results: list[str] = []


def drive() -> None:
    results.extend(nest.map(["sleep 0.01"]))


for _ in range(3):
    driving = threading.Thread(target=drive)
    driving.start()
    driving.join()
    drive()
assert results == [str(pid)] * 6
assert _exchange(writing) == writing
nest.leave()
server.close()
_exchange(-1)
