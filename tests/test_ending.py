"""A child's end: what its worker has started or written is not lost, in this order."""

from __future__ import annotations

import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from kept import Parallel
from support import LIMIT, every, forked_and_ended, forked_outside, run_case

from tep_parallel import DeadWorkerError, ParallelWorker


def later(path: Path, text: str) -> None:
    """What a thread of a worker's does."""
    time.sleep(0.2)
    with open(path, "a") as file:
        file.write(text)


def test_an_abort_from_another_thread_leaves_nothing_alive() -> None:
    assert sorted(run_case("aborted").splitlines()) == ["['quick']", "b''"]


@forked_outside  # a queue of the host's has descriptors, which a block does not keep
def test_multiprocessings_own_objects_work_in_children(shape: dict[str, Any]) -> None:
    assert run_case("of_multiprocessing", json.dumps(shape)).splitlines() == [
        "put True 12",
        "used 0 0 0 0",
        "is {'ParallelProcess'} {'True'}",
        "kept True True True",
        "itself MainProcess None",
    ]


@forked_and_ended
def test_what_a_worker_has_of_multiprocessing_ends_with_its_child(
    shape: dict[str, Any], tmp_path: Path
) -> None:
    """Also where the host has never imported it."""
    assert run_case("own_multiprocessing", json.dumps(shape)) == "True\n"


@forked_and_ended
@pytest.mark.parametrize("how", ["returns", "raises", "exits"])
def test_a_thread_of_a_workers_is_joined_however_its_item_ends(
    shape: dict[str, Any], how: str, tmp_path: Path
) -> None:
    def work(item: int) -> str:
        threading.Thread(target=later, args=(tmp_path / "done", f"{item};")).start()
        if how == "raises":
            raise ValueError
        if how == "exits":
            sys.exit(3)
        return ""

    outcomes = Parallel(work, on_error="finish", **shape).outcomes(range(3))
    expected = {"returns": type(None), "raises": ValueError, "exits": DeadWorkerError}
    assert {type(outcome.error) for outcome in outcomes} == {expected[how]}
    assert sorted((tmp_path / "done").read_text()) == sorted("0;1;2;")


@forked_and_ended
def test_a_daemon_thread_holds_no_child_up(shape: dict[str, Any]) -> None:
    def work(item: int) -> str:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        return ""

    assert Parallel(work, timeout=30, **shape).map_processes(range(3)) == [""] * 3


@forked_and_ended
def test_an_executor_that_nobody_has_shut_down_holds_no_child_up(
    shape: dict[str, Any], tmp_path: Path
) -> None:
    """Nor are the host's own disturbed, of which one makes the call."""

    def work(item: int) -> str:
        executor = ThreadPoolExecutor(1)
        executor.submit(later, tmp_path / "done", f"{item};")
        return ""

    with ThreadPoolExecutor(2) as executor:
        call = executor.submit(Parallel(work, timeout=30, **shape).map_processes, range(3))
        assert call.result() == [""] * 3
        assert executor.submit(str, 1).result() == "1"
    assert sorted((tmp_path / "done").read_text()) == sorted("0;1;2;")


@pytest.mark.parametrize("shape", [{}, {"in_processes": 1}], ids=["a child an item", "pool"])
def test_an_end_has_an_order(
    shape: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """teardown, threads, finalizers, flush; and what each of them writes arrives."""
    from multiprocessing import util

    path = tmp_path / "out"
    monkeypatch.setattr(sys, "stdout", open(path, "a"))

    def thread() -> None:
        time.sleep(0.2)
        print("thread")

    class Ending(ParallelWorker):
        def process(self, item: str) -> str:
            util.Finalize(None, print, args=("finalizer",), exitpriority=1)
            print("process")
            return item

        def teardown(self) -> None:
            threading.Thread(target=thread).start()
            print("teardown")

    assert Parallel(Ending(), **shape).map_processes(["a"]) == ["a"]
    sys.stdout.close()
    assert path.read_text().split() == ["process", "teardown", "thread", "finalizer"]


@forked_outside
def test_a_teardown_that_raises_is_told_when_threads_have_ended(
    shape: dict[str, Any], tmp_path: Path
) -> None:
    class Failing(ParallelWorker):
        def teardown(self) -> None:
            threading.Thread(target=later, args=(tmp_path / "done", "done")).start()
            raise ValueError("of teardown")

    with pytest.raises(ValueError, match="of teardown"):
        Parallel(Failing(), **shape).map_processes(["a"])
    assert (tmp_path / "done").read_text() == "done"


@forked_and_ended
def test_output_that_is_lost_at_the_end_fails_the_call(shape: dict[str, Any]) -> None:
    """A result stands; but nobody shall believe that what a thread wrote was written."""

    def work(item: int) -> str:
        sys.stdout = open("/dev/full", "w")
        threading.Thread(target=lambda: (time.sleep(0.2), print("lost"))).start()
        return ""

    with pytest.raises(OSError, match="No space left"):
        Parallel(work, **shape).map_processes([1])


@every
def test_a_worker_that_starts_nothing_has_nothing_to_wait_for(shape: dict[str, Any]) -> None:
    """The host has threads of its own, which no child waits for."""
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    try:
        assert Parallel(str, timeout=30, **shape).map_processes(range(3)) == ["0", "1", "2"]
    finally:
        over.set()
        thread.join()


@forked_outside
@pytest.mark.parametrize("how", ["teardown", "thread"])
def test_a_child_that_does_not_come_to_its_end_is_killed_and_its_result_stands(
    how: str, shape: dict[str, Any]
) -> None:
    class Stays(ParallelWorker):
        def process(self, item: str) -> str:
            if how == "thread":
                threading.Thread(target=time.sleep, args=(LIMIT,)).start()
            return item

        def teardown(self) -> None:
            if how == "teardown":
                time.sleep(LIMIT)

    begun = time.monotonic()
    with pytest.warns(RuntimeWarning, match=f"{how}.* had not ended"):
        assert Parallel(Stays(), timeout=0.5, **shape).map_processes(["a", "b"]) == ["a", "b"]
    assert time.monotonic() - begun < LIMIT / 2


@forked_outside
def test_the_deadline_ends_a_child_that_does_not_come_to_its_end(shape: dict[str, Any]) -> None:
    class Stays(ParallelWorker):
        def process(self, item: str) -> str:
            return item

        def teardown(self) -> None:
            time.sleep(LIMIT)

    begun = time.monotonic()
    assert Parallel(Stays(), deadline=1, **shape).map_processes(["a", "b"]) == ["a", "b"]
    assert time.monotonic() - begun < LIMIT / 2
