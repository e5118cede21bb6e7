"""ForkExecutor: an executor of concurrent.futures whose calls can be killed."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import importlib.util
import os
import pickle
import signal
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import LIMIT, alive, children, run_case, until

from tep_parallel import DeadWorkerError, ForkExecutor, ItemTimeoutError, WorkerError
from tep_parallel._engine import native


@pytest.fixture
def executor() -> Iterator[ForkExecutor]:
    executor = ForkExecutor(2)
    yield executor
    executor.kill_workers()


def deaf(place: Path) -> None:
    """It says that it runs, and hears no signal."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    (place / str(os.getpid())).touch()
    time.sleep(60)


def running_in(place: Path, count: int = 1) -> list[int]:
    until(lambda: len(list(place.iterdir())) == count)
    return [int(path.name) for path in place.iterdir()]


def call_of(future: Any) -> Any:
    """The call of the C core that a future stands for, once it is there."""
    until(lambda: future._task and future._task._call)
    return future._task._call


def test_cpythons_own_tests_pass() -> None:
    if importlib.util.find_spec("test.test_concurrent_futures") is None:
        pytest.skip("this Python was installed without its tests")
    run_case("cpython_executor", limit=280)


def test_each_call_has_a_child_that_inherits_it_as_it_is_when_it_starts(
    executor: ForkExecutor,
) -> None:
    given: list[Any] = [lambda: "inherited"]
    blocking = [executor.submit(time.sleep, 0.2) for _ in range(2)]
    late = executor.submit(lambda: (given[0](), len(given), os.getpid()))
    given.append(None)
    first, seen, pid = late.result()
    assert (first, seen) == ("inherited", 2)
    assert pid not in {os.getpid(), executor.submit(os.getpid).result()}
    assert [future.result() for future in blocking] == [None, None]


def test_one_thread_drives_all_calls(executor: ForkExecutor) -> None:
    before = threading.active_count()
    futures = [executor.submit(time.sleep, 0.1) for _ in range(4)]
    assert threading.active_count() == before + 1
    concurrent.futures.wait(futures)


def test_a_running_future_that_is_cancelled_is_killed_and_then_cancelled(
    executor: ForkExecutor, tmp_path: Path
) -> None:
    future = executor.submit(deaf, tmp_path)
    (pid,) = running_in(tmp_path)
    heard: list[bool] = []
    future.add_done_callback(lambda done: heard.append(done.cancelled() and not alive(pid)))
    begun = time.monotonic()
    assert future.cancel()
    assert future.cancel()
    with pytest.raises(concurrent.futures.CancelledError):
        future.result()
    assert time.monotonic() - begun < LIMIT / 4
    until(lambda: heard)  # callbacks are called a moment later
    assert heard == [True]
    assert executor.submit(int).result() == 0


def test_it_is_running_until_the_reap(executor: ForkExecutor, tmp_path: Path) -> None:
    future = executor.submit(deaf, tmp_path)
    running_in(tmp_path)
    (nursery,) = children()
    os.kill(nursery, signal.SIGSTOP)
    assert future.cancel()
    time.sleep(0.1)
    assert future.running()
    assert not future.cancelled()
    os.kill(nursery, signal.SIGCONT)
    assert concurrent.futures.wait([future], 5).done == {future}
    assert future.cancelled()


def test_a_result_that_comes_after_the_cancel_is_dropped(
    executor: ForkExecutor, tmp_path: Path
) -> None:
    def work() -> str:
        (tmp_path / "runs").touch()
        until((tmp_path / "go").exists)
        return "late"

    future = executor.submit(work)
    call = call_of(future)
    until((tmp_path / "runs").exists)
    (nursery,) = children()
    os.kill(nursery, signal.SIGSTOP)
    assert future.cancel()
    (tmp_path / "go").touch()
    until(lambda: call.committed(0))
    assert future.running()
    assert future.cancel()
    os.kill(nursery, signal.SIGCONT)
    assert concurrent.futures.wait([future], 5).done == {future}
    assert future.cancelled()


def test_a_nursery_that_does_not_end_is_killed(executor: ForkExecutor, tmp_path: Path) -> None:
    future = executor.submit(deaf, tmp_path)
    (pid,) = running_in(tmp_path)
    (nursery,) = children()
    until(lambda: call_of(future).result(0).pid == pid)  # it has noted that
    os.kill(nursery, signal.SIGSTOP)
    assert future.cancel()
    assert executor.submit(int).result() == 0  # the others go on meanwhile
    assert concurrent.futures.wait([future], 10).done == {future}
    assert not alive(pid)


