"""executor=: what the calling side makes of what it hears, and when it sends what."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any
from weakref import ref

import pytest
from clusters import Gate, Odd, Serial, end_kept
from support import until

from tep_parallel import (
    AbortedError,
    AsyncParallel,
    Break,
    DeadlineError,
    DeadWorkerError,
    Outcome,
    Parallel,
)
from tep_parallel._cluster import run as cluster_run
from tep_parallel._cluster import wire
from tep_parallel._cluster.engine import Engine
from tep_parallel._cluster.finder import FarFinder
from tep_parallel._cluster.run import FarFed, FarGathering
from tep_parallel._engine import gathering

N = pytest.mark.parametrize("n", [None, 1], ids=["in the worker", "with children"])


@pytest.fixture(autouse=True)
def nothing_is_kept(nothing_is_left: Path) -> Iterator[None]:
    yield
    end_kept()


def same(item: str) -> str:
    return item


@N
def test_a_slow_consumer_does_not_move_when_an_item_started(n: int | None) -> None:
    with ThreadPoolExecutor(1) as pool:
        p = Parallel(lambda _: repr(time.monotonic()), executor=pool, in_processes=n, chunk_size=1)
        for one in p.as_completed(["0", "1", "2"]):
            assert one.started is not None
            assert abs(one.started - float(str(one.result))) < 0.3
            time.sleep(0.5)


def whole(outcome: Outcome[Any]) -> bool:
    return bool(outcome.pid and outcome.started and outcome.host and outcome.seconds > 0)


@N
@pytest.mark.parametrize("error", [DeadlineError, AbortedError])
def test_the_outcomes_of_a_call_that_was_cut_short_are_whole(n: int | None, error: Any) -> None:
    gate = Gate()

    def hold(number: int, function: Any, data: bytes) -> bytes:
        if number == 2:
            gate.wait()
        return function(data)  # type: ignore[no-any-return]

    def abort() -> None:
        until(lambda: gate.waiting)
        time.sleep(0.5)
        p.abort()

    def work(item: str) -> str:
        time.sleep(0.002)
        return item

    with Odd(hold) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        deadline = 2.0 if error is DeadlineError else None
        p = Parallel(work, executor=pool, in_processes=n, chunk_size=2, deadline=deadline)
        thread = threading.Thread(target=abort)
        if deadline is None:
            thread.start()
        with pytest.raises(error) as caught:
            p.map_processes(["a", "b", "c", "d", "e", "f"])
        gate.open()
    assert [one.index for one in caught.value.outcomes] == [0, 1, 4, 5]
    assert all(map(whole, caught.value.outcomes))


class Lost(Exception):
    """What an engine raises for a chunk whose worker ended."""


class Refusing(Serial):
    """Its submit raises from the fourth chunk on."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        if len(self.futures) == 3:
            raise self.error
        return super().submit(fn, *args, **kwargs)


@pytest.mark.parametrize(
    "error", [RuntimeError("shut"), OSError("shut"), StopIteration("shut"), BrokenExecutor("shut")]
)
@pytest.mark.parametrize("method", ["map_processes", "imap_processes", "as_completed"])
def test_what_submit_raises_names_the_items_that_were_not_reported(
    error: Exception, method: str
) -> None:
    p = Parallel(same, executor=Refusing(error), chunk_size=1)
    with pytest.raises(DeadWorkerError, match=r"Refusing failed .*shut.*items 3.* were") as caught:
        list(getattr(p, method)(["0", "1", "2", "3", "4"]))
    assert caught.value.__cause__ is error


def test_a_lost_chunk_whose_submit_raises_fails_the_call() -> None:
    class Again(Serial):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            if self.futures:
                raise RuntimeError("shut")
            future: Future[Any] = Future()
            future.set_exception(Lost())
            self.futures.append(ref(future))
            return future

    with pytest.raises(DeadWorkerError, match=r"shut.*items 0, 1 were not reported"):
        Parallel(same, executor=Again()).map_processes(["0", "1"])


@N
def test_what_the_engine_raised_is_the_cause_of_an_items_failure(n: int | None) -> None:
    def lose(number: int, function: Any, data: bytes) -> bytes:
        raise Lost("killed worker 7")

    with Odd(lose) as pool:
        outcomes = Parallel(same, executor=pool, in_processes=n).outcomes(["0", "1"])
    for one in outcomes:
        assert isinstance(one.error, DeadWorkerError)
        assert type(one.error.__cause__) is Lost
        assert "killed worker 7" in str(one.error.__cause__)


def test_the_attempts_of_an_item_that_ends_its_worker_are_counted() -> None:
    def end_with_1(number: int, function: Any, data: bytes) -> bytes:
        if "1" in wire.chunk_of(data).items:
            raise Lost
        return function(data)  # type: ignore[no-any-return]

    with Odd(end_with_1) as pool:
        outcomes = Parallel(same, executor=pool, chunk_size=2).outcomes(["0", "1"])
    assert [one.attempts for one in outcomes] == [2, 2]


