"""Descriptors are few: the calls of an executor wait for each other, and no result is lost."""

import os
import resource
import time

from tep_parallel import ForkExecutor

AT_ONCE = CALLS = 20


def work(number: int) -> int:
    time.sleep(0.5)  # so that as many run as there can be
    return number


with ForkExecutor(AT_ONCE) as executor:
    executor.submit(int).result()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(map(int, os.listdir("/proc/self/fd")))
    # A call takes some to begin, and others to collect its result.
    for spare in (15, 19, 23, 27):
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + spare, hard))
        found = [future.result() for future in [executor.submit(work, n) for n in range(CALLS)]]
        assert found == list(range(CALLS)), found
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