def test_a_committed_result_is_not_cancelled(executor: ForkExecutor, tmp_path: Path) -> None:
    """The child has committed it, and is still on its way out."""

    def work() -> str:
        threading.Thread(target=time.sleep, args=(0.5,)).start()
        return "done"

    future = executor.submit(work)
    call = call_of(future)
    until(lambda: call.committed(0))
    assert not future.done()
    assert not future.cancel()
    assert future.result() == "done"
    assert not future.cancel()


def test_a_child_that_dies_costs_its_call_only(executor: ForkExecutor) -> None:
    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    dead, well = executor.submit(die), executor.submit(int)
    with pytest.raises(DeadWorkerError, match=r"\.die: child \d+ was killed by signal 9") as caught:
        dead.result()
    assert caught.value.signal == signal.SIGKILL
    assert well.result() == 0
    with pytest.raises(DeadWorkerError, match="exit code 3"):
        executor.submit(os._exit, 3).result()


def test_a_nursery_that_dies_costs_its_call_only(executor: ForkExecutor, tmp_path: Path) -> None:
    future = executor.submit(deaf, tmp_path)
    (pid,) = running_in(tmp_path)
    (nursery,) = children()
    os.kill(nursery, signal.SIGKILL)
    with pytest.raises(DeadWorkerError):
        future.result()
    assert not alive(pid)
    assert executor.submit(int).result() == 0


def test_results_and_exceptions_are_those_of_the_call(executor: ForkExecutor) -> None:
    value = {"a": [1, 2.5, None, b"x"]}
    assert executor.submit(lambda: value).result() == value
    with pytest.raises(ZeroDivisionError) as caught:
        executor.submit(divmod, 1, 0).result()
    assert "ZeroDivisionError" in str(caught.value.__cause__)
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        executor.submit(lambda: threading.Lock()).result()
    with pytest.raises(WorkerError):
        executor.submit(next, iter(())).result()


def test_a_timeout_kills_and_a_death_is_tried_again(tmp_path: Path) -> None:
    def second_time() -> str:
        try:
            (tmp_path / "first").mkdir()
        except FileExistsError:
            return "well"
        os._exit(1)

    with ForkExecutor(1, timeout=0.5, retries=1) as executor:
        with pytest.raises(ItemTimeoutError, match=r"time\.sleep|sleep"):
            executor.submit(time.sleep, 60).result()
        assert executor.submit(second_time).result() == "well"


@pytest.mark.parametrize("options", [{}, {"chunksize": 2}, {"buffersize": 1}])
def test_a_map_that_is_left_early_kills(
    executor: ForkExecutor, tmp_path: Path, options: dict[str, int]
) -> None:
    def work(item: int) -> int:
        if item >= 2:
            deaf(tmp_path)
        return item

    results = executor.map(work, range(8), **options)  # type: ignore[arg-type]
    assert next(results) == 0
    assert next(results) == 1
    if "buffersize" not in options:
        running_in(tmp_path, 2)
    results.close()  # type: ignore[attr-defined]
    until(lambda: children() == [])
    assert executor.submit(int).result() == 0


def test_a_map_whose_source_raises_kills(executor: ForkExecutor, tmp_path: Path) -> None:
    def source() -> Iterator[Path]:
        yield tmp_path
        running_in(tmp_path)
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        next(executor.map(deaf, source(), buffersize=1))
    until(lambda: children() == [])


def test_a_chunk_shares_a_child_whose_death_fails_the_chunk(executor: ForkExecutor) -> None:
    def work(item: int) -> int:
        if item == 5:
            os._exit(1)
        return os.getpid()

    results = executor.map(work, range(6), chunksize=2)
    pids = [next(results) for _ in range(4)]
    assert pids[0] == pids[1] != pids[2] == pids[3]
    with pytest.raises(DeadWorkerError, match=r"\.work: child \d+ ended"):
        next(results)
    with pytest.raises(StopIteration):
        next(results)


def test_arguments_of_any_name_are_handed_on(executor: ForkExecutor) -> None:
    future = executor.submit(lambda *args, **names: (args, names), 1, fn=2, self=3, item=4)
    assert future.result() == ((1,), {"fn": 2, "self": 3, "item": 4})
    with pytest.raises(TypeError):
        executor.submit(fn=int)  # type: ignore[call-arg]


def test_a_map_that_nobody_looks_at_is_done(tmp_path: Path) -> None:
    with ForkExecutor(2) as executor:
        executor.map(lambda item: (tmp_path / item).touch(), "abc")
    assert {path.name for path in tmp_path.iterdir()} == set("abc")


