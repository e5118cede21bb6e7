"""executor=: the results, errors and hooks of a call are those of a call with children here."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import pickle
import signal
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from clusters import Odd, Serial, end_kept, executor_of
from support import children, run_case, until

from tep_parallel import (
    AsyncParallel,
    Break,
    DeadWorkerError,
    FileDigest,
    Kill,
    Outcome,
    Parallel,
    ParallelWorker,
    WorkerError,
    dask_plugin,
    digest_files,
    early_entry,
    worker_number,
)

TEXTS = ["1", "", "a\0b", "\udcff", "\U0001f600" * 3, "x" * 70_000]
N = pytest.mark.parametrize("n", [None, 2], ids=["in the worker", "with children"])


@pytest.fixture
def threads() -> Iterator[Executor]:
    with executor_of("threads") as pool:
        yield pool


@pytest.mark.parametrize("kind", ["threads", "fork", "spawn"])
@N
def test_every_method_gives_what_it_gives_without_an_executor(kind: str, n: int | None) -> None:
    class Twice(ParallelWorker):  # of no module that the other side could import
        def process(self, item: Any) -> str:
            return f"{item}{item}"

    items = [*TEXTS, 5, ("a", 1)]
    want = [f"{item}{item}" for item in items]
    with executor_of(kind) as pool:
        p = Parallel(Twice(), executor=pool, in_processes=n)
        assert p.map_processes(items) == want
        assert p.each_process(items) == 0
        assert list(p.imap_processes(iter(items))) == want
        assert [one.result for one in p.outcomes(items)] == want
        by_index = sorted(p.as_completed(iter(items)), key=lambda one: one.index)
        assert [(one.item, one.result) for one in by_index] == list(zip(items, want, strict=True))
        assert p.map_processes([]) == []


@N
def test_results_come_in_input_order_in_chunks_of_any_size(
    threads: Executor, n: int | None
) -> None:
    items = [str(i) for i in range(2000)]
    for size in (None, 1 if n is None else 50, 7, 5000):
        p = Parallel(lambda item: item, executor=threads, in_processes=n, chunk_size=size)
        assert p.map_processes(items) == items
        assert list(p.imap_processes(items)) == items


@N
@pytest.mark.parametrize("codec", [json, pickle], ids=["json", "pickle"])
def test_a_codec_is_called_there_and_here(threads: Executor, n: int | None, codec: Any) -> None:
    p = Parallel(lambda item: [item, 1], executor=threads, in_processes=n, codec=codec)
    assert p.map_processes(["a", "b"]) == [["a", 1], ["b", 1]]
    assert [one.result for one in p.outcomes(["a"])] == [["a", 1]]


class Own(Exception):
    """Made by its own __init__ only with two arguments."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one)
        self.two = two


def fail_at_57(item: str) -> str:
    if item == "57":
        try:
            int("x")
        except ValueError as error:
            raise Own("one", "two") from error
    return item


@N
def test_an_exception_arrives_as_itself_with_the_index_of_the_call(
    threads: Executor, n: int | None
) -> None:
    p = Parallel(fail_at_57, executor=threads, in_processes=n, chunk_size=10)
    with pytest.raises(Own) as caught:
        p.map_processes([str(i) for i in range(100)])
    error = caught.value
    assert (error.args, error.two) == (("one",), "two")
    assert "fail_at_57" in str(error.__cause__)
    assert isinstance(error.__cause__.__cause__, ValueError)  # type: ignore[union-attr]
    assert any("item 57 ('57')" in note for note in getattr(error, "__notes__", ["item 57 ('57')"]))


@N
def test_without_rebuild_exceptions_nothing_is_unpickled(threads: Executor, n: int | None) -> None:
    p = Parallel(fail_at_57, executor=threads, in_processes=n, rebuild_exceptions=False)
    (outcome,) = p.outcomes(["57"])
    assert type(outcome.error) is WorkerError
    assert outcome.error.remote_type.endswith("Own")


def end_by_exit(item: str) -> str:
    if item == "5":
        raise SystemExit(7)
    return item


@N
def test_system_exit_is_the_end_of_a_child_and_not_of_the_worker(
    threads: Executor, n: int | None
) -> None:
    p = Parallel(end_by_exit, executor=threads, in_processes=n, chunk_size=4)
    outcomes = p.outcomes([str(i) for i in range(9)])
    assert [one.index for one in outcomes if not one.ok] == [5]
    error = outcomes[5].error
    assert isinstance(error, DeadWorkerError)
    assert (error.index, error.exit_code, outcomes[5].exit_code) == (5, 7, 7)


