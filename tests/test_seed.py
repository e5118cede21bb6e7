"""The seed surface: a test for each sentence of it."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kept import Parallel
from support import in_and_out

from tep_parallel import ParallelWorker, Sock

Shape = dict[str, Any]


class Doubler(ParallelWorker):
    def process(self, item: str) -> str:
        return str(int(item) * 2)


class Returns(ParallelWorker):
    """Returns what it was made with, whatever the item."""

    def __init__(self, value: object) -> None:
        self.value = value

    def process(self, item: object) -> str:
        return self.value  # type: ignore[return-value]


def pid_of(item: object) -> str:
    return str(os.getpid())


@in_and_out
def test_results_stand_in_input_order_one_for_each_item(shape: Shape) -> None:
    assert Parallel(Doubler(), **shape).map_processes(["1", "2", "3"]) == ["2", "4", "6"]


@in_and_out
def test_input_order_is_kept_when_the_first_item_ends_last(shape: Shape) -> None:
    def wait_for_the_second(item: str) -> str:
        if item == "first":
            while Path(marker).stat().st_size == 0:
                time.sleep(0.001)
        else:
            Path(marker).write_text("ended")
        return item

    marker = os.path.join(os.environ["TMPDIR"], "marker")
    Path(marker).touch()
    assert Parallel(wait_for_the_second, **shape).map_processes(["first", "second"]) == [
        "first",
        "second",
    ]
    Path(marker).unlink()


@in_and_out
def test_each_process_returns_0_and_discards_the_results(shape: Shape) -> None:
    assert Parallel(Doubler(), **shape).each_process(["1", "2", "3"]) == 0


@in_and_out
def test_each_process_returns_once_every_child_has_exited(tmp_path: Path, shape: Shape) -> None:
    def late(item: str) -> None:
        time.sleep(0.05)
        (tmp_path / item).touch()

    assert Parallel(late, **shape).each_process(["a", "b", "c"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]


@in_and_out
def test_each_process_neither_checks_nor_sends_what_process_returns(shape: Shape) -> None:
    assert Parallel(Returns(threading.Lock()), **shape).each_process([1, 2]) == 0


@in_and_out
def test_every_child_has_a_pid_of_its_own(shape: Shape) -> None:
    pids = Parallel(pid_of, **shape).map_processes(range(20))
    assert len(set(pids)) == 20
    assert str(os.getpid()) not in pids


def test_map_returns_when_every_child_has_exited() -> None:
    for pid in Parallel(pid_of).map_processes(range(5)):
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


@in_and_out
def test_the_worker_is_held_and_the_base_class_returns_an_empty_text(shape: Shape) -> None:
    worker = ParallelWorker()
    parallel = Parallel(worker, **shape)
    assert parallel.worker is worker
    assert worker.process("x") == ""
    assert parallel.map_processes(["a", "b"]) == ["", ""]


@in_and_out
def test_the_worker_may_be_any_callable_and_is_not_pickled(shape: Shape) -> None:
    lock = threading.Lock()  # cannot be pickled
    assert Parallel(lambda item: f"{item} {lock.locked()}", **shape).map_processes([1]) == [
        "1 False"
    ]


@in_and_out
@pytest.mark.parametrize("text", ["", "\0", "a\0b", "\ud800", "\udfff\ud800", "ß€🦊", "\r\n"])
def test_any_text_comes_back_as_it_is(text: str, shape: Shape) -> None:
    assert Parallel(Returns(text), **shape).map_processes([0]) == [text]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(st.characters(), max_size=50), max_size=4))
def test_any_texts_come_back_as_they_are(texts: list[str]) -> None:
    assert Parallel(lambda item: item).map_processes(texts) == texts


@in_and_out
def test_a_result_of_megabytes_comes_back_whole(shape: Shape) -> None:
    texts = Parallel(lambda item: item * 3_000_000, **shape).map_processes(["a", "ß", "🦊"])
    assert texts == ["a" * 3_000_000, "ß" * 3_000_000, "🦊" * 3_000_000]


@in_and_out
def test_json_in_json_out(shape: Shape) -> None:
    def worker(item: str) -> str:
        return json.dumps({"sum": sum(json.loads(item))})

    assert Parallel(worker, **shape).map_processes(["[1, 2]", "[]"]) == ['{"sum": 3}', '{"sum": 0}']


@pytest.mark.parametrize("items", [[], (), iter([]), range(0)])
def test_no_items_is_no_fork(items: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/nowhere/at/all")  # a call would fail there
    assert Parallel(Doubler()).map_processes(items) == []  # type: ignore[arg-type]
    assert Parallel(Doubler()).each_process(items) == 0  # type: ignore[arg-type]
    assert Parallel(Doubler()).outcomes(items) == []  # type: ignore[arg-type]


@in_and_out
@pytest.mark.parametrize("kind", [tuple, dict.fromkeys, iter])
def test_items_may_be_any_iterable(kind: Callable[[list[str]], Any], shape: Shape) -> None:
    assert Parallel(Doubler(), **shape).map_processes(kind(["1", "2"])) == ["2", "4"]


def listing(item: object) -> str:
    root = Path(os.environ["TMPDIR"])
    (scratch,) = root.iterdir()
    return json.dumps([scratch.name, oct(scratch.stat().st_mode & 0o7777)])


def test_the_scratch_directory_is_named_after_caller_and_clock_and_is_private() -> None:
    before = time.monotonic_ns()
    name, mode = json.loads(Parallel(listing).map_processes([0])[0])
    tep, par, pid, stamp = name.split("_")
    assert (tep, par, int(pid), mode) == ("tep", "par", os.getpid(), "0o700")
    assert before < int(stamp) < time.monotonic_ns()


def test_results_cross_in_a_file_for_each_index(scratch_root: Path) -> None:
    def wait_for_the_first(item: str) -> str:
        (scratch,) = scratch_root.iterdir()
        if item == "b":
            while not (scratch / "0").exists():
                time.sleep(0.001)
            return json.dumps(sorted(path.name for path in scratch.iterdir()))
        return "not"

    assert json.loads(Parallel(wait_for_the_first).map_processes(["a", "b"])[1]) == ["0"]


def test_the_scratch_root_may_be_named(tmp_path: Path) -> None:
    def look(item: object) -> str:
        return str(len(list(tmp_path.iterdir())))

    assert Parallel(look, scratch_root=tmp_path).map_processes([0]) == ["1"]
    assert Parallel(look, scratch_root=str(tmp_path)).map_processes([0]) == ["1"]
    assert list(tmp_path.iterdir()) == []


def test_without_tmpdir_the_scratch_root_is_tmp(monkeypatch: pytest.MonkeyPatch) -> None:
    host = os.getpid()

    def find(item: object) -> str:
        return str(len(list(Path("/tmp").glob(f"tep_par_{host}_*"))))

    for value in (None, ""):
        if value is None:
            monkeypatch.delenv("TMPDIR")
        else:
            monkeypatch.setenv("TMPDIR", value)
        assert Parallel(find).map_processes([0]) == ["1"]
    assert list(Path("/tmp").glob(f"tep_par_{os.getpid()}_*")) == []


def test_a_relative_scratch_root_is_that_of_the_constructor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    parallel = Parallel(Doubler(), scratch_root=".")
    monkeypatch.chdir("/")
    assert parallel.map_processes(["4"]) == ["8"]


def test_calls_from_threads_do_not_trample_each_other() -> None:
    found: dict[int, list[str]] = {}

    def call(number: int) -> None:
        for _ in range(10):
            items = [str(number * 100 + k) for k in range(5)]
            found[number] = Parallel(Doubler()).map_processes(items)
            if found[number] != [str(int(item) * 2) for item in items]:
                return

    threads = [threading.Thread(target=call, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(6):
        assert found[number] == [str((number * 100 + k) * 2) for k in range(5)]


@in_and_out
def test_calls_from_processes_do_not_trample_each_other(shape: Shape) -> None:
    def nested(item: int) -> str:
        inner = Parallel(Doubler(), **shape).map_processes([str(item * 10 + k) for k in range(3)])
        return " ".join(inner)

    found = Parallel(nested, **shape).map_processes(range(6))
    assert found == [" ".join(str((i * 10 + k) * 2) for k in range(3)) for i in range(6)]


# --- in_processes ------------------------------------------------------------------------


def test_at_most_n_children_are_alive() -> None:
    outcomes = Parallel(pid_of, in_processes=3, isolation=True).outcomes(range(25))
    assert len({outcome.pid for outcome in outcomes}) == 25
    for one in outcomes:
        assert one.started is not None
        begun = [o for o in outcomes if o.started is not None and o.started <= one.started]
        assert sum(o.started + o.seconds > one.started for o in begun) <= 3  # type: ignore[operator]


def test_more_processes_than_items_is_one_for_each() -> None:
    found = Parallel(Doubler(), in_processes=99, isolation=True).map_processes(["1"])
    assert found == ["2"]


def test_in_processes_0_forks_nothing_and_gives_the_same() -> None:
    here = Parallel(pid_of, in_processes=0)
    assert here.map_processes([1, 2]) == [str(os.getpid())] * 2
    assert here.each_process([1]) == 0
    assert Parallel(Doubler(), in_processes=0).map_processes(["1", "2"]) == ["2", "4"]


# --- Sock --------------------------------------------------------------------------------


def test_sphttp_fork_returns_0_in_the_child_and_its_pid_in_the_parent() -> None:
    read_end, write_end = os.pipe()
    pid = Sock.sphttp_fork()
    if pid == 0:
        os.write(write_end, str(Sock.sphttp_getpid()).encode())
        Sock.sphttp_exit(42)
    os.close(write_end)
    with open(read_end) as pipe:
        assert int(pipe.read()) == pid
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 42


def test_sphttp_fork_runs_the_interpreters_hooks() -> None:
    before = Sock.sphttp_fork()
    if before == 0:
        # threading's hook: only this thread is left.
        Sock.sphttp_exit(threading.active_count())
    assert os.waitstatus_to_exitcode(os.waitpid(before, 0)[1]) == 1


def test_sphttp_exit_runs_no_handlers_and_flushes_nothing(tmp_path: Path) -> None:
    import atexit

    pid = Sock.sphttp_fork()
    if pid == 0:
        atexit.register((tmp_path / "handler").touch)
        file = open(tmp_path / "buffered", "w")
        file.write("unflushed")
        Sock.sphttp_exit(0)
    os.waitpid(pid, 0)
    assert [(p.name, p.stat().st_size) for p in tmp_path.iterdir()] == [("buffered", 0)]


@pytest.mark.parametrize(
    ("status", "error"), [(256, ValueError), (-1, ValueError), ("0", TypeError)]
)
def test_sphttp_exit_refuses_what_is_no_status(status: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="status"):
        Sock.sphttp_exit(status)  # type: ignore[arg-type]


def test_sphttp_getpid_is_that_of_this_process() -> None:
    assert Sock.sphttp_getpid() == os.getpid()
