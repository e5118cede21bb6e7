"""What type checkers make of the public names: read by mypy and pyright, never run."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typing_extensions import assert_type

from tep_parallel import (
    Break,
    DeadlineError,
    DeadWorkerError,
    FileDigest,
    ItemTimeoutError,
    Kill,
    Outcome,
    Parallel,
    ParallelError,
    ParallelWorker,
    Sock,
    TamperedResultError,
    WorkerError,
    digest_files,
    processor_count,
    worker_number,
)


class Point:
    pass


class Points:
    """A codec of one's own, of one type."""

    def dumps(self, value: Point) -> bytes:
        return b""

    def loads(self, data: bytes) -> Point:
        return Point()


class StaticPoints:
    @staticmethod
    def dumps(value: Point) -> str:
        return ""

    @staticmethod
    def loads(data: str) -> Point:
        return Point()


class Broken:
    def dumps(self, value: Point) -> int:
        return 0

    def loads(self, data: bytes) -> Point:
        return Point()


class Doubler(ParallelWorker):
    def process(self, item: str) -> str:
        return item * 2


class Maker(ParallelWorker):
    def process(self, item: int) -> Point:
        return Point()


def lines() -> Iterator[str]:
    yield ""


# Without a codec: text.
assert_type(Parallel(Doubler()).map_processes(["a"]), list[str])
assert_type(Parallel(Doubler(), codec=None).map_processes(["a"]), list[str])
assert_type(Parallel(str).map_processes(range(3)), list[str])
assert_type(Parallel(lambda item: item).map_processes(lines()), list[str])
assert_type(Parallel(Doubler()).each_process(["a"]), int)
assert_type(Parallel(print).each_process(["a"]), int)

# With one: what its loads returns.
assert_type(Parallel(Maker(), codec=Points()).map_processes([1]), list[Point])
assert_type(Parallel(Maker(), codec=StaticPoints).map_processes([1]), list[Point])
assert_type(Parallel(Maker(), codec=json).map_processes([1]), list[Any])
assert_type(Parallel(Maker(), codec=Points()), Parallel[Point])

# Outcomes.
assert_type(Parallel(Doubler()).outcomes(["a"]), list[Outcome[str]])
assert_type(Parallel(Maker(), codec=Points()).outcomes([1]), list[Outcome[Point]])
for outcome in Parallel(Doubler()).outcomes(["a"]):
    assert_type(outcome.result, str | None)
    assert_type(outcome.error, BaseException | None)
    assert_type(outcome.item, object)
    assert_type(outcome.ok, bool)
    assert_type(outcome.pid, int | None)
    assert_type(outcome.seconds, float)
    assert_type(outcome.max_rss, int | None)
points: Outcome[object] = Parallel(Maker(), codec=Points()).outcomes([1])[0]


def by_parameter(fan_out: Parallel, items: list[str]) -> list[str]:
    return fan_out.map_processes(items)


# Every option.
Parallel(Doubler(), in_processes=True)
Parallel(
    Doubler(),
    in_processes=2,
    isolation=True,
    timeout=1,
    deadline=1.5,
    retries=2,
    on_error="kill",
    progress=True,
    on_start=lambda index, item: print(index + 1, item),
    on_finish=lambda outcome: print(outcome.index, outcome.ok),
    codec=json,
    rebuild_exceptions=False,
    scratch_root=Path("/tmp"),
)

# Errors.
try:
    by_parameter(Parallel(Doubler()), ["a"])
except WorkerError as failed:
    assert_type(failed.remote_type, str)
    assert_type(failed.remote_traceback, str)
except DeadWorkerError as died:
    assert_type(died.exit_code, int | None)
    assert_type(died.signal, int | None)
except ItemTimeoutError as late:
    assert_type(late.index, int | None)
except DeadlineError as over:
    assert_type(over.outcomes, list[Outcome[Any]])
except (TamperedResultError, ParallelError) as other:
    assert_type(other.index, int | None)

# Counts.
assert_type(processor_count(), int)
assert_type(worker_number(), int | None)

# Sock.
assert_type(Sock.sphttp_hmac_sha256_hex("key", memoryview(b"")), str)
assert_type(Sock.sphttp_hmac_sha256_file_hex(b"", Path("x")), str)
assert_type(Sock.sphttp_fork(), int)
assert_type(Sock.sphttp_getpid(), int)

# Digests.
assert_type(digest_files(["a", b"b", Path("c")], "key", in_processes=2), list[str])
assert_type(digest_files(Path().iterdir(), return_exceptions=True), list[str | BaseException])
assert_type(Parallel(FileDigest("key")).map_processes([Path("x")]), list[str])

# Refused. A checker that finds nothing wrong here says that the comment is unused.
Parallel(3)  # type: ignore[arg-type]
Parallel(Doubler(), 2)  # type: ignore[call-arg]
Parallel(Doubler(), codec=3)  # type: ignore[arg-type]
Parallel(Maker(), codec=Broken())  # type: ignore[arg-type]
Parallel(Doubler()).map_processes(3)  # type: ignore[arg-type]
Parallel(Doubler(), in_proceses=2)  # type: ignore[call-arg]
Sock.sphttp_hmac_sha256_hex(3, b"")  # type: ignore[arg-type]
digest_files([3])  # type: ignore[list-item]


# Ways to end a call early.
def give(item: str) -> str:
    raise Kill(item) if item else Break


class Counter:
    """Progress of one's own."""

    def update(self, n: int) -> None:
        pass


Parallel(give, progress=Counter())
