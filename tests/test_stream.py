"""imap_processes and as_completed: results as they come, of items that are pulled meanwhile."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import pickle
import queue
import signal
import sqlite3
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest
from kept import Parallel, close_blocks
from support import LIMIT, alive, children, every, forked, until

from tep_parallel import (
    AbortedError,
    Break,
    DeadlineError,
    DeadWorkerError,
    FileDigest,
    ItemTimeoutError,
    Kill,
    Outcome,
    ParallelWorker,
    Stream,
    worker_number,
)

Shape = dict[str, Any]


def upper(item: Any) -> str:
    return str(item).upper()


def texts(number: int, pulled: list[int] | None = None) -> Iterator[str]:
    """The numbers below `number` as text; `pulled` has those that have been asked for."""
    for each in range(number):
        if pulled is not None:
            pulled.append(each)
        yield str(each)


def failing(*numbers: int) -> Callable[[str], str]:
    def process(item: str) -> str:
        if int(item) in numbers:
            raise ValueError(item)
        return item

    return process


def until_raised(stream: Stream[Any]) -> tuple[list[Any], BaseException]:
    """What an iterator gives, and what it raises then."""
    given = []
    try:
        given.extend(iter(stream.__next__, stream))
    except Exception as error:
        return given, error
    raise AssertionError


# --- Order, sources -----------------------------------------------------------------------


@every
def test_results_come_in_input_order(shape: Shape) -> None:
    assert list(Parallel(upper, **shape).imap_processes(texts(50))) == list(texts(50))


@every
def test_outcomes_come_once_for_each_item(shape: Shape) -> None:
    found = list(Parallel(upper, **shape).as_completed(texts(50)))
    assert {one.index: (one.item, one.result, one.ok) for one in found} == {
        number: (str(number), str(number), True) for number in range(50)
    }
    assert len(found) == 50


@every
def test_no_items_give_nothing(shape: Shape) -> None:
    assert list(Parallel(upper, **shape).imap_processes([])) == []
    assert list(Parallel(upper, **shape).as_completed(iter(()))) == []


@forked
def test_outcomes_come_as_items_end(shape: Shape, tmp_path: Path) -> None:
    def process(item: str) -> str:
        while item == "slow" and not (tmp_path / "go").exists():
            time.sleep(0.005)
        return item

    stream = Parallel(process, **shape).as_completed(["slow", "quick"])
    assert next(stream).result == "quick"
    (tmp_path / "go").touch()
    assert [one.result for one in stream] == ["slow"]


@every
def test_items_of_any_kind_come_from_any_source(shape: Shape) -> None:
    parallel = Parallel(repr, **shape)
    items = ["a", "\udc80", "\0", b"b", 1, None, ("t", [2.5]), "x" * 100_000]
    expected = [repr(item) for item in items]
    assert list(parallel.imap_processes(items)) == expected
    assert list(parallel.imap_processes(iter(items))) == expected
    left = list(reversed(items))

    def take() -> object:
        if not left:
            raise StopIteration
        return left.pop()

    assert list(parallel.imap_processes(take)) == expected
    given: queue.Queue[Any] = queue.Queue()
    for item in (*items[:5], "end"):
        given.put(item)
    assert list(parallel.imap_processes(iter(given.get, "end"))) == expected[:5]


@every
def test_a_cursor_of_sqlite_is_read_by_the_thread_that_asks(shape: Shape) -> None:
    database = sqlite3.connect(":memory:")
    database.execute("create table t (name text)")
    database.executemany("insert into t values (?)", [(str(number),) for number in range(100)])
    rows = database.execute("select name from t order by rowid")
    names = list(Parallel(lambda row: row[0], **shape).imap_processes(rows))
    database.close()
    assert names == list(texts(100))


def test_what_is_no_source_is_refused_at_once() -> None:
    parallel: Parallel[str, str] = Parallel(upper)
    for face in (parallel.imap_processes, parallel.as_completed):
        for wrong in ("abc", b"abc", 3, None):
            with pytest.raises(TypeError, match="items: expected an iterable"):
                face(wrong)  # type: ignore[operator]


def test_items_are_not_pulled_before_the_first_next() -> None:
    pulled: list[int] = []
    Parallel(upper).imap_processes(texts(3, pulled)).close()
    assert pulled == []


@every
def test_no_more_than_the_window_is_pulled_ahead(shape: Shape) -> None:
    pulled: list[int] = []
    for window in (1, 3):
        parallel = Parallel(upper, window=window, **shape)
        for face in (parallel.imap_processes, parallel.as_completed):
            pulled.clear()
            for fetched, _ in enumerate(face(texts(30, pulled))):
                assert len(pulled) - fetched <= window
            assert len(pulled) == 30


@forked
def test_nothing_is_pulled_while_there_is_a_result_to_hand_out(
    shape: Shape, tmp_path: Path
) -> None:
    def process(item: str) -> str:
        (tmp_path / item).touch()
        return item

    def slow() -> Iterator[str]:
        yield "0"
        until((tmp_path / "0").exists)
        time.sleep(1)  # for the end of the child: a result is there when this is over
        yield "1"
        raise AssertionError

    with contextlib.closing(Parallel(process, **shape).imap_processes(slow())) as stream:
        assert next(stream) == "0"


@every
def test_a_slow_consumer_gets_all(shape: Shape) -> None:
    found = []
    for text in Parallel(upper, window=4, **shape).imap_processes(texts(12)):
        time.sleep(0.01)
        found.append(text)
    assert found == list(texts(12))


@pytest.mark.parametrize("shape", [{"in_processes": 2}, {"in_processes": 0}])
def test_an_endless_source_can_be_left(shape: Shape) -> None:
    stream = Parallel(upper, **shape).imap_processes(map(str, count()))
    assert list(islice(stream, 5000)) == list(texts(5000))
    stream.close()
    assert list(stream) == []


def test_the_window_bounds_the_children(tmp_path: Path) -> None:
    def process(item: str) -> str:
        (tmp_path / str(os.getpid())).touch()
        time.sleep(0.02)
        return str(worker_number())

    found = set(Parallel(process, window=2).imap_processes(texts(8)))
    assert found <= {"0", "1"}


# --- Failures ------------------------------------------------------------------------------


@every
@pytest.mark.parametrize("on_error", ["stop", "finish"])
def test_a_failure_is_raised_at_its_place(shape: Shape, on_error: Any) -> None:
    stream = Parallel(failing(3), on_error=on_error, window=1, **shape).imap_processes(texts(9))
    given, error = until_raised(stream)
    assert given == ["0", "1", "2"]
    assert type(error) is ValueError
    assert error.args == ("3",)
    assert "item 3 ('3')" in str(error.__notes__) if hasattr(error, "__notes__") else True
    assert list(stream) == []


def test_with_stop_the_results_before_the_failure_are_all_there() -> None:
    def process(number: int) -> str:
        if number == 300:
            raise ValueError(number)
        if number == 290:
            time.sleep(0.05)
        return str(number)

    for _ in range(10):
        parallel = Parallel(process, in_processes=2, window=400)
        given, error = until_raised(parallel.imap_processes(range(10000)))
        assert (len(given), error.args) == (300, (300,))


@forked
def test_with_finish_all_that_was_pulled_is_run(shape: Shape, tmp_path: Path) -> None:
    def process(item: str) -> str:
        (tmp_path / item).touch()
        return failing(2)(item)

    pulled: list[int] = []
    parallel = Parallel(process, on_error="finish", window=5, **shape)
    given, error = until_raised(parallel.imap_processes(texts(99, pulled)))
    assert given == ["0", "1"]
    assert type(error) is ValueError
    assert {each.name for each in tmp_path.iterdir()} == {str(number) for number in pulled}


@forked
def test_with_kill_what_runs_is_killed(shape: Shape) -> None:
    def process(item: str) -> str:
        if item == "1":
            raise ValueError(item)
        time.sleep(60)
        return item

    began = time.monotonic()
    given, error = until_raised(
        Parallel(process, on_error="kill", **shape).imap_processes(["0", "1"])
    )
    assert (given, type(error)) == ([], ValueError)
    assert time.monotonic() - began < 10


@every
def test_a_failure_does_not_end_as_completed(shape: Shape) -> None:
    found = list(Parallel(failing(1, 3), **shape).as_completed(texts(6)))
    assert sorted(one.index for one in found if not one.ok) == [1, 3]
    assert len(found) == 6


@forked
def test_what_cannot_be_pickled_is_an_error_of_its_own(shape: Shape) -> None:
    items = ["a", lambda: None, "b", threading.Lock()]
    found = sorted(Parallel(upper, **shape).as_completed(items), key=lambda one: one.index)
    assert [one.result for one in found] == ["A", None, "B", None]
    assert isinstance(found[1].error, pickle.PicklingError | AttributeError)
    assert isinstance(found[3].error, TypeError)
    assert (found[1].item, found[1].attempts) == (items[1], 0)
    given, error = until_raised(Parallel(upper, **shape).imap_processes(items))
    assert given == ["A"]
    assert isinstance(error, pickle.PicklingError | AttributeError)
    everything = list(Parallel(upper, **shape).as_completed([lambda: None] * 3))
    assert [one.ok for one in everything] == [False] * 3


@forked
def test_what_comes_behind_an_item_that_cannot_be_pickled_keeps_its_place(shape: Shape) -> None:
    def items(*bad: int) -> Iterator[Any]:
        for number in range(60):
            yield (lambda: None) if number in bad else str(number)

    given, error = until_raised(Parallel(upper, **shape).imap_processes(items(20, 40)))
    assert given == list(texts(20))
    assert isinstance(error, pickle.PicklingError | AttributeError)
    found = {one.index: one.result for one in Parallel(upper, **shape).as_completed(items(20, 40))}
    assert found == {n: None if n in (20, 40) else str(n) for n in range(60)}


@forked
def test_with_kill_what_cannot_be_pickled_kills_what_runs(shape: Shape) -> None:
    def items() -> Iterator[Any]:
        yield lambda: None
        yield "slow"

    parallel = Parallel(lambda _: time.sleep(60) or "", on_error="kill", **shape)
    given, error = until_raised(parallel.imap_processes(items()))
    assert (given, children()) == ([], [])
    assert isinstance(error, pickle.PicklingError | AttributeError)


@every
def test_results_come_with_progress_alone(shape: Shape) -> None:
    progress = Counter()
    parallel = Parallel(upper, progress=progress, **shape)
    assert list(parallel.imap_processes(texts(50))) == list(texts(50))
    assert progress.done == 50


class Unloadable:
    def __reduce__(self) -> tuple[Any, ...]:
        return (refuse, ())


def refuse() -> None:
    raise LookupError("not here")


@forked
def test_what_unpickling_raises_is_the_item_s_failure(shape: Shape) -> None:
    for options in ({}, {"codec": json}):
        found = list(Parallel(upper, **shape, **options).as_completed(["a", Unloadable(), "b"]))
        errors = {one.index: type(one.error) for one in found}
        assert errors == {0: type(None), 1: LookupError, 2: type(None)}


@every
def test_an_exception_of_the_source_ends_the_call_and_goes_on(shape: Shape) -> None:
    def source() -> Iterator[str]:
        yield "a"
        raise LookupError("source")

    for face in ("imap_processes", "as_completed"):
        stream = getattr(Parallel(upper, **shape), face)(source())
        _, error = until_raised(stream)
        assert type(error) is LookupError
        assert children() == []
        assert list(stream) == []


@forked
def test_a_child_that_dies_fails_its_item(shape: Shape) -> None:
    def process(item: str) -> str:
        if item == "2":
            os.kill(os.getpid(), signal.SIGKILL)
        return item

    found = list(Parallel(process, **shape).as_completed(texts(6)))
    assert [one.index for one in found if not one.ok] == [2]
    (lost,) = [one for one in found if not one.ok]
    assert isinstance(lost.error, DeadWorkerError)
    assert lost.error.signal == signal.SIGKILL
    given, error = until_raised(Parallel(process, window=1, **shape).imap_processes(texts(6)))
    assert (given, type(error)) == (["0", "1"], DeadWorkerError)


@forked
def test_an_item_whose_child_died_is_tried_again(shape: Shape, tmp_path: Path) -> None:
    def process(item: str) -> str:
        if int(item) % 5 == 0 and not (tmp_path / item).exists():
            (tmp_path / item).touch()
            os._exit(3)
        return item

    parallel = Parallel(process, retries=1, **shape)
    assert list(parallel.imap_processes(texts(20))) == list(texts(20))


@every
def test_the_worker_s_setup_fails_the_call(shape: Shape) -> None:
    class Broken(ParallelWorker):
        def setup(self) -> None:
            raise LookupError("setup")

    for face in ("imap_processes", "as_completed"):
        given, error = until_raised(getattr(Parallel(Broken(), **shape), face)(texts(9)))
        assert (given, type(error)) == ([], LookupError)
    with contextlib.suppress(LookupError):  # of a nest that no call has had
        close_blocks()


@every
def test_the_worker_s_teardown_fails_the_call_behind_the_results(shape: Shape) -> None:
    class Broken(ParallelWorker):
        def process(self, item: str) -> str:
            return item

        def teardown(self) -> None:
            raise LookupError("teardown")

    if "kept" in shape and "in_processes" in shape:
        pytest.skip("it comes at the block's end")
    given, error = until_raised(Parallel(Broken(), **shape).imap_processes(["a"]))
    assert (given, type(error)) == (["a"], LookupError)
    with contextlib.suppress(LookupError):  # of children that no call has had
        close_blocks()


# --- Break, Kill ----------------------------------------------------------------------------


@every
@pytest.mark.parametrize("end", [Break, Kill])
def test_break_ends_the_iterator_quietly(shape: Shape, end: type[Break]) -> None:
    def process(item: str) -> str:
        if item == "3":
            raise end("value")
        return item

    pulled: list[int] = []
    parallel = Parallel(process, window=2, **shape)
    given = list(parallel.imap_processes(texts(99, pulled)))
    assert given == ["0", "1", "2"][: len(given)]
    if end is Break:
        assert given == ["0", "1", "2"]
    assert len(pulled) < 99
    found = list(parallel.as_completed(texts(99)))
    assert {one.index: one.result for one in found}[3] == "value"
    assert all(one.attempts > 0 for one in found)
    assert len(found) < 99


# --- The end --------------------------------------------------------------------------------


def sleep_at(tmp_path: Path) -> Callable[[str], str]:
    """A worker that touches a file of its pid, and sleeps, but for "quick"."""

    def process(item: str) -> str:
        if item != "quick":
            (tmp_path / str(os.getpid())).touch()
            time.sleep(60)
        return item

    return process


def pids(tmp_path: Path) -> list[int]:
    return [int(each.name) for each in tmp_path.iterdir()]


@forked
@pytest.mark.parametrize("how", ["close", "collector", "loop", "cycle"])
def test_an_iterator_that_is_left_kills_what_runs(shape: Shape, how: str, tmp_path: Path) -> None:
    def begun() -> Stream[Any]:
        stream = Parallel(sleep_at(tmp_path), **shape).as_completed(["slow", "quick"])
        assert next(stream).result == "quick"
        until(lambda: pids(tmp_path))
        return stream

    def fail() -> None:
        for _ in begun():
            pass

    if how == "close":
        stream = begun()
        stream.close()
        stream.close()
        assert list(stream) == []
    elif how == "collector":
        begun()
    elif how == "cycle":
        cycle: list[Any] = [begun()]
        cycle.append(cycle)
        del cycle
        gc.collect()
    else:
        with pytest.raises(KeyError):
            for _ in Parallel(sleep_at(tmp_path), **shape).as_completed(["slow", "quick"]):
                until(lambda: pids(tmp_path))
                raise KeyError
    assert children() == []
    assert not any(map(alive, pids(tmp_path)))


def test_a_forked_copy_of_the_host_leaves_the_call_alone() -> None:
    stream = Parallel(upper, in_processes=2).imap_processes(map(str, count()))
    assert next(stream) == "0"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        try:
            stream.close()
            del stream
            gc.collect()
            os._exit(7)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert list(islice(stream, 200)) == [str(number) for number in range(1, 201)]
    stream.close()


def test_two_threads_cannot_advance_one_iterator(tmp_path: Path) -> None:
    parallel = Parallel(sleep_at(tmp_path))
    stream = parallel.imap_processes(["slow"])
    raised: list[BaseException] = []

    def wait() -> None:
        try:
            next(stream)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    until(lambda: pids(tmp_path))
    with pytest.raises(ValueError, match="already being advanced"):
        next(stream)
    with pytest.raises(ValueError, match="already being advanced"):
        stream.close()
    parallel.abort()
    thread.join()
    assert type(raised[0]) is AbortedError


@every
def test_an_iterator_that_calls_itself_is_refused(shape: Shape) -> None:
    def source() -> Iterator[str]:
        next(stream)
        yield "never"

    stream = Parallel(upper, **shape).imap_processes(source())
    with pytest.raises(ValueError, match="already being advanced"):
        next(stream)


def test_the_host_has_its_own_wakeup_descriptor_between_two_steps() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    former = signal.set_wakeup_fd(writer)
    handler = signal.signal(signal.SIGALRM, lambda *_: None)
    try:
        with contextlib.closing(
            Parallel(upper, in_processes=2).imap_processes(texts(99))
        ) as stream:
            assert next(stream) == "0"
            assert signal.set_wakeup_fd(writer) == writer
            signal.raise_signal(signal.SIGALRM)
            assert os.read(reader, 9) == bytes([signal.SIGALRM])
            assert len(list(stream)) == 98
            assert signal.set_wakeup_fd(writer) == writer
        slow = Parallel(lambda _: time.sleep(0.3) or "", in_processes=1).imap_processes(["a"])
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        assert next(slow) == ""
        assert os.read(reader, 9) == bytes([signal.SIGALRM])
        slow.close()
    finally:
        signal.set_wakeup_fd(former)
        signal.signal(signal.SIGALRM, handler)
        os.close(reader)
        os.close(writer)


# --- abort -----------------------------------------------------------------------------------


@forked
def aborted(parallel: Parallel[Any, Any], call: Callable[[], object], tmp_path: Path) -> list[bool]:
    """Abort `call` from another thread, when a child runs; which were alive behind that."""

    def abort() -> None:
        until(lambda: pids(tmp_path))
        parallel.abort()
        left.extend(map(alive, pids(tmp_path)))

    left: list[bool] = []
    thread = threading.Thread(target=abort)
    thread.start()
    with pytest.raises(AbortedError) as caught:
        call()
    thread.join()
    assert all(one.ok for one in caught.value.outcomes)
    return left


@forked
@pytest.mark.parametrize("face", ["map_processes", "each_process", "outcomes"])
def test_abort_ends_a_blocking_call(shape: Shape, face: str, tmp_path: Path) -> None:
    parallel = Parallel(sleep_at(tmp_path), **shape)
    left = aborted(parallel, lambda: getattr(parallel, face)(["quick", "slow"]), tmp_path)
    assert not any(left)
    assert parallel.map_processes(["quick"]) == ["quick"]


@forked
@pytest.mark.parametrize("face", ["imap_processes", "as_completed"])
def test_abort_ends_an_iterator(shape: Shape, face: str, tmp_path: Path) -> None:
    parallel = Parallel(sleep_at(tmp_path), **shape)
    left = aborted(parallel, lambda: list(getattr(parallel, face)(["slow", "slow"])), tmp_path)
    assert not any(left)


@forked
def test_abort_tells_what_was_ready_and_not_handed_out(shape: Shape, tmp_path: Path) -> None:
    ended: list[int] = []
    parallel = Parallel(sleep_at(tmp_path), on_finish=lambda one: ended.append(one.index), **shape)
    stream = parallel.imap_processes(["slow", "quick"])

    def abort() -> None:
        until(lambda: pids(tmp_path) and ended)
        parallel.abort()

    thread = threading.Thread(target=abort)
    thread.start()
    with pytest.raises(AbortedError) as caught:
        next(stream)
    thread.join()
    assert [one.result for one in caught.value.outcomes] == ["quick"]


@every
def test_abort_in_a_hook_ends_the_call(shape: Shape) -> None:
    def abort(outcome: Outcome[Any]) -> None:
        parallel.abort()

    parallel = Parallel(upper, on_finish=abort, window=2, **shape)
    for face in ("map_processes", "imap_processes", "as_completed"):
        with pytest.raises(AbortedError):
            list(getattr(parallel, face)(texts(500)))
        assert children() == []


@every
def test_abort_in_the_hook_of_the_last_item_too(shape: Shape) -> None:
    def abort_at_the_end(outcome: Outcome[Any]) -> None:
        heard.append(outcome)
        if len(heard) % 3 == 0:
            parallel.abort()

    heard: list[Outcome[Any]] = []
    parallel = Parallel(upper, on_finish=abort_at_the_end, **shape)
    for face in ("map_processes", "imap_processes", "as_completed"):
        with pytest.raises(AbortedError):
            list(getattr(parallel, face)(texts(3)))
        assert children() == []


def test_abort_in_a_signal_handler_ends_the_call() -> None:
    parallel = Parallel(lambda _: time.sleep(60) or "", in_processes=2)
    former = signal.signal(signal.SIGALRM, lambda *_: parallel.abort())
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(AbortedError):
            next(parallel.imap_processes(["a", "b"]))
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(AbortedError):
            parallel.map_processes(["a", "b"])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


@every
def test_an_aborted_iterator_raises_at_its_next_step(shape: Shape) -> None:
    parallel = Parallel(upper, **shape)
    stream = parallel.imap_processes(map(str, count()))
    assert next(stream) == "0"
    parallel.abort()
    given, error = until_raised(stream)
    assert given == [str(number) for number in range(1, len(given) + 1)]
    assert type(error) is AbortedError
    assert list(stream) == []
    unbegun = parallel.imap_processes(map(str, count()))
    parallel.abort()
    with pytest.raises(AbortedError):
        next(unbegun)
    assert list(parallel.imap_processes(texts(3))) == list(texts(3))


# --- Limits -----------------------------------------------------------------------------------


@forked
def test_a_timeout_holds_while_nobody_steps(shape: Shape, tmp_path: Path) -> None:
    parallel = Parallel(sleep_at(tmp_path), timeout=0.5, **shape)
    stream = parallel.as_completed(["slow", "quick"])
    assert next(stream).result == "quick"
    until(lambda: pids(tmp_path))
    began = time.monotonic()
    (pid,) = pids(tmp_path)
    until(lambda: not alive(pid))
    assert time.monotonic() - began < LIMIT / 4  # it sleeps for as long as LIMIT
    (outcome,) = stream
    assert isinstance(outcome.error, ItemTimeoutError)


@forked
def test_a_deadline_begins_at_the_call_and_holds_while_nobody_steps(
    shape: Shape, tmp_path: Path
) -> None:
    began = time.monotonic()
    parallel = Parallel(sleep_at(tmp_path), deadline=0.6, **shape)
    stream = parallel.as_completed(["slow", "quick"])
    time.sleep(0.2)
    assert next(stream).result == "quick"
    until(lambda: pids(tmp_path))
    until(lambda: not any(map(alive, pids(tmp_path))))
    assert time.monotonic() - began < LIMIT / 4
    with pytest.raises(DeadlineError):
        list(stream)
    assert list(stream) == []


# --- Hooks, progress ---------------------------------------------------------------------------


class Counter:
    def __init__(self) -> None:
        self.done = 0

    def update(self, n: int) -> None:
        self.done += n


@every
def test_hooks_are_told_of_every_item(shape: Shape) -> None:
    started: list[tuple[int, str]] = []
    finished: list[Outcome[Any]] = []
    progress = Counter()
    parallel = Parallel(
        failing(4),
        on_start=lambda index, item: started.append((index, item)),
        on_finish=finished.append,
        progress=progress,
        **shape,
    )
    found = list(parallel.as_completed(texts(8)))
    assert started == [(number, str(number)) for number in range(8)]
    assert sorted(one.index for one in finished) == sorted(one.index for one in found)
    assert [one.index for one in finished if not one.ok] == [4]
    assert progress.done == 8


@every
def test_a_hook_that_raises_ends_the_iterator(shape: Shape) -> None:
    def fail(*_: object) -> None:
        raise LookupError("hook")

    for hook in ("on_start", "on_finish"):
        given, error = until_raised(
            Parallel(upper, **shape, **{hook: fail}).imap_processes(texts(8))
        )
        assert (given, type(error)) == ([], LookupError)
        assert children() == []


@every
def test_a_hook_that_raises_stop_iteration_does_not_end_it_quietly(shape: Shape) -> None:
    def fail(*_: object) -> None:
        raise StopIteration

    for hook in ("on_start", "on_finish"):
        stream = Parallel(upper, **shape, **{hook: fail}).imap_processes(texts(8))
        with pytest.raises(RuntimeError):
            list(stream)


# --- Options -------------------------------------------------------------------------------------


@every
def test_a_codec_carries_results(shape: Shape) -> None:
    parallel = Parallel(lambda item: [item, None], codec=json, **shape)
    assert list(parallel.imap_processes(texts(5))) == [[str(n), None] for n in range(5)]
    nothing = Parallel(lambda _: None, codec=json, **shape)
    assert list(nothing.imap_processes(texts(5))) == [None] * 5


def test_a_child_makes_room_after_its_quota() -> None:
    for most in (1, 2, 5):
        parallel = Parallel(
            lambda _: str(os.getpid()), in_processes=2, max_items_per_child=most, window=20
        )
        for found in (
            list(parallel.imap_processes(texts(20))),
            parallel.map_processes(list(texts(20))),
        ):
            served = {pid: found.count(pid) for pid in found}
            assert max(served.values()) <= most
            assert len(served) >= 20 / most


def test_the_quota_has_no_effect_without_children() -> None:
    parallel = Parallel(upper, in_processes=0, max_items_per_child=3)
    assert parallel.map_processes(["a"] * 7) == ["A"] * 7
    assert list(parallel.imap_processes(["a"] * 7)) == ["A"] * 7


@pytest.mark.parametrize("name", ["window", "max_items_per_child"])
def test_counts_are_checked(name: str) -> None:
    for wrong in (0, -1):
        with pytest.raises(ValueError, match=name):
            Parallel(upper, in_processes=2, **{name: wrong})
    for odd in ("3", 2.5, True):
        with pytest.raises(TypeError, match=name):
            Parallel(upper, in_processes=2, **{name: odd})


def test_a_quota_needs_children_that_serve_several_items() -> None:
    Parallel(upper, max_items_per_child=1)
    for shape in ({}, {"in_processes": 2, "isolation": True}):
        with pytest.raises(ValueError, match="max_items_per_child"):
            Parallel(upper, max_items_per_child=2, **shape)


@every
def test_file_digests_come_as_they_are_ready(shape: Shape, tmp_path: Path) -> None:
    paths = []
    for number in range(5):
        path = tmp_path / str(number)
        path.write_text(str(number))
        paths.append(path)
    expected = Parallel(FileDigest(), in_processes=0).map_processes(paths)
    assert list(Parallel(FileDigest(), **shape).imap_processes(iter(paths))) == expected


@every
def test_results_of_any_size_come(shape: Shape) -> None:
    sizes = [0, 1, 1 << 16, 3 << 20, 5, 1 << 20, 70_000]
    found = Parallel(lambda size: "x" * size, window=2, **shape).imap_processes(sizes)
    assert [len(text) for text in found] == sizes
    items = ["y" * size for size in sizes]
    found = Parallel(lambda item: str(len(item)), window=2, **shape).imap_processes(items)
    assert [int(text) for text in found] == sizes


# --- What has once gone wrong ---------------------------------------------------------------


def test_what_was_set_aside_for_a_child_that_is_held_up_is_not_forgotten() -> None:
    def process(item: str) -> str:
        number = int(item)
        if number < 2:
            time.sleep(0.2)
        elif number % 10 == 0 and number < 900:
            time.sleep(0.02)
        return item

    parallel = Parallel(process, in_processes=2, window=1000, deadline=60)
    with contextlib.closing(parallel.imap_processes(map(str, count()))) as stream:
        assert list(islice(stream, 5000)) == list(map(str, range(5000)))


def test_idle_children_that_are_killed_do_not_end_an_endless_call() -> None:
    parallel = Parallel(lambda _: str(os.getpid()), in_processes=1, window=1, deadline=60)
    with contextlib.closing(parallel.imap_processes(map(str, count()))) as stream:
        for pid in islice(stream, 150):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
            until(lambda pid=pid: not Path(f"/proc/{pid}").exists())


def test_an_iterator_that_is_closed_in_another_thread_leaves_no_descriptor() -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    def begin_here_and_close_there() -> None:
        stream = Parallel(upper, in_processes=2).imap_processes(map(str, range(1000)))
        next(stream)
        thread = threading.Thread(target=stream.close)
        thread.start()
        thread.join()

    begin_here_and_close_there()
    before = descriptors()
    for _ in range(3):
        begin_here_and_close_there()
    assert descriptors() == before


def test_a_forked_copy_cannot_be_advanced() -> None:
    with contextlib.closing(Parallel(upper, in_processes=2).imap_processes(texts(9))) as stream:
        assert next(stream) == "0"
        rest = list(stream)
        pid = os.fork()
        if pid == 0:
            try:
                next(stream)
            except ChildProcessError:
                os._exit(0)
            os._exit(1)
        assert os.waitpid(pid, 0)[1] == 0
        assert rest == [str(number) for number in range(1, 9)]
