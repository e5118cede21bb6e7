"""A host that closes all that it has open, as daemons do, and opens files in its place: those are
left alone, what ran is lost, and the executor goes on."""

import os
import time

from tep_parallel import DeadWorkerError, ForkExecutor


def close_all(*, reopen: bool) -> list[tuple[int, int]]:
    os.closerange(3, 1024)
    pipes = [os.pipe() for _ in range(8)] if reopen else []
    for reads, writes in pipes:
        os.set_blocking(reads, False)
        os.write(writes, b"mine")
    return pipes


executor = ForkExecutor(2)
for reopen in (False, True):
    assert executor.submit(int).result(10) == 0
    lost = executor.submit(time.sleep, 60)
    time.sleep(0.3)
    pipes = close_all(reopen=reopen)
    assert type(lost.exception(10)) is DeadWorkerError, lost
    assert [executor.submit(abs, -n).result(10) for n in range(4)] == [0, 1, 2, 3]
    idle = close_all(reopen=False) if not reopen else []
    assert executor.submit(int).result(10) == 0, idle
executor.shutdown()
assert [os.read(reads, 100) for reads, _ in pipes] == [b"mine"] * 8
os.close(0)
os.close(1)
with ForkExecutor(1) as late:
    assert late.submit(int).result(10) == 0
    assert late._driver._bell is not None
    assert late._driver._bell.descriptor > 2
    assert late._driver._bell._ring > 2
