"""A host that gevent has patched: a call lets other greenlets run, and none runs in a child."""

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402
import time  # noqa: E402

import gevent  # noqa: E402

from tep_parallel import Parallel  # noqa: E402

host = os.getpid()
ticks: list[int] = []


def tick() -> None:
    while True:
        gevent.sleep(0.01)
        ticks.append(os.getpid())


def work(item: str) -> str:
    time.sleep(0.2)  # gevent's
    gevent.joinall([gevent.spawn(time.sleep, 0.01)])
    return f"{item} {set(ticks) <= {host}}"


ticker = gevent.spawn(tick)
calls = [gevent.spawn(Parallel(work).map_processes, [str(n), "x"]) for n in range(5)]
gevent.joinall(calls, raise_error=True)
assert [call.value for call in calls] == [[f"{n} True", "x True"] for n in range(5)]
assert len(ticks) > 5, ticks
assert set(ticks) == {host}
assert Parallel(work).map_processes(["main"]) == ["main True"]

assert os.getpid() == host
