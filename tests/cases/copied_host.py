"""Forked copies of a host, and of an iterator in the middle: they end nothing and get nothing."""

import gc
import itertools
import multiprocessing
import os
import sys
from collections.abc import Callable
from typing import Any

from kept import Parallel

from tep_parallel import Stream

OPTIONS: dict[str, dict[str, Any]] = {
    "pool": {"in_processes": 2},
    "isolated": {"in_processes": 2, "isolation": True},
}
parallel = Parallel(str, **OPTIONS[sys.argv[1]])
stream: Stream[str] | None = parallel.imap_processes(itertools.count())
expected = map(str, itertools.count())


def advance(count: int) -> None:
    assert stream is not None
    assert list(itertools.islice(stream, count)) == list(itertools.islice(expected, count))


def close() -> None:
    assert stream is not None
    stream.close()
    stream.close()


def drop() -> None:
    global stream
    stream = None
    gc.collect()


def leave() -> None:
    sys.exit(0)


def call() -> None:
    assert parallel.map_processes([1]) == ["1"]
    assert list(parallel.imap_processes([1, 2])) == ["1", "2"]


def in_copy(what: Callable[[], object]) -> None:
    process = multiprocessing.get_context("fork").Process(target=what)
    process.start()
    process.join()
    assert process.exitcode == 0, (what, process.exitcode)
    pid = os.fork()
    if pid == 0:
        try:
            what()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == (what is leave), what


for what in (close, drop, parallel.abort, leave, call):
    advance(100)
    in_copy(what)
    advance(100)
close()
