"""Standard streams that are None, closed, replaced or unbuffered are left alone."""

import io
import os
import sys

from tep_parallel import Parallel

out = os.dup(1)
for number, stream in enumerate([None, io.StringIO(), open(os.dup(1), "wb", 0)]):
    sys.stdout = sys.stderr = stream  # type: ignore[assignment]
    assert Parallel(lambda item: item).map_processes(["a"]) == ["a"], number
sys.stdin = None
assert Parallel(lambda item: item).map_processes(["a"]) == ["a"]
os.close(0)
assert Parallel(lambda item: item).map_processes(["a"]) == ["a"]
os.close(1)
os.close(2)
assert Parallel(lambda item: item).map_processes(["a"]) == ["a"]
assert Parallel(lambda item: os.readlink("/proc/self/fd/0")).map_processes([0]) == ["/dev/null"]
os.write(out, b"well\n")