def test_a_map_with_a_buffer_pulls_no_more_than_that(executor: ForkExecutor) -> None:
    pulled: list[int] = []
    source = (pulled.append(number) or number for number in range(100))
    results = executor.map(str, source, buffersize=3)
    assert pulled == [0, 1, 2]
    assert next(results) == "0"
    assert pulled == [0, 1, 2, 3]
    assert list(results) == [str(number) for number in range(1, 100)]


def test_a_map_that_is_late_kills(executor: ForkExecutor, tmp_path: Path) -> None:
    results = executor.map(deaf, [tmp_path] * 3, timeout=0.5)
    with pytest.raises(concurrent.futures.TimeoutError):
        next(results)
    until(lambda: children() == [])


def test_a_shutdown_leaves_what_runs_alone(executor: ForkExecutor) -> None:
    futures = [executor.submit(time.sleep, 0.3) for _ in range(5)]
    executor.shutdown(cancel_futures=True)
    assert [future.cancelled() for future in futures] == [False, False, True, True, True]
    assert futures[0].result() is None
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        executor.submit(int)
    executor.shutdown()
    assert [future.exception() for future in futures[:2]] == [None, None]


def test_kill_workers_ends_what_runs(executor: ForkExecutor, tmp_path: Path) -> None:
    futures = [executor.submit(deaf, tmp_path) for _ in range(3)]
    pids = running_in(tmp_path, 2)
    executor.kill_workers()
    assert not any(map(alive, pids))
    assert children() == []
    for future in futures[:2]:
        with pytest.raises(DeadWorkerError, match="deaf: its child was killed"):
            future.result()
    assert futures[2].cancelled()


def test_terminate_workers_asks_what_runs_to_end(executor: ForkExecutor, tmp_path: Path) -> None:
    def obeys() -> str:
        def end(*_: object) -> None:
            raise KeyError("asked")

        signal.signal(signal.SIGTERM, end)
        (tmp_path / str(os.getpid())).touch()
        time.sleep(60)
        return "late"

    future = executor.submit(obeys)
    other = executor.submit(lambda: (obeys.__name__, time.sleep(60)))
    running_in(tmp_path)
    until(lambda: len(children()) == 2)
    time.sleep(0.1)
    executor.terminate_workers()
    with pytest.raises(KeyError):
        future.result()
    with pytest.raises(DeadWorkerError) as caught:
        other.result()
    assert caught.value.signal in (signal.SIGTERM, signal.SIGKILL)


def test_terminate_workers_lets_nothing_be_tried_again(tmp_path: Path) -> None:
    executor = ForkExecutor(1, retries=3)
    future = executor.submit(lambda: ((tmp_path / str(os.getpid())).touch(), time.sleep(60)))
    (pid,) = running_in(tmp_path)
    until(lambda: call_of(future).result(0).pid == pid)
    executor.terminate_workers()
    with pytest.raises(DeadWorkerError) as caught:
        future.result(10)
    assert caught.value.signal == signal.SIGTERM
    executor.shutdown()
    assert len(list(tmp_path.iterdir())) == 1


def test_an_initializer_runs_in_each_child(executor: ForkExecutor) -> None:
    seen: list[str] = []
    with ForkExecutor(2, initializer=seen.append, initargs=("a",)) as initialized:
        assert [initialized.submit(seen.copy).result() for _ in range(3)] == [["a"]] * 3
    assert seen == []


def test_an_initializer_that_fails_breaks_the_executor(caplog: pytest.LogCaptureFixture) -> None:
    def fail(word: str) -> None:
        raise ValueError(word)

    with ForkExecutor(1, initializer=fail, initargs=("no",)) as executor:
        futures = [executor.submit(int) for _ in range(3)]
        for future in futures:
            with pytest.raises(concurrent.futures.BrokenExecutor) as caught:
                future.result()
            assert repr(caught.value.__cause__) == "ValueError('no')"
        with pytest.raises(concurrent.futures.BrokenExecutor):
            executor.submit(int)
    assert [record.getMessage() for record in caplog.records] == ["Exception in initializer:"]


def test_bad_arguments_are_refused() -> None:
    for given in ({"max_workers": 0}, {"timeout": 0}, {"retries": -1}):
        with pytest.raises(ValueError, match="0"):
            ForkExecutor(**given)
    with pytest.raises(TypeError, match="initializer must be a callable"):
        ForkExecutor(initializer="no")  # type: ignore[arg-type]


def test_a_call_may_use_the_executor_itself(executor: ForkExecutor) -> None:
    assert executor.submit(lambda: executor.submit(pow, 2, 8).result()).result() == 256


def test_a_callback_may_submit_and_shut_down(executor: ForkExecutor) -> None:
    done = threading.Event()

    def then(_: object) -> None:
        executor.submit(int).add_done_callback(lambda _: executor.shutdown() or done.set())

    executor.submit(int).add_done_callback(then)
    assert done.wait(10)


