"""Somebody takes the host's descriptors away while a call runs: it fails, and leaves nothing."""

import errno
import os
import resource
from pathlib import Path

from support import children

from tep_parallel import ForkExecutor, Parallel

HOST, FEW = os.getpid(), 3
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)


def work(item: str) -> str:
    resource.prlimit(HOST, resource.RLIMIT_NOFILE, (FEW, hard))
    return item


def by_executor() -> None:
    with ForkExecutor(1) as executor:
        executor.submit(work, "a").result()


for call in (lambda: Parallel(work).map_processes(["a"]), by_executor):
    try:
        call()
    except OSError as error:
        assert error.errno == errno.EMFILE, error
    else:
        raise AssertionError
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert children() == []
    left = list(Path(os.environ["TMPDIR"]).iterdir())
    assert left == [], left
