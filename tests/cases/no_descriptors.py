"""A host with hardly a descriptor left: a clear OSError, and the next call works."""

import errno
import os
import resource

from tep_parallel import Parallel

parallel = Parallel(str)
assert parallel.map_processes([1]) == ["1"]
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
held: list[int] = []
try:
    while True:
        held.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
refused = 0
while held:
    try:
        assert parallel.map_processes([1, 2]) == ["1", "2"]
        break
    except OSError as error:
        assert error.errno == errno.EMFILE, error
        refused += 1
    os.close(held.pop())
assert refused > 2, refused
for descriptor in held:
    os.close(descriptor)
before = sorted(os.listdir("/proc/self/fd"))
assert parallel.map_processes([1, 2]) == ["1", "2"]
assert sorted(os.listdir("/proc/self/fd")) == before
