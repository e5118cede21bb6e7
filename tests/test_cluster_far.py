"""executor=: what its workers do when calls are stopped, interrupted, overdue or left."""

from __future__ import annotations

import os
import pickle
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from clusters import Gate, Odd, end_kept, executor_of
from support import children, until

from tep_parallel import (
    AbortedError,
    Break,
    DeadlineError,
    FileDigest,
    Parallel,
    ParallelWorker,
    WorkerError,
    early_entry,
)
from tep_parallel._cluster import deadline, far, kept, wire
from tep_parallel._cluster.deadline import Deadline, deadline_of
from tep_parallel._cluster.run import far_options
from tep_parallel._engine.call import Call
from tep_parallel._engine.statuses import NOT_BEGUN

N = pytest.mark.parametrize("n", [None, 2], ids=["in the worker", "with children"])


def same(item: str) -> str:
    return item


@pytest.fixture(autouse=True)
def nothing_is_kept(nothing_is_left: Path) -> Iterator[None]:
    yield
    end_kept()


class Slow(ParallelWorker):
    """The first item ends the call once an item of the second chunk runs."""

    def __init__(self, seen: Path, error: BaseException) -> None:
        self.seen, self.error = seen, error

    def process(self, item: str) -> str:
        (self.seen / item).touch()
        if item == "0":
            until(lambda: (self.seen / "100").exists())
            raise self.error
        time.sleep(0.05)
        return item


class SlowWithTeardown(Slow):
    def teardown(self) -> None:
        """Children are those of a chunk alone."""


