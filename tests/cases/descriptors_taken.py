"""Somebody takes the host's descriptors away while a call runs: it fails, and leaves nothing."""

import errno
import itertools
import os
import resource
from pathlib import Path

from support import children

from tep_parallel import ForkExecutor, Parallel

HOST = os.getpid()
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)


def work(item: str) -> str:
    resource.prlimit(HOST, resource.RLIMIT_NOFILE, (int(item), hard))
    return item


def by_map(few: str) -> None:
    Parallel(work).map_processes([few])


def by_executor(few: str) -> None:
    with ForkExecutor(1) as executor:
        executor.submit(work, few).result()


# With two, not even what a call waits for can be waited for.
for call, few in itertools.product((by_map, by_executor), "32"):
    try:
        call(few)
    except OSError as error:
        assert error.errno == errno.EMFILE, error
    else:
        raise AssertionError
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert children() == []
    left = list(Path(os.environ["TMPDIR"]).iterdir())
    assert left == [], left
