"""A host whose own children end during a call: they are the host's to wait for."""

import os
import subprocess
import time

from kept import Parallel


def outlive(item: str) -> str:
    time.sleep(0.2)
    return item


own = []
for status in range(5):
    pid = os.fork()
    if pid == 0:
        time.sleep(0.05)
        os._exit(status)
    own.append(pid)
process = subprocess.Popen(["sh", "-c", "sleep 0.05; exit 9"])
assert Parallel(outlive).map_processes(["a", "b"]) == ["a", "b"]
assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in own] == [0, 1, 2, 3, 4]
assert process.wait() == 9