@pytest.mark.parametrize("kind", [Slow, SlowWithTeardown])
@pytest.mark.parametrize("error", [Break("over"), ValueError("0")], ids=["break", "failure"])
def test_a_chunk_that_runs_with_children_begins_no_more_once_its_call_stops(
    kind: type[Slow], error: Exception, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(2) as pool:
        p = Parallel(kind(tmp_path, error), executor=pool, in_processes=1, chunk_size=100)
        items = [str(i) for i in range(200)]
        if isinstance(error, Break):
            assert p.map_processes(items) == "over"
        else:
            with pytest.raises(ValueError, match="0"):
                p.map_processes(items)
    assert len(list(tmp_path.iterdir())) < 60


def test_a_stop_costs_no_child_that_is_kept(tmp_path: Path) -> None:
    """The next call has those that the stopped one had."""
    with ThreadPoolExecutor(2) as pool:
        worker = Slow(tmp_path, Break("over"))
        p = Parallel(worker, executor=pool, in_processes=1, chunk_size=100)
        assert p.map_processes(map(str, range(200))) == "over"
        for path in tmp_path.iterdir():
            path.unlink()
        assert p.map_processes(map(str, range(200))) == "over"
        assert p.map_processes(["1", "2"]) == ["1", "2"]


def chunk_for(worker: Any, items: list[Any], **others: Any) -> wire.Chunk:
    """A chunk as a call with in_processes=1 sends it."""
    p = Parallel(worker, executor=Odd(), in_processes=1)
    given: dict[str, Any] = {
        "call": os.urandom(16),
        "number": 1,
        "first": 0,
        "nonce": bytes(16),
        "key": bytes(32),
        "worker": os.urandom(32),
        "bundle": pickle.dumps((worker, None)),
        "options": far_options(p._options),
        "key_of_digests": False,
        "on_error": "stop",
        "discard": False,
        "told": False,
        "deadline": None,
        "items": items,
        **others,
    }
    return wire.Chunk(**given)


class WithTeardown(ParallelWorker):
    def process(self, item: str) -> str:
        return item

    def teardown(self) -> None:
        """Children are those of a chunk alone."""


@pytest.mark.parametrize("worker", [str, WithTeardown(), FileDigest()], ids=["", "teardown", "C"])
def test_what_is_stopped_before_it_begins_begins_nothing(worker: Any) -> None:
    key = None if isinstance(worker, FileDigest) else False
    chunk = chunk_for(worker, ["/etc/hosts"] * 5, key_of_digests=key)
    assert chunk.bundle is not None
    found = kept.work(chunk, chunk.bundle, None, lambda call: call.stop())
    assert [record.fate for record in found.records.values()] == [NOT_BEGUN] * 5


def test_whoever_ends_a_call_is_told_which_of_its_chunks_run_here() -> None:
    here, chunk = far.here(), chunk_for(str, ["a"], first=5, number=7)
    stopped: list[str] = []

    class Noted:
        def stop(self) -> None:
            stopped.append("stop")

        def cancel(self) -> None:
            stopped.append("cancel")

    noted: Call = Noted()  # type: ignore[assignment]
    with here.running(chunk) as enter:
        assert far.end_call(chunk.call, 9) == [7]
        enter(noted)
        assert stopped == []
        assert far.end_call(chunk.call, 4) == [7]
        assert stopped == ["stop"]
        with here.running(chunk._replace(number=8)) as enter_other:
            enter_other(noted)
            assert stopped == ["stop", "stop"]
            assert far.end_call(chunk.call, far.ABORT) == [7, 8]
    assert stopped == ["stop", "stop", "cancel", "cancel"]
    assert far.end_call(chunk.call, far.ABORT) == []
    assert far.end_call(os.urandom(16), far.ABORT) == []
    assert here._running == {}


@pytest.mark.parametrize("kind", ["threads", "fork"])
def test_an_interrupt_that_process_raises_is_the_items_failure(kind: str) -> None:
    def interrupt(item: str) -> str:
        if item == "1":
            raise KeyboardInterrupt
        return item

    with executor_of(kind) as pool:
        p = Parallel(interrupt, executor=pool, chunk_size=3)
        outcomes = p.outcomes(["0", "1", "2"])
        assert [one.result for one in outcomes] == ["0", None, "2"]
        assert isinstance(outcomes[1].error, WorkerError)
        assert "item 1 ('1') raised KeyboardInterrupt" in str(outcomes[1].error)


@pytest.mark.parametrize("kind", ["threads", "fork"])
def test_an_interrupt_that_setup_raises_fails_the_call(kind: str) -> None:
    class Interrupts(ParallelWorker):
        def setup(self) -> None:
            raise KeyboardInterrupt

    with executor_of(kind) as pool, pytest.raises(WorkerError, match="KeyboardInterrupt"):
        Parallel(Interrupts(), executor=pool).map_processes(["a"])


def test_a_block_that_is_left_early_ends_after_its_last_chunk(tmp_path: Path) -> None:
    def work(item: str) -> str:
        (tmp_path / item).touch()
        until(lambda: (tmp_path / "go").exists())
        return item

    with ThreadPoolExecutor(2) as pool:
        p = Parallel(work, executor=pool, in_processes=1)
        enter = early_entry(p)
        enter()
        call = threading.Thread(target=lambda: found.extend(p.map_processes(["a", "b"])))
        found: list[str] = []
        call.start()
        until(lambda: (tmp_path / "a").exists())
        enter.__self__.leave()
        assert kept._of_this_process().entries == {}
        assert children(servers=True) != []
        (tmp_path / "go").touch()
        call.join()
        assert found == ["a", "b"]
        until(lambda: children(servers=True) == [])


class FailsAtLast(ParallelWorker):
    def __init__(self, seen: str) -> None:
        self.seen = seen

    def process(self, item: str) -> str:
        Path(self.seen, item).touch()
        until(lambda: Path(self.seen, "go").exists())
        return item

    def teardown(self) -> None:
        raise ValueError("said")


def test_a_teardown_that_fails_in_a_block_that_was_left_fails_the_last_call(
    tmp_path: Path,
) -> None:
    with ThreadPoolExecutor(1) as pool:
        p = Parallel(FailsAtLast(str(tmp_path)), executor=pool, in_processes=1)
        enter = early_entry(p)
        enter()

        def leave() -> None:
            until(lambda: (tmp_path / "a").exists())
            enter.__self__.leave()
            (tmp_path / "go").touch()

        thread = threading.Thread(target=leave)
        thread.start()
        with pytest.raises(ValueError, match="said"):
            p.map_processes(["a"])
        thread.join()


@N
def test_items_that_come_back_not_begun_although_nobody_ended_the_call_are_sent_again(
    n: int | None,
) -> None:
    sent: list[int] = []

    def end_the_first(number: int, function: Any, data: bytes) -> bytes:
        sent.append(number)
        call = wire.chunk_of(data).call
        if number == 1:
            far.end_call(call, far.ABORT)
        try:
            return function(data)  # type: ignore[no-any-return]
        finally:
            far.here()._ended.pop(call, None)

    items = [str(i) for i in range(6)]
    with Odd(end_the_first) as pool:
        p = Parallel(same, executor=pool, in_processes=n, chunk_size=6)
        assert p.map_processes(items) == items
    assert len(sent) == (2 if n else 3)


def test_items_that_never_begin_are_not_sent_for_ever() -> None:
    def end_all(number: int, function: Any, data: bytes) -> bytes:
        far.end_call(wire.chunk_of(data).call, far.ABORT)
        return function(data)  # type: ignore[no-any-return]

    with Odd(end_all) as pool:
        outcomes = Parallel(same, executor=pool, chunk_size=4).outcomes(["a", "b", "c", "d"])
    assert ["was lost" in str(one.error) for one in outcomes] == [True] * 4


@N
def test_after_a_failure_of_an_iterating_call_what_was_not_begun_is_not_sent_again(
    n: int | None,
) -> None:
    sent: list[str | bytes] = []

    def note(number: int, function: Any, data: bytes) -> bytes:
        sent.extend(wire.chunk_of(data).items)
        return function(data)  # type: ignore[no-any-return]

    def fail(item: str) -> str:
        if item == "0":
            raise ValueError(item)
        time.sleep(0.1)
        return item

    with Odd(note) as pool:
        p = Parallel(fail, executor=pool, in_processes=n, chunk_size=50)
        stream = p.imap_processes([str(i) for i in range(50)])
        with pytest.raises(ValueError, match="0"):
            next(stream)
    assert len(sent) == len(set(sent))


def test_the_thread_that_ends_idle_blocks_survives_one_that_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tep_parallel._cluster.kept.IDLE", 0.3)
    close, shown = kept.Kept.close, []

    def fail_once(block: kept.Kept, *, well: bool, failed: bool) -> None:
        close(block, well=well, failed=failed)
        if not shown:
            raise OSError("said")

    def show(found: Any) -> None:
        shown.append(str(found.exc_value))

    monkeypatch.setattr(kept.Kept, "close", fail_once)
    monkeypatch.setattr(threading, "excepthook", show)
    workers = [lambda item, i=i: item + str(i) for i in range(3)]
    with ThreadPoolExecutor(1) as pool:
        for worker in workers:
            assert Parallel(worker, executor=pool, in_processes=1).map_processes(["a"])
        until(lambda: children(servers=True) == [])
        until(lambda: shown == ["said"])  # it is shown after the children have ended
        assert Parallel(same, executor=pool, in_processes=1).map_processes(["a"]) == ["a"]
        until(lambda: children(servers=True) == [])
        until(lambda: kept._of_this_process().ends is None)


def test_a_block_that_cannot_be_closed_keeps_no_other_from_being_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    close, closed = kept.Kept.close, []

    def fail(block: kept.Kept, *, well: bool, failed: bool) -> None:
        close(block, well=well, failed=failed)
        closed.append(block)
        raise OSError("said")

    workers = [lambda item, i=i: item + str(i) for i in range(3)]
    with ThreadPoolExecutor(1) as pool:
        for worker in workers:
            assert Parallel(worker, executor=pool, in_processes=1).map_processes(["a"])
    with monkeypatch.context() as patch:
        patch.setattr(kept.Kept, "close", fail)
        with pytest.raises(OSError, match="said"):
            kept.end_idle()
    assert len(closed) == 3


def test_a_setup_that_failed_does_not_end_the_thread_that_ends_idle_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tep_parallel._cluster.kept.IDLE", 0.3)

    class Fails(ParallelWorker):
        def setup(self) -> None:
            raise ValueError("said")

    with ThreadPoolExecutor(1) as pool:
        for _ in range(2):
            p = Parallel(Fails(), executor=pool, in_processes=1)
            with pytest.raises(ValueError, match="said"):
                p.map_processes(["a"])
        until(lambda: children(servers=True) == [])
        until(lambda: kept._of_this_process().ends is None)


@pytest.mark.parametrize("kind", ["threads", "fork"])
def test_what_waits_in_the_engine_until_the_deadline_begins_nothing(
    kind: str, tmp_path: Path
) -> None:
    """Also where the engine cannot be told."""

    def work(item: str) -> str:
        (tmp_path / item).touch()
        return item

    for n in (None, 1):
        with executor_of(kind, 1) as pool, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for _ in range(3):  # the standard library hands some on before they can begin
                pool.submit(_wait, str(tmp_path))
            p = Parallel(work, executor=pool, in_processes=n, deadline=0.5)
            with pytest.raises(DeadlineError):
                p.map_processes(["a", "b"])
            (tmp_path / "go").touch()
            pool.submit(int).result()
        (tmp_path / "go").unlink()
    assert list(tmp_path.iterdir()) == []


def _wait(path: str) -> None:
    until(lambda: Path(path, "go").exists())


def test_a_chunk_is_given_what_is_left_when_it_begins_and_never_more() -> None:
    """On the same machine by its own clock, elsewhere by the time of day."""
    sent = deadline_of(time.monotonic() + 100)
    assert 99 < sent.left() <= 100
    assert sent._replace(seconds=10).left() == 10
    assert sent._replace(until=sent.until - 200).left() < 0
    elsewhere = sent._replace(clock="another", until=0.0)
    assert 99 < elsewhere.left() <= 100
    assert elsewhere._replace(wall=elsewhere.wall + 500).left() == elsewhere.seconds
    late = elsewhere._replace(wall=time.time() - 0.5)  # clocks differ by as much
    assert late.left() > 0
    assert late._replace(wall=time.time() - 2).left() < 0
    assert isinstance(pickle.loads(pickle.dumps(sent)), Deadline)
    assert deadline._clock() == deadline._clock() != ""


class FakeClient:
    """Its workers are threads of this process, and it hands end_call on as Dask's does."""

    def nthreads(self) -> dict[str, int]:
        return {"worker": 1}

    def run(self, function: Any, *args: Any, on_error: str) -> dict[str, Any]:
        assert on_error == "ignore"
        return {"worker": function(*args), "another": []}


class FakeDask(ThreadPoolExecutor):
    def __init__(self) -> None:
        super().__init__(1)
        self._client = FakeClient()


FakeDask.__module__ = "distributed.fake"


@N
@pytest.mark.parametrize("begins", [False, True], ids=["queued", "running"])
def test_an_abort_waits_and_warns_only_for_what_runs(
    n: int | None, begins: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tep_parallel._cluster.call.FAREWELL", 120.0)
    gate = Gate()

    def work(item: str) -> str:
        (tmp_path / item).touch()
        until(lambda: (tmp_path / "go").exists())
        return item

    with FakeDask() as pool:
        if not begins:
            pool.submit(gate.wait)
        p = Parallel(work, executor=pool, in_processes=n, chunk_size=1)

        def abort() -> None:
            until(lambda: (tmp_path / "a").exists() if begins else gate.waiting)
            time.sleep(0.1)  # so that the call has come to wait
            p.abort()

        thread = threading.Thread(target=abort)
        thread.start()
        begun = time.monotonic()
        with pytest.raises(AbortedError), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            p.map_processes(["a", "b"])
        assert time.monotonic() - begun < 60
        thread.join()
        # What runs in the worker itself ends by itself only.
        assert ["could not end" in str(one.message) for one in caught] == [True] * (
            begins and n is None
        )
        (tmp_path / "go").touch()
        gate.open()
    assert not (tmp_path / "b").exists()


def test_a_stop_that_nobody_can_be_told_says_so_once(tmp_path: Path) -> None:
    def work(item: str) -> str:
        (tmp_path / item).touch()
        if item == "0":
            until(lambda: (tmp_path / "2").exists())
            raise Break("over")
        until(lambda: (tmp_path / "go").exists())
        return item

    with Odd() as pool, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        p = Parallel(work, executor=pool, chunk_size=2)
        for _ in range(2):
            # Longer than the call waits before it warns.
            timer = threading.Timer(2.5, (tmp_path / "go").touch)
            timer.start()
            assert p.map_processes(map(str, range(4))) == "over"
            timer.join()
            for path in tmp_path.iterdir():
                path.unlink()
    assert ["begin no more items" in str(one.message) for one in caught] == [True]
