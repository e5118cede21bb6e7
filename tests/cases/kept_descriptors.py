"""A host with ten thousand open files enters a block: none of them lives on in it."""

import os
import resource
from pathlib import Path

from support import below

from tep_parallel import Parallel

WANTED = 10_000
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
count = min(WANTED, hard - 100)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
held = [os.open("/dev/zero", os.O_RDONLY) for _ in range(count)]
with Parallel(str, in_processes=2) as p:
    assert p.map_processes([1, 2]) == ["1", "2"]
    for pid in below(os.getpid()):
        for path in Path(f"/proc/{pid}/fd").iterdir():
            assert os.readlink(path) != "/dev/zero", (pid, path)
    assert p.map_processes([3]) == ["3"]
print(count)
