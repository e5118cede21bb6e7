"""executor=: chunks that are lost, late, doubled, swapped or changed; calls that are ended."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from clusters import Deaf, Gate, Odd, Serial, end_kept, executor_of
from support import alive, run_case, started, until

from tep_parallel import (
    AbortedError,
    Break,
    DeadlineError,
    DeadWorkerError,
    Outcome,
    Parallel,
    ParallelError,
    ParallelWorker,
    TamperedResultError,
)
from tep_parallel._cluster import far

N = pytest.mark.parametrize("n", [None, 2], ids=["in the worker", "with children"])
ITEMS = [str(i) for i in range(40)]


class Lost(Exception):
    """What an engine raises for a chunk whose worker ended."""


def abort_when(condition: Callable[[], object], p: Parallel[Any, Any]) -> None:
    until(condition)
    time.sleep(0.1)  # so that the call has come to wait
    p.abort()


def same(item: str) -> str:
    return item


@pytest.fixture(autouse=True)
def nothing_is_kept(nothing_is_left: Path) -> Iterator[None]:
    yield
    end_kept()


@N
def test_a_lost_chunk_is_sent_again(n: int | None) -> None:
    def lose_two(number: int, function: Any, data: bytes) -> bytes:
        if number in (1, 3):
            raise Lost
        return function(data)  # type: ignore[no-any-return]

    with Odd(lose_two) as pool:
        p = Parallel(same, executor=pool, in_processes=n, chunk_size=4)
        assert p.map_processes(ITEMS) == ITEMS
    with Odd(lose_two) as pool:
        p = Parallel(same, executor=pool, in_processes=n, chunk_size=4)
        assert list(p.imap_processes(ITEMS)) == ITEMS
    with Odd(lose_two) as pool:
        p = Parallel(same, executor=pool, in_processes=n, chunk_size=4)
        assert {one.attempts for one in p.outcomes(ITEMS)} == {1, 2}


def test_with_children_a_chunk_is_sent_again_whole_and_no_more_often_than_promised() -> None:
    sent: list[bytes] = []

    def lose(number: int, function: Any, data: bytes) -> bytes:
        sent.append(data)
        raise Lost

    with Odd(lose) as pool:
        p = Parallel(same, executor=pool, in_processes=1, retries=1, chunk_size=10)
        outcomes = p.outcomes(ITEMS[:10])
    assert len(sent) == 3
    assert len({len(data) for data in sent}) == 1
    assert {type(one.error) for one in outcomes} == {DeadWorkerError}
    assert "item 3 ('3'): the executor's worker that had it was lost" in str(outcomes[3].error)
    assert {one.attempts for one in outcomes} == {3}


def test_in_the_worker_a_chunk_is_halved_until_the_item_is_found_that_ends_it() -> None:
    def end_with_17(number: int, function: Any, data: bytes) -> bytes:
        if b"\x8c\x0217" in data:  # as a pickle has it
            raise Lost
        return function(data)  # type: ignore[no-any-return]

    with Odd(end_with_17) as pool:
        outcomes = Parallel(same, executor=pool, chunk_size=40).outcomes(ITEMS)
    assert [one.index for one in outcomes if not one.ok] == [17]
    assert isinstance(outcomes[17].error, DeadWorkerError)
    assert "item 17 ('17')" in str(outcomes[17].error)


@N
def test_chunks_that_run_twice_or_late_change_nothing(n: int | None) -> None:
    def twice(number: int, function: Any, data: bytes) -> bytes:
        function(data)
        if number % 2:
            time.sleep(0.05)
        return function(data)  # type: ignore[no-any-return]

    with Odd(twice) as pool:
        p = Parallel(same, executor=pool, in_processes=n, chunk_size=3)
        assert p.map_processes(ITEMS) == ITEMS
        assert {one.item for one in p.as_completed(ITEMS)} == set(ITEMS)


def test_no_two_chunks_are_equal() -> None:
    seen: list[bytes] = []

    def note(number: int, function: Any, data: bytes) -> bytes:
        seen.append(data)
        return function(data)  # type: ignore[no-any-return]

    with Odd(note) as pool:
        for _ in range(3):
            Parallel(same, executor=pool, chunk_size=1).map_processes(["a"] * 10)
    assert len(set(seen)) == len(seen) == 30


@N
def test_a_reply_that_was_changed_is_not_believed(n: int | None) -> None:
    def change(number: int, function: Any, data: bytes) -> Any:
        reply = bytearray(function(data))
        if number == 2:
            reply[len(reply) // 2] ^= 1
        return bytes(reply) if number != 3 else "no bytes"

    with Odd(change) as pool:
        outcomes = Parallel(same, executor=pool, in_processes=n, chunk_size=10).outcomes(ITEMS)
    wrong = [one.index for one in outcomes if not one.ok]
    assert wrong == list(range(10, 30))
    assert {type(one.error) for one in outcomes if not one.ok} == {TamperedResultError}


def test_replies_that_were_swapped_are_not_believed() -> None:
    replies: dict[int, bytes] = {}

    def swap(number: int, function: Any, data: bytes) -> bytes:
        replies[number] = function(data)
        until(lambda: len(replies) == 2)
        return replies[3 - number]

    with Odd(swap) as pool:
        outcomes = Parallel(same, executor=pool, chunk_size=1).outcomes(["a", "b"])
    assert {type(one.error) for one in outcomes} == {TamperedResultError}


def test_a_broken_executor_fails_the_call_and_names_what_was_not_reported() -> None:
    def end(item: str) -> str:
        if item == "3":
            os._exit(1)
        return item

    with executor_of("fork") as pool:
        with pytest.raises(
            DeadWorkerError, match=r"BrokenProcessPool.*items .*3.* were not"
        ) as one:
            Parallel(end, executor=pool, chunk_size=1).map_processes(ITEMS)
        assert one.value.__cause__ is not None
        with pytest.raises(DeadWorkerError, match="items 0 were not reported"):
            Parallel(end, executor=pool).map_processes(["1"])


def test_an_executor_is_never_shut_down() -> None:
    with ThreadPoolExecutor(1) as pool:
        with Parallel(same, executor=pool) as p:
            assert p.map_processes(["a"]) == ["a"]
        with contextlib.suppress(ZeroDivisionError):
            Parallel(lambda item: 1 // 0, executor=pool).map_processes(["a"])
        assert pool.submit(len, "abc").result() == 3


def test_what_cannot_be_shipped_is_refused_before_anything_is_sent() -> None:
    lock = threading.Lock()

    def holds(item: str) -> str:
        with lock:
            return item

    with Odd() as pool:
        with pytest.raises(TypeError, match=r"worker: .*holds cannot be shipped.*lock"):
            Parallel(holds, executor=pool).map_processes(["a"])
        with pytest.raises(TypeError, match=r"item 39 .*cannot be shipped.*lock"):
            Parallel(same, executor=pool).map_processes([*ITEMS[:39], lock])
        assert pool.sizes == []
        stream = Parallel(same, executor=pool).imap_processes(iter(["a", lock]))
        assert next(stream) == "a"
        with pytest.raises(TypeError, match=r"item 1 .*cannot be shipped"):
            next(stream)


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 1},
        {"isolation": True},
        {"retries": 1},
        {"on_error": "kill"},
        {"in_processes": 0, "timeout": 1},
        {"keep": [1]},
    ],
    ids=str,
)
def test_what_could_not_be_kept_is_refused(options: dict[str, Any]) -> None:
    with Odd() as pool, pytest.raises(ValueError, match=r"needs in_processes=N|^keep"):
        Parallel(same, executor=pool, **options)


def test_what_is_no_executor_is_refused() -> None:
    class Client:
        def submit(self) -> None: ...

        def get_executor(self) -> None: ...

    for wrong, why in ((5, "submit"), (ThreadPoolExecutor, "submit"), (Client(), "get_executor")):
        with pytest.raises(TypeError, match=why):
            Parallel(same, executor=wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="executor="):
        Parallel(same, chunk_size=5)


def test_a_deadline_holds_where_the_engine_never_answers() -> None:
    for runs in (True, False):
        pool = Deaf(runs=runs)
        begun = time.monotonic()
        with warnings.catch_warnings(record=True) as warned, pytest.raises(DeadlineError) as caught:
            warnings.simplefilter("always")
            Parallel(same, executor=pool, deadline=0.2).map_processes(["a", "b"])
        assert time.monotonic() - begun < 10
        assert caught.value.outcomes == []
        assert [future.cancelled() for future in pool.futures] == [not runs] * len(pool.futures)
        assert len(warned) == runs


@N
def test_at_the_deadline_the_call_has_what_had_ended(n: int | None) -> None:
    gate = Gate()

    def hold(number: int, function: Any, data: bytes) -> bytes:
        if number == 2:
            gate.wait()
        return function(data)  # type: ignore[no-any-return]

    with Odd(hold) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        p = Parallel(same, executor=pool, in_processes=n, deadline=1, chunk_size=1)
        with pytest.raises(DeadlineError, match="1 of 2") as caught:
            p.map_processes(["a", "b"])
        gate.open()
    assert [one.result for one in caught.value.outcomes] == ["a"]


def test_children_there_know_the_deadline() -> None:
    """What they have is sent back when it is over, and they are killed."""

    def sleep(item: str) -> str:
        time.sleep(60 if item == "1" else 0)
        return str(os.getpid())

    with Odd() as pool:
        p = Parallel(sleep, executor=pool, in_processes=2, deadline=0.7, chunk_size=2)
        with pytest.raises(DeadlineError) as caught:
            p.map_processes(["0", "1"])
    assert [one.index for one in caught.value.outcomes] == [0]


@N
def test_abort_ends_a_call_from_any_thread(n: int | None, tmp_path: Path) -> None:
    def wait(item: str) -> str:
        Path(tmp_path, f"{os.getpid()}").touch()
        while n is None and not Path(tmp_path, "go").exists():
            time.sleep(0.01)
        if n is not None:
            time.sleep(60)
        return item

    with ThreadPoolExecutor(1) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        p = Parallel(wait, executor=pool, in_processes=n)

        def abort() -> None:
            until(lambda: list(tmp_path.iterdir()))
            p.abort()

        thread = threading.Thread(target=abort)
        thread.start()
        with pytest.raises(AbortedError):
            p.map_processes(["a", "b"])
        thread.join()
        (pid,) = [int(path.name) for path in tmp_path.iterdir()]
        Path(tmp_path, "go").touch()
        if n is not None:
            until(lambda: not alive(pid))


def test_a_closed_iterator_ends_what_runs(tmp_path: Path) -> None:
    def work(item: str) -> str:
        if item != "0":
            Path(tmp_path, f"{os.getpid()}").touch()
            time.sleep(60)
        return item

    with ThreadPoolExecutor(2) as pool:
        p = Parallel(work, executor=pool, in_processes=1, chunk_size=1)
        stream = p.imap_processes(["0", "1"])
        assert next(stream) == "0"
        until(lambda: list(tmp_path.iterdir()))
        stream.close()
        (pid,) = [int(path.name) for path in tmp_path.iterdir()]
        until(lambda: not alive(pid))
        stream = p.imap_processes(["0", "1"])
        assert next(stream) == "0"
        del stream  # the same if nobody has it any more
        until(lambda: not [path for path in tmp_path.iterdir() if alive(int(path.name))])


def test_an_executor_that_cannot_end_what_runs_says_so_once() -> None:
    gate = Gate()

    def hold(number: int, function: Any, data: bytes) -> bytes:
        gate.wait()
        return function(data)  # type: ignore[no-any-return]

    with Odd(hold) as pool:
        for warned in (True, False):
            p = Parallel(same, executor=pool, in_processes=1)
            stream = p.as_completed(["a"])
            ended = threading.Thread(target=abort_when, args=(lambda: gate.waiting, p))
            ended.start()
            with pytest.raises(AbortedError), warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                next(stream)
            ended.join()
            assert ["Odd could not end" in str(one.message) for one in caught] == [True] * warned
        gate.open()


def test_a_chunk_that_begins_after_its_call_was_ended_begins_no_item(tmp_path: Path) -> None:
    gate = Gate()

    def work(item: str) -> str:
        Path(tmp_path, item).touch()
        return item

    with ThreadPoolExecutor(1) as pool:
        pool.submit(gate.wait)
        p = Parallel(work, executor=pool, in_processes=1)
        stream = p.as_completed(["a"])
        thread = threading.Thread(target=abort_when, args=(lambda: gate.waiting, p))
        thread.start()
        with pytest.raises(AbortedError):
            next(stream)
        thread.join()
        gate.open()
        pool.submit(len, "").result()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [ImportError("no tep_parallel"), AttributeError("gone")], ids=str)
def test_what_a_worker_cannot_load_fails_the_call(error: Exception) -> None:
    def refuse(number: int, function: Any, data: bytes) -> bytes:
        raise error

    with Odd(refuse) as pool, pytest.raises(ParallelError, match=r"could not load.*\[cluster\]"):
        Parallel(same, executor=pool).map_processes(["a"])


class Gone:
    """Cannot be made again there."""

    def __reduce__(self) -> Any:
        return (__import__, ("no_such_module_there",))


@N
def test_a_worker_that_cannot_be_made_there_fails_the_call(n: int | None) -> None:
    gone = Gone()
    with Odd() as pool:
        p = Parallel(lambda item: item + str(gone), executor=pool, in_processes=n)
        with pytest.raises(ModuleNotFoundError, match="no_such_module_there") as caught:
            p.map_processes(["a"])
    notes = getattr(caught.value, "__notes__", str(caught.value))
    assert "raised by the executor's worker on" in str(notes)


@N
def test_an_item_that_cannot_be_made_there_fails_alone(n: int | None) -> None:
    with Odd() as pool:
        outcomes = Parallel(str, executor=pool, in_processes=n).outcomes([1, Gone(), 3])
    assert [type(one.error) for one in outcomes] == [type(None), ModuleNotFoundError, type(None)]


def test_an_executor_that_was_shut_down_says_so() -> None:
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(DeadWorkerError, match=r"after shutdown.*items 0 were not rep") as caught:
        Parallel(same, executor=pool).map_processes(["a"])
    assert type(caught.value.__cause__) is RuntimeError


def test_a_submit_without_futures_is_refused() -> None:
    class Odder(Executor):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            return 5

    with pytest.raises(TypeError, match="returned int, not a future"):
        Parallel(same, executor=Odder()).map_processes(["a"])


def test_ctrl_c_ends_what_runs(tmp_path: Path) -> None:
    with started("cluster_ctrl_c", tmp_path) as case:
        until(lambda: list(tmp_path.iterdir()))
        case.send_signal(signal.SIGINT)
        case.communicate(timeout=30)
        assert case.returncode == -signal.SIGINT
        (pid,) = [int(path.name) for path in tmp_path.iterdir()]
        until(lambda: not alive(pid))


def test_a_client_that_is_killed_leaves_no_children_of_its_threads(tmp_path: Path) -> None:
    with started("cluster_ctrl_c", tmp_path) as case:
        until(lambda: list(tmp_path.iterdir()))
        case.kill()
        (pid,) = [int(path.name) for path in tmp_path.iterdir()]
        until(lambda: not alive(pid))


def test_classes_and_closures_of_a_program_are_shipped() -> None:
    run_case("cluster_main")


def test_calls_in_many_threads_do_not_disturb_each_other() -> None:
    def double(item: str) -> str:
        return item * 2

    wrong: list[Any] = []

    def calls(n: int | None) -> None:
        for _ in range(5):
            found = Parallel(double, executor=pool, in_processes=n).map_processes(ITEMS)
            if found != [item * 2 for item in ITEMS]:
                wrong.append(found)

    with ThreadPoolExecutor(4) as pool:
        threads = [threading.Thread(target=calls, args=(n,)) for n in (None, 1, 2, None, 1)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    assert wrong == []


def test_a_chunk_that_is_lost_after_a_break_before_it_is_not_sent_again(tmp_path: Path) -> None:
    gate = Gate()

    def lose_the_second(number: int, function: Any, data: bytes) -> bytes:
        if number == 2:
            gate.wait()
            raise Lost
        return function(data)  # type: ignore[no-any-return]

    def work(item: str) -> str:
        Path(tmp_path, item).touch()
        if item == "0":
            raise Break("over")
        return item

    with Odd(lose_the_second) as pool:
        p = Parallel(work, executor=pool, in_processes=1, chunk_size=1)
        on_finish = Parallel(
            work,
            executor=pool,
            in_processes=1,
            chunk_size=1,
            on_finish=lambda one: gate.open(),
        )
        assert on_finish.map_processes(["0", "1"]) == "over"
        assert len(pool.sizes) == 2
        assert not (tmp_path / "1").exists()
        assert p.map_processes(["0"]) == "over"


def test_on_error_kill_ends_what_runs(tmp_path: Path) -> None:
    def work(item: str) -> str:
        if item == "0":
            until(lambda: list(tmp_path.iterdir()))
            raise ValueError(item)
        Path(tmp_path, str(os.getpid())).touch()
        time.sleep(60)
        return item

    with ThreadPoolExecutor(2) as pool:
        for size in (1, 2):  # in two chunks, and in one
            p = Parallel(work, executor=pool, in_processes=2, on_error="kill", chunk_size=size)
            with pytest.raises(ValueError, match="0"):
                p.map_processes(["0", "1"])
            pids = [int(path.name) for path in tmp_path.iterdir()]
            until(lambda pids=pids: not any(map(alive, pids)))
            for path in tmp_path.iterdir():
                path.unlink()


def test_as_many_chunks_run_at_once_as_the_executor_has_workers(tmp_path: Path) -> None:
    def meet(item: str) -> str:
        Path(tmp_path, item).touch()
        until(lambda: len(list(tmp_path.iterdir())) == 3)
        return item

    with ThreadPoolExecutor(3) as pool:
        p = Parallel(meet, executor=pool, in_processes=1, chunk_size=1)
        assert p.map_processes(["0", "1", "2"]) == ["0", "1", "2"]


def test_a_miss_is_answered_while_others_run() -> None:
    weight = bytes(100_000)

    def forget(number: int, function: Any, data: bytes) -> bytes:
        far.here()._bundles.clear()
        return function(data)  # type: ignore[no-any-return]

    with Odd(forget) as pool:
        p = Parallel(lambda item: item + str(len(weight)), executor=pool, chunk_size=1)
        assert p.map_processes(ITEMS) == [f"{item}100000" for item in ITEMS]


@N
def test_after_a_break_what_runs_may_end(n: int | None, tmp_path: Path) -> None:
    def work(item: str) -> str:
        Path(tmp_path, item).touch()
        if item == "break":
            until(lambda: Path(tmp_path, "runs").exists())
            raise Break("over")
        time.sleep(0.5)
        Path(tmp_path, "ended").touch()
        return item

    with ThreadPoolExecutor(2) as pool:
        p = Parallel(work, executor=pool, in_processes=n, chunk_size=1)
        assert p.map_processes(["break", "runs"]) == "over"
        assert (tmp_path / "ended").exists()


@N
def test_a_future_is_dropped_as_soon_as_it_was_read(n: int | None) -> None:
    """Dask runs a chunk again whose future is held when a worker is lost that has the result."""
    pool = Serial()
    held: list[int] = []

    def count(outcome: Outcome[Any]) -> None:
        held.append(sum(future() is not None for future in pool.futures))

    p = Parallel(same, executor=pool, in_processes=n, chunk_size=1, on_finish=count)
    assert p.map_processes(ITEMS) == ITEMS
    assert len(pool.futures) == len(ITEMS)
    assert max(held) < 10  # those that are under way
    assert [future for future in pool.futures if future() is not None] == []


@N
def test_an_executors_interrupt_ends_what_runs(n: int | None, tmp_path: Path) -> None:
    """As ray.cancel sends it: the executor's worker goes on, and the call does not."""

    def sleep(item: str) -> str:
        Path(tmp_path, str(os.getpid())).touch()
        time.sleep(60)
        return item

    def interrupt() -> None:
        until(lambda: list(tmp_path.iterdir()))
        os.kill(worker, signal.SIGINT)

    with executor_of("fork", 1) as pool:
        worker = pool.submit(os.getpid).result()
        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(DeadWorkerError, match=r"KeyboardInterrupt.*items 0 were not reported"):
            Parallel(sleep, executor=pool, in_processes=n).map_processes(["a"])
        thread.join()
        (pid,) = [int(path.name) for path in tmp_path.iterdir()]
        assert (pid == worker) == (n is None)
        if n is not None:
            until(lambda: not alive(pid))
        assert Parallel(same, executor=pool, in_processes=n).map_processes(["a"]) == ["a"]


def test_true_is_the_number_of_processors_of_the_other_side(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def meet(item: str) -> str:
        Path(tmp_path, item).touch()
        until(lambda: len(list(tmp_path.iterdir())) == 3)
        return item

    with Odd() as pool:
        p = Parallel(meet, executor=pool, in_processes=True, chunk_size=3)
        monkeypatch.setenv("TEP_PARALLEL_PROCESSOR_COUNT", "3")
        assert p.map_processes(["0", "1", "2"]) == ["0", "1", "2"]


def test_in_a_chunk_with_a_teardown_no_item_is_begun_after_a_failure(tmp_path: Path) -> None:
    class Ends(ParallelWorker):
        def process(self, item: str) -> str:
            Path(tmp_path, item).touch()
            if item == "0":
                raise ValueError(item)
            time.sleep(0.01)
            return item

        def teardown(self) -> None:
            Path(tmp_path, "teardown").touch()

    with ThreadPoolExecutor(1) as pool:
        p = Parallel(Ends(), executor=pool, in_processes=1, chunk_size=1000)
        with pytest.raises(ValueError, match="0"):
            p.map_processes([str(i) for i in range(1000)])
    assert len(list(tmp_path.iterdir())) < 500
    assert (tmp_path / "teardown").exists()
