"""What type checkers make of the public names: read by mypy and pyright, never run."""

import json
import os
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from typing_extensions import assert_type

from tep_parallel import (
    AbortedError,
    Break,
    Codec,
    DeadlineError,
    DeadWorkerError,
    FileDigest,
    ItemTimeoutError,
    Kill,
    OnFinish,
    OnStart,
    Outcome,
    Parallel,
    ParallelError,
    ParallelWorker,
    Progress,
    Sock,
    Stream,
    TamperedResultError,
    WorkerError,
    digest_files,
    early_entry,
    processor_count,
    worker_number,
)

Result = TypeVar("Result")


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


class Sized(ParallelWorker):
    def process(self, item: str) -> int:
        return len(item)


class Silent(ParallelWorker):
    def process(self, item: str) -> None:
        print(item)


class Perhaps(ParallelWorker):
    def process(self, item: str) -> str | None:
        return item or None


class Tagged(str):
    pass


class Tagger(Doubler):
    def setup(self) -> None:
        print("setup")

    def process(self, item: str) -> Tagged:
        return Tagged(item)


class Whatever(ParallelWorker):
    def process(self, item: Any) -> Any:
        return item


def size_of(item: str) -> int:
    return len(item)


def greet(word: str, item: str) -> str:
    return f"{word} {item}"


async def later(item: str) -> str:
    return item


def lines() -> Iterator[str]:
    yield ""


# Without a codec: text.
assert_type(Parallel(Doubler()).map_processes(["a"]), list[str])
assert_type(Parallel(Doubler(), codec=None).map_processes(["a"]), list[str])
assert_type(Parallel(str).map_processes(range(3)), list[str])
assert_type(Parallel(lambda item: item).map_processes(lines()), list[str])
assert_type(Parallel(Doubler()).each_process(["a"]), int)
assert_type(Parallel(Doubler(), window=3).imap_processes(lines()), Stream[str])
assert_type(Parallel(Doubler()).imap_processes(input), Stream[str])
assert_type(Parallel(Doubler()).as_completed(["a"]), Stream[Outcome[str]])
assert_type(next(Parallel(Maker(), codec=Points()).imap_processes([1])), Point)
streamed: Iterator[str] = Parallel(Doubler(), max_items_per_child=2, in_processes=1).imap_processes(
    []
)
assert_type(AbortedError("said", outcomes=[]).outcomes, list[Outcome[Any]])
Parallel(Doubler()).imap_processes(3)  # type: ignore[arg-type]
Parallel(size_of).imap_processes(["a"])  # type: ignore[misc]
Parallel(Doubler()).abort()
assert_type(Parallel(print).each_process(["a"]), int)

assert_type(Parallel(Tagger()).map_processes(["a"]), list[str])
assert_type(Parallel(Whatever()).map_processes(["a"]), list[str])
assert_type(Parallel(ParallelWorker()).map_processes(["a"]), list[str])
assert_type(Parallel(Doubler().process).map_processes(["a"]), list[str])
assert_type(Parallel(partial(greet, "hello")).map_processes(["a"]), list[str])
assert_type(Parallel(os.path.basename).map_processes(["a"]), list[str])
assert_type(Parallel(json.dumps).outcomes([1]), list[Outcome[str]])

# Where nobody asks for a result it may be anything.
assert_type(Parallel(Maker()).each_process([1]), int)
assert_type(Parallel(Silent()).each_process(["a"]), int)
assert_type(Parallel(size_of, in_processes=2).each_process(["a"]), int)

# With one: what its loads returns.
assert_type(Parallel(Sized(), codec=json).map_processes(["a"]), list[Any])
assert_type(Parallel(Silent(), codec=pickle).outcomes(["a"]), list[Outcome[Any]])
assert_type(Parallel(Doubler(), codec=Points()).map_processes([1]), list[Point])
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


def either(worker: ParallelWorker | Callable[[Any], Any]) -> list[str]:
    return Parallel(worker).map_processes(["a"])


def of_any_type(fan_out: Parallel[Result], items: list[str]) -> list[Result]:
    assert_type(fan_out.outcomes(items), list[Outcome[Result]])
    return fan_out.map_processes(items)