def test_a_callback_that_ends_its_thread_costs_no_other_call(
    executor: ForkExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    other = executor.submit(time.sleep, 0.3)
    future = executor.submit(time.sleep, 0.1)
    future.add_done_callback(lambda _: sys.exit(3))
    assert (future.result(), other.result()) == (None, None)
    assert executor.submit(int).result() == 0
    assert "exception calling callback" in caplog.text


def test_a_ctrl_c_while_the_thread_begins_breaks_nothing(
    executor: ForkExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(thread: threading.Thread, start: Any = threading.Thread.start) -> None:
        start(thread)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(KeyboardInterrupt):
            executor.submit(int)
    until(lambda: all(one.name != "tep-executor" for one in threading.enumerate()))
    assert executor.submit(int).result() == 0


def test_nothing_keeps_what_was_submitted(executor: ForkExecutor) -> None:
    class Held:
        def method(self) -> None:
            raise ValueError("no")

    held = Held()
    seen = weakref.ref(held)
    future = executor.submit(held.method)
    with pytest.raises(ValueError, match="no"):
        future.result()
    del held
    gc.disable()
    try:
        until(lambda: seen() is None, 5)
    finally:
        gc.enable()


def test_an_executor_that_nobody_has_any_more_ends_its_thread() -> None:
    executor = ForkExecutor(1)
    future = executor.submit(time.sleep, 0.2)
    (thread,) = (one for one in threading.enumerate() if one.name == "tep-executor")
    del executor
    thread.join(10)
    assert not thread.is_alive()
    assert future.done()


def test_it_waits_where_there_are_no_more_descriptors(
    executor: ForkExecutor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The second call begins when the first has ended."""
    from tep_parallel._engine import task

    opened, refused = task.opened, []

    def full(plan: Any) -> Any:
        if children():
            refused.append(plan)
            raise OSError(24, "Too many open files")
        return opened(plan)

    monkeypatch.setattr(task, "opened", full)
    first = executor.submit(until, (tmp_path / "go").exists)
    until(children)
    second = executor.submit(int)
    until(lambda: refused)
    (tmp_path / "go").touch()
    assert [first.result(), second.result()] == [None, 0]
    assert len(refused) == 1


def test_no_result_is_lost_where_descriptors_are_few() -> None:
    run_case("executor_descriptors")


def test_it_fails_where_nothing_can_be_begun(
    executor: ForkExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tep_parallel._engine import task

    def full(_: object) -> Any:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(task, "opened", full)
    with pytest.raises(OSError, match="Too many"):
        executor.submit(int).result()


def test_asyncio_runs_calls_in_it(executor: ForkExecutor, tmp_path: Path) -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        value = await loop.run_in_executor(executor, pow, 2, 8)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(loop.run_in_executor(executor, deaf, tmp_path), 0.5)
        return value

    assert asyncio.run(main()) == 256
    until(lambda: children() == [])


def test_an_awaiter_goes_on_before_the_reap(executor: ForkExecutor, tmp_path: Path) -> None:
    async def main() -> int:
        task = asyncio.get_running_loop().run_in_executor(executor, deaf, tmp_path)
        while not list(tmp_path.iterdir()):
            await asyncio.sleep(0.01)
        (nursery,) = children()
        os.kill(nursery, signal.SIGSTOP)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert alive(running_in(tmp_path)[0])
        return nursery

    os.kill(asyncio.run(main()), signal.SIGCONT)
    until(lambda: children() == [])


def test_ten_thousand_calls_wait_their_turn(executor: ForkExecutor) -> None:
    futures = [executor.submit(pow, number, 1) for number in range(10_000)]
    assert threading.active_count() < 10
    assert all(future.cancel() for future in futures[100:])
    assert [future.result() for future in futures[:100]] == list(range(100))
    assert all(future.cancelled() for future in futures[100:])


def test_calls_from_many_threads_with_cancels_leave_nothing(executor: ForkExecutor) -> None:
    wrong: list[object] = []

    def use(seed: int) -> None:
        for turn in range(12):
            future = executor.submit(lambda turn=turn: (time.sleep(0.005), turn)[1])
            if (seed + turn) % 3 == 0:
                time.sleep(0.002 * (turn % 4))
                cancelled = future.cancel()
                concurrent.futures.wait([future])
                if cancelled != future.cancelled():
                    wrong.append((seed, turn))
            elif future.result() != turn:
                wrong.append(future)

    threads = [threading.Thread(target=use, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert children() == []
    assert native.lib is not None
