"""A host that gevent has patched: while an iterator waits, its other greenlets run."""

from gevent import monkey

monkey.patch_all()

import itertools  # noqa: E402
import time  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from typing import Any  # noqa: E402

import gevent  # noqa: E402
from kept import Parallel  # noqa: E402
from support import children  # noqa: E402

from tep_parallel import AbortedError  # noqa: E402

ticks: list[float] = []


def tick() -> None:
    while True:
        ticks.append(time.monotonic())
        gevent.sleep(0.01)


def work(item: int) -> str:
    time.sleep(0.05 if item % 10 == 0 else 0)
    return f"{item}"


def source(count: int) -> Iterator[int]:
    for number in range(count):
        gevent.sleep(0.001)  # the source waits too
        yield number


def iterate(fan_out: "Parallel[Any]", first: bool) -> None:
    expected = [str(number) for number in range(60)]
    if first:
        assert list(fan_out.imap_processes(source(60))) == expected
    else:
        found = [one.result for one in fan_out.as_completed(source(60))]
        assert sorted(found, key=int) == expected


def sleep(item: int) -> str:
    time.sleep(60)
    return f"{item}"


gevent.spawn(tick)
for options in ({"in_processes": 2}, {"in_processes": 2, "isolation": True}, {"window": 3}):
    fan_out = Parallel(work, **options)
    ticks.clear()
    jobs = [gevent.spawn(iterate, fan_out, number % 2 == 0) for number in range(4)]
    gevent.joinall(jobs, raise_error=True)
    gaps = [after - before for before, after in itertools.pairwise(ticks)]
    assert len(ticks) > 5, ticks
    assert max(gaps) < 1, max(gaps)
    assert children() == []

sleeper = Parallel(sleep, in_processes=2)
stream = sleeper.imap_processes([1, 2])
gevent.spawn_later(0.2, sleeper.abort)
try:
    next(stream)
except AbortedError:
    pass
else:
    raise AssertionError
stream = sleeper.as_completed([1, 2])
try:
    with gevent.Timeout(0.2):
        next(stream)
except gevent.Timeout:
    pass
else:
    raise AssertionError
assert list(stream) == []
assert children() == []