assert_type(of_any_type(Parallel(Maker(), codec=Points()), ["a"]), list[Point])
assert_type(of_any_type(Parallel(Doubler()), ["a"]), list[str])


class Mine(Parallel[Point]):
    def __init__(self) -> None:
        super().__init__(Maker(), codec=Points(), in_processes=2)


assert_type(Mine().map_processes([1]), list[Point])


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
Parallel(3)  # type: ignore[call-overload]
Parallel(Doubler(), 2)  # type: ignore[call-overload]
Parallel(Doubler(), codec=3)  # type: ignore[call-overload]
Parallel(Maker(), codec=Broken())  # type: ignore[call-overload]
Parallel(Doubler()).map_processes(3)  # type: ignore[arg-type]
Parallel(Doubler(), in_proceses=2)  # type: ignore[call-overload]
Parallel(Doubler(), on_error="ignore")  # type: ignore[call-overload]
Parallel(Doubler(), timeout="1")  # type: ignore[call-overload]
Parallel(Doubler(), in_processes=2.0)  # type: ignore[call-overload]
Parallel(Doubler(), on_start=lambda index: None)  # type: ignore[call-overload]
Parallel(Doubler(), progress=3)  # type: ignore[call-overload]
Sock.sphttp_hmac_sha256_hex(3, b"")  # type: ignore[arg-type]
digest_files([3])  # type: ignore[list-item]
FileDigest(algorithm="md5")  # type: ignore[arg-type]
digest_files(["a"], algorithm="md5")  # type: ignore[call-overload]
digest_files(["a"], on_error="ignore")  # type: ignore[call-overload]

# Results that are no text, and no codec.
Parallel(Maker()).map_processes([1])  # type: ignore[misc]
Parallel(Maker()).outcomes([1])  # type: ignore[misc]
Parallel(Maker(), codec=None).map_processes([1])  # type: ignore[misc]
Parallel(Maker(), in_processes=2, timeout=1).map_processes([1])  # type: ignore[misc]
Parallel(Sized()).map_processes(["a"])  # type: ignore[misc]
Parallel(Silent()).map_processes(["a"])  # type: ignore[misc]
Parallel(Perhaps()).map_processes(["a"])  # type: ignore[misc]
Parallel(size_of).map_processes(["a"])  # type: ignore[misc]
Parallel(print).map_processes(["a"])  # type: ignore[misc]
Parallel(lambda item: len(str(item))).outcomes(["a"])  # type: ignore[misc]
Parallel(later).map_processes(["a"])  # type: ignore[misc]
by_parameter(Parallel(Sized()), ["a"])  # type: ignore[arg-type]


# Ways to end a call early.
def give(item: str) -> str:
    raise Kill(item) if item else Break


class Counter:
    """Progress of one's own."""

    def update(self, n: int) -> None:
        pass


Parallel(give, progress=Counter())


# What users hand in, by its public type.
def note_start(index: int, item: Any) -> None:
    print(index, item)


def note_end(outcome: Outcome[Any]) -> int:
    return outcome.index


begins: OnStart = note_start
ends: OnFinish = note_end
counted: Progress = Counter()
pointed: Codec[Point] = Points()
Parallel(Maker(), codec=pointed, on_start=begins, on_finish=ends, progress=counted)


# Numbers of any kind.
class Whole:
    def __index__(self) -> int:
        return 2


Parallel(give, in_processes=Whole(), retries=Whole())
Parallel(give, timeout=Fraction(1, 3), deadline=Decimal("0.5"))
digest_files(
    ["a"], algorithm="sha256", on_error="finish", in_processes=Whole(), timeout=Fraction(1)
)


def on_executors(pool: ThreadPoolExecutor) -> None:
    p = Parallel(Doubler(), executor=pool, in_processes=2, chunk_size=10)
    assert_type(p.map_processes(["a"]), list[str])
    assert_type(p.outcomes(["a"])[0].host, str | None)
    assert_type(digest_files(["/a"], executor=pool, in_processes=True), list[str])
    assert_type(early_entry(p), Callable[[], None])