@N
def test_a_result_that_is_no_text_is_refused_by_name(threads: Executor, n: int | None) -> None:
    p: Any = Parallel(len, executor=threads, in_processes=n)  # type: ignore[type-var,arg-type,unused-ignore]
    with pytest.raises(TypeError, match=r"len: expected a str for item 0 \('abc'\), got int"):
        p.map_processes(["abc"])


@N
def test_break_ends_a_call_and_gives_its_value(threads: Executor, n: int | None) -> None:
    def stop_at_3(item: str) -> str:
        if item == "3":
            raise Break("over")
        return item

    p = Parallel(stop_at_3, executor=threads, in_processes=n, chunk_size=2)
    items = [str(i) for i in range(500)]
    assert p.map_processes(items) == "over"
    assert p.each_process(items) == "over"
    assert list(p.imap_processes(items)) == ["0", "1", "2"]
    begun = p.outcomes(items)
    assert 4 <= len(begun) < 500
    assert all(one.attempts for one in begun)


def test_kill_ends_what_runs(threads: Executor, tmp_path: Path) -> None:
    def kill_or_sleep(item: str) -> str:
        if item == "kill":
            until(lambda: len(list(tmp_path.iterdir())) == 1)
            raise Kill("over")
        Path(tmp_path, str(os.getpid())).touch()
        time.sleep(60)
        return item

    p = Parallel(kill_or_sleep, executor=threads, in_processes=1, chunk_size=1)
    assert p.map_processes(["sleep", "kill"]) == "over"
    (pid,) = [int(path.name) for path in tmp_path.iterdir()]
    until(lambda: not Path(f"/proc/{pid}").exists())


@N
def test_after_a_failure_no_item_is_begun_unless_all_are_wanted(
    threads: Executor, n: int | None, tmp_path: Path
) -> None:
    def fail(item: str) -> str:
        Path(tmp_path, item).touch()
        raise ValueError(item)

    items = [str(i) for i in range(300)]
    p = Parallel(fail, executor=threads, in_processes=n, chunk_size=1)
    with pytest.raises(ValueError, match="0"):
        p.map_processes(items)
    assert len(list(tmp_path.iterdir())) < 100
    p = Parallel(fail, executor=threads, in_processes=n, on_error="finish")
    with pytest.raises(ValueError, match="0") as caught:
        p.map_processes(items)
    assert len(caught.value.other_failures) == 299  # type: ignore[attr-defined]
    assert len(list(tmp_path.iterdir())) == 300


def test_a_failure_does_not_end_what_is_before_it(threads: Executor) -> None:
    def fail(item: str) -> str:
        if item == "0":
            time.sleep(0.5)
        raise ValueError(item)

    with pytest.raises(ValueError, match=r"^0"):
        Parallel(fail, executor=threads, in_processes=1, chunk_size=1).map_processes(["0", "1"])


def test_the_first_failure_by_input_order_is_raised_although_another_came_first() -> None:
    def late_or_not(number: int, function: Any, data: bytes) -> bytes:
        if number == 1:
            time.sleep(0.2)
        return function(data)  # type: ignore[no-any-return]

    def fail(item: str) -> str:
        raise ValueError(item)

    with Odd(late_or_not) as pool, pytest.raises(ValueError, match=r"^0"):
        Parallel(fail, executor=pool, chunk_size=1).map_processes(["0", "1"])


def test_an_item_that_ends_its_child_and_one_that_hangs_are_named(threads: Executor) -> None:
    def harm(item: str) -> str:
        if item == "3":
            os.kill(os.getpid(), signal.SIGSEGV)
        if item == "5":
            time.sleep(60)
        return item

    p = Parallel(harm, executor=threads, in_processes=2, timeout=0.5, retries=1)
    outcomes = p.outcomes([str(i) for i in range(20)])
    assert [type(one.error).__name__ for one in outcomes if not one.ok] == [
        "DeadWorkerError",
        "ItemTimeoutError",
    ]
    assert "item 3 ('3')" in str(outcomes[3].error)
    assert (outcomes[3].signal, outcomes[3].attempts) == (signal.SIGSEGV, 2)
    assert "item 5 ('5')" in str(outcomes[5].error)
    assert "after 0.5 s" in str(outcomes[5].error)