@N
@pytest.mark.parametrize("error", [ValueError, Break])
def test_after_a_stop_what_is_behind_is_not_sent_again_and_what_is_before_is(
    n: int | None, error: Any
) -> None:
    lost: list[str | bytes] = []
    gate = Gate()

    def lose(number: int, function: Any, data: bytes) -> bytes:
        item = wire.chunk_of(data).items[0]
        if item == "2":
            until(lambda: gate.waiting == 2)
        elif item not in lost and item in ("0", "4"):
            lost.append(item)
            gate.wait()
            raise Lost
        return function(data)  # type: ignore[no-any-return]

    class Three(Odd):
        _max_workers = 3

    def work(item: str) -> str:
        if item == "2":
            raise error(item)
        return item

    def is_over(outcome: Outcome[Any]) -> None:
        if outcome.index == 2:
            gate.open()

    with Three(lose, workers=3) as pool:
        p = Parallel(work, executor=pool, in_processes=n, chunk_size=2, on_finish=is_over)
        items = ["0", "1", "2", "3", "4", "5"]
        if error is Break:
            assert str(p.map_processes(items)) == "2"
        else:
            with pytest.raises(error):
                p.map_processes(items)
        assert len(pool.sizes) == (3 + 2 if n is None else 3 + 1)


class Scheduler:
    """A client of Dask whose scheduler answers when the gate is open."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.asked = 0

    def nthreads(self) -> dict[str, int]:
        self.asked += 1
        self.gate.wait()
        return {"worker": 3}

    def run(self, *args: Any, **kwargs: Any) -> None:
        self.gate.wait()


def askers() -> int:
    return sum(one.name == "tep_parallel-engine" for one in threading.enumerate())


def test_one_thread_asks_a_scheduler_for_all_calls() -> None:
    class ClientExecutor(Odd):
        def __init__(self, client: Any) -> None:
            super().__init__()
            self._client = client

    ClientExecutor.__module__ = "distributed.cfexecutor"
    client = Scheduler()
    with ClientExecutor(client) as pool, ClientExecutor(client) as other:
        for _ in range(10):
            assert Parallel(same, executor=pool).map_processes(["a"]) == ["a"]
            assert Parallel(same, executor=other).map_processes(["a"]) == ["a"]
            stream = Parallel(same, executor=pool, chunk_size=1).imap_processes(["a"] * 9)
            next(stream)
            stream.close()
        assert askers() <= 2
        assert client.asked == 1
        client.gate.open()
        until(lambda: askers() == 0)
        engine = Engine(other)
        assert engine.workers() == 3
        engine.count(lambda error: None)  # not again so soon
        assert client.asked == 1


@pytest.mark.parametrize("method", ["imap_processes", "as_completed"])
def test_a_small_iterating_call_has_few_cells(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cells: list[int] = []
    settle = FarFed._settle

    def count(flow: FarFed) -> set[int]:
        cells.append(len(flow._numbers))
        return settle(flow)

    monkeypatch.setattr(FarFed, "_settle", count)
    p = Parallel(same, executor=Serial())
    assert len(list(getattr(p, method)(["a", "b"]))) == 2
    assert max(cells) <= 2
    many = [str(i) for i in range(3000)]
    assert list(p.imap_processes(many)) == many
    assert cells[-1] <= 3000


class Slow:
    """Takes its time to be pickled."""

    def __reduce__(self) -> Any:
        time.sleep(0.005)
        return str, ("a",)


def test_the_loop_goes_on_while_items_are_pickled() -> None:
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async def main() -> None:
        with Odd() as pool:
            p = AsyncParallel(len, executor=pool, codec=json)
            ticks = asyncio.create_task(turn())
            items = [Slow() for _ in range(200)]
            with pytest.raises(TypeError, match=r"item 200 .*cannot be shipped"):
                await p.map_processes([*items, threading.Lock()])
            assert pool.sizes == []
            assert turns >= 3
            ticks.cancel()

    asyncio.run(main())


def test_a_call_with_a_deadline_looks_at_each_item_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Items are fetched in slices, and no slice looks at what another has fetched."""
    monkeypatch.setattr(gathering, "MOST_NS", 0)
    looks = 0
    is_unended = FarFinder.is_unended

    def count(finder: FarFinder, result: Any) -> bool:
        nonlocal looks
        looks += 1
        return is_unended(finder, result)

    class Cells(dict[int, int]):
        listed = 0

        def items(self) -> Any:
            Cells.listed += len(self)
            return super().items()

    class Counted(FarGathering):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._cells = Cells()

    monkeypatch.setattr(FarFinder, "is_unended", count)
    monkeypatch.setattr(cluster_run, "FarGathering", Counted)
    items = [str(i) for i in range(500)]
    p = Parallel(same, executor=Serial(), deadline=60, chunk_size=500)
    assert p.map_processes(items) == items
    assert looks <= 1000
    assert Cells.listed <= 1000


def test_interpreters_are_not_threads_of_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    """From Python 3.14 on an InterpreterPoolExecutor is a ThreadPoolExecutor."""
    module: Any = ModuleType("concurrent.futures.interpreter")

    class InterpreterPoolExecutor(ThreadPoolExecutor):
        pass

    module.InterpreterPoolExecutor = InterpreterPoolExecutor
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with InterpreterPoolExecutor(1) as there, ThreadPoolExecutor(1) as here:
        assert (Engine(there).is_here, Engine(there).can_end) == (False, False)
        assert (Engine(here).is_here, Engine(here).can_end) == (True, True)


def test_what_is_known_of_an_executor_is_bounded() -> None:
    with ThreadPoolExecutor(1) as pool:
        for number in range(100):
            p = Parallel(lambda item, number=number: f"{item}{number}", executor=pool)
            assert p.map_processes(["a"]) == [f"a{number}"]
        assert len(Engine(pool).places) <= 64
