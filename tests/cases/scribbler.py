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


for _ in range(20):
    for outcome in Parallel(scribble, in_processes=2).outcomes(range(500)):
        error = outcome.error
        assert error is None or isinstance(error, (ParallelError, OSError, TypeError)), error
        assert not isinstance(error, DeadWorkerError), error  # of a mapping cut short