class Hooked(ParallelWorker):
    """Fails where it is told to."""

    def __init__(self, where: str = "", how: Any = ValueError) -> None:
        self.where, self.how = where, how
        self.ready = False

    def setup(self) -> None:
        self.ready = True
        if self.where == "setup":
            raise self.how("said")

    def process(self, item: str) -> str:
        return f"{item} {self.ready}"

    def teardown(self) -> None:
        if self.where == "teardown":
            raise self.how("said")


@N
@pytest.mark.parametrize("where", ["setup", "teardown"])
def test_a_setup_or_teardown_that_fails_there_fails_the_call(
    threads: Executor, n: int | None, where: str
) -> None:
    assert Parallel(Hooked(), executor=threads, in_processes=n).map_processes(["a"]) == ["a True"]
    p = Parallel(Hooked(where), executor=threads, in_processes=n)
    with pytest.raises(ValueError, match="said"):
        p.map_processes(["a", "b"])
    with pytest.raises(ValueError, match="said"):
        list(p.as_completed(["a", "b"]))
    with pytest.raises(DeadWorkerError, match=where):
        Parallel(Hooked(where, SystemExit), executor=threads, in_processes=n).outcomes(["a"])


@N
def test_an_outcome_says_where_and_when_the_item_ran(threads: Executor, n: int | None) -> None:
    before = time.monotonic()
    p = Parallel(lambda item: time.sleep(0.05) or item, executor=threads, in_processes=n)
    outcomes = p.outcomes(["a", "b"])
    after = time.monotonic()
    for one in outcomes:
        assert one.host == os.uname().nodename
        assert (one.pid == os.getpid()) == (n is None)
        assert one.started is not None
        assert before <= one.started <= after
        assert 0.05 <= one.seconds <= after - before
    assert Parallel(str).outcomes(["a"])[0].host == os.uname().nodename


@N
def test_the_caller_is_told_of_each_item(threads: Executor, n: int | None) -> None:
    started: list[tuple[int, Any]] = []
    ended: list[Outcome[Any]] = []
    counts: list[int] = []

    class Bar:
        def update(self, n: int) -> None:
            counts.append(n)

    p = Parallel(
        lambda item: item,
        executor=threads,
        in_processes=n,
        on_start=lambda index, item: started.append((index, item)),
        on_finish=ended.append,
        progress=Bar(),
    )
    items = [str(i) for i in range(50)]
    assert p.map_processes(items) == items
    assert started == list(enumerate(items))
    assert sorted(one.index for one in ended) == list(range(50))
    assert sum(counts) == 50
    assert all(one.pid for one in ended)


@N
def test_a_hook_that_raises_ends_the_call(threads: Executor, n: int | None) -> None:
    def refuse(outcome: Outcome[Any]) -> None:
        raise KeyError(outcome.index)

    p = Parallel(lambda item: item, executor=threads, in_processes=n, on_finish=refuse)
    with pytest.raises(KeyError):
        p.map_processes(["a", "b"])


@N
def test_an_endless_input_is_pulled_no_further_than_the_window(
    threads: Executor, n: int | None
) -> None:
    pulled = 0

    def count() -> Iterator[str]:
        nonlocal pulled
        for pulled in itertools.count(1):
            yield str(pulled)

    p = Parallel(lambda item: item, executor=threads, in_processes=n, window=10)
    stream = p.imap_processes(count())
    assert [next(stream) for _ in range(100)] == [str(i) for i in range(1, 101)]
    assert pulled <= 110
    stream.close()
    stream = Parallel(lambda item: item, executor=threads, in_processes=n).imap_processes(count())
    assert next(stream) == "1"
    stream.close()


def test_a_slow_input_does_not_hold_up_the_items_that_have_come() -> None:
    seen: list[str] = []

    def slow() -> Iterator[str]:
        yield "a"
        until(lambda: seen)
        yield "b"

    # The worker there is a copy, with a list of its own: what is seen is what on_finish says.
    p = Parallel(lambda item: item, executor=Serial(), on_finish=lambda one: seen.append(one.item))
    stream = p.imap_processes(slow())
    assert next(stream) == "a"
    assert list(stream) == ["b"]


def test_children_are_kept_for_other_calls_and_end_with_the_block() -> None:
    with ThreadPoolExecutor(1) as pool:
        with Parallel(lambda _: str(os.getpid()), executor=pool, in_processes=1) as p:
            first = p.map_processes(["a"])
            assert p.map_processes(["a"]) == first
        until(lambda: children(servers=True) == [])


