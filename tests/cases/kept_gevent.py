"""A block in a host that gevent has patched: other greenlets run while calls wait, also for
their turn. kept_gevent.py fresh|pool"""

from gevent import monkey

monkey.patch_all()

import sys  # noqa: E402
import time  # noqa: E402

import gevent  # noqa: E402
from support import children  # noqa: E402

from tep_parallel import AbortedError, Parallel  # noqa: E402

OPTIONS = {"in_processes": 2} if sys.argv[1] == "pool" else {}
ticks: list[float] = []


def tick() -> None:
    while True:
        ticks.append(time.monotonic())
        gevent.sleep(0.01)


def work(item: object) -> str:
    time.sleep(60 if item == "sleep" else 0.05 if item == 0 else 0)
    return f"{item}"


def call(first: int) -> None:
    for turn in range(5):
        items = [0, first, turn]
        assert p.map_processes(items) == [str(item) for item in items]
    assert list(p.imap_processes(iter([0, first]))) == ["0", str(first)]


with Parallel(work, max_calls=2, **OPTIONS) as p:
    ticker = gevent.spawn(tick)
    jobs = [gevent.spawn(call, number) for number in range(6)]
    gevent.joinall(jobs, raise_error=True)
    assert len(ticks) > 20, len(ticks)
    gevent.spawn_later(0.2, p.abort)
    try:
        p.map_processes(["sleep"])
    except AbortedError:
        pass
    else:
        raise AssertionError
    assert p.map_processes([1]) == ["1"]
    try:
        with gevent.Timeout(0.2):
            p.map_processes(["sleep"])
    except gevent.Timeout:
        pass
    else:
        raise AssertionError
    assert p.map_processes([2]) == ["2"]
    ticker.kill()
assert children(servers=True) == []
