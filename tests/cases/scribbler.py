"""A child writes over its pool's memory, enlarges it and tries to cut it: the host lives on."""

import contextlib
import os
import random

from tep_parallel import DeadWorkerError, Parallel, ParallelError


def memory() -> int:
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if "tep-results" in os.readlink(f"/proc/self/fd/{name}"):
                return int(name)
    raise AssertionError


def scribble(item: int) -> str:
    if item % 50 == 49:
        descriptor = memory()
        for size in (0, 10, 4096):
            try:
                os.ftruncate(descriptor, size)
            except PermissionError:
                continue
            raise AssertionError("it could be cut")
        size = os.fstat(descriptor).st_size
        source = random.Random(item)
        for _ in range(200):
            os.pwrite(descriptor, source.randbytes(16), source.randrange(size))
        os.ftruncate(descriptor, size + 100_000)
    return "x" * (item % 100)


for turn in range(20):  # looked at after the end, and while children still scribble
    fan_out = Parallel(scribble, in_processes=2, on_finish=str if turn % 2 else None)
    for outcome in fan_out.outcomes(range(500)):
        error = outcome.error
        assert error is None or isinstance(error, (ParallelError, OSError, TypeError)), error
        assert not isinstance(error, DeadWorkerError), error  # of a mapping cut short