def test_children_end_after_a_while_without_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tep_parallel._cluster.kept.IDLE", 0.1)
    with ThreadPoolExecutor(1) as pool:
        p = Parallel(lambda _: str(os.getpid()), executor=pool, in_processes=1)
        (pid,) = p.map_processes(["a"])
        until(lambda: not Path("/proc", pid).exists())
        assert p.map_processes(["a"]) != [pid]
    end_kept()


def test_a_worker_has_a_number_there(threads: Executor) -> None:
    for n in (None, 1):
        p = Parallel(lambda _: str(worker_number()), executor=threads, in_processes=n)
        assert p.map_processes(["a"]) == ["0"]


@N
def test_digests_are_those_of_one_machine(threads: Executor, n: int | None, tmp_path: Path) -> None:
    paths: list[Any] = []
    for i in range(40):
        paths.append(tmp_path / f"{i}")
        paths[-1].write_bytes(bytes(i) * i)
    want = digest_files(paths, b"key")
    assert digest_files(paths, b"key", executor=threads, in_processes=n) == want
    p = Parallel(FileDigest(b"key"), executor=threads, in_processes=n, chunk_size=7)
    assert p.map_processes(paths) == want
    assert list(p.imap_processes(map(str, paths))) == want
    (tmp_path / "13").unlink()
    found: list[Any] = digest_files(
        paths, b"key", executor=threads, in_processes=n, return_exceptions=True
    )
    assert [i for i, one in enumerate(found) if not isinstance(one, str)] == [13]
    assert (type(found[13]), found[13].filename) == (FileNotFoundError, paths[13])


def test_digests_count_the_bytes(threads: Executor, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(1000))
    counts: list[int] = []

    class Bar:
        def update(self, n: int) -> None:
            counts.append(n)

    digest_files([tmp_path / "a"], progress=Bar(), executor=threads, in_processes=1)
    assert sum(counts) == 1000


@N
def test_the_methods_of_async_parallel(threads: Executor, n: int | None, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")

    async def some() -> AsyncIterator[str]:
        for i in range(20):
            await asyncio.sleep(0)
            yield str(i)

    async def main() -> None:
        p = AsyncParallel(lambda item: item * 2, executor=threads, in_processes=n)
        want = [str(i) * 2 for i in range(20)]
        assert await p.map_processes(map(str, range(20))) == want
        assert await p.map_processes(some()) == want
        assert await p.each_process(some()) == 0
        assert [one.result for one in await p.outcomes(some())] == want
        assert [one async for one in p.imap_processes(some())] == want
        assert len([one async for one in p.as_completed(some())]) == 20
        assert await p.digest_files([tmp_path / "a"]) == digest_files([tmp_path / "a"])
        async with p:
            assert await p.map_processes(["1"]) == ["11"]
        q = AsyncParallel(fail_at_57, executor=threads, in_processes=n)
        with pytest.raises(Own):
            await q.map_processes(["1", "57"])

    asyncio.run(main())


def test_a_cancelled_task_ends_what_runs(threads: Executor, tmp_path: Path) -> None:
    def sleep(item: str) -> str:
        Path(tmp_path, str(os.getpid())).touch()
        time.sleep(60)
        return item

    async def main() -> None:
        p = AsyncParallel(sleep, executor=threads, in_processes=1)
        task = asyncio.create_task(p.map_processes(["a"]))
        while not list(tmp_path.iterdir()):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    (pid,) = [path.name for path in tmp_path.iterdir()]
    until(lambda: not Path("/proc", pid).exists())


def test_a_block_can_be_entered_early() -> None:
    with ThreadPoolExecutor(1) as pool:
        p = Parallel(Hooked(), executor=pool, in_processes=1)
        enter = pickle.loads(pickle.dumps(early_entry(p)))
        enter()
        assert p.map_processes(["a"]) == ["a True"]
        enter.__self__.leave()
        q = Parallel(Hooked("teardown"), executor=pool, in_processes=1)
        enter = early_entry(q)
        enter()
        assert q.map_processes(["a"]) == ["a True"]
        with pytest.raises(ValueError, match="said"):
            enter.__self__.leave()
        with pytest.raises(ValueError, match="in_processes=N"):
            early_entry(Parallel(str, executor=pool))
        with pytest.raises(TypeError, match="expected a Parallel"):
            dask_plugin(str)  # type: ignore[arg-type]


def test_without_an_executor_nothing_of_it_is_imported() -> None:
    run_case("cluster_imports")
