"""How a ForkExecutor ends: with its program, with its process, or in a fork of that."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import alive, run_case, started, until

from tep_parallel import ForkExecutor


@pytest.fixture
def executor() -> Iterator[ForkExecutor]:
    executor = ForkExecutor(2)
    yield executor
    executor.kill_workers()


@pytest.mark.parametrize(
    "how", ["at a result", "in a block", "at the end of a block", "at the program's end"]
)
def test_ctrl_c_kills_what_runs(how: str, tmp_path: Path) -> None:
    with started("executor_ends", how, tmp_path) as case:
        until(lambda: len(list(tmp_path.iterdir())) == 1)
        (pid,) = (int(path.name) for path in tmp_path.iterdir())
        case.send_signal(signal.SIGINT)
        if how == "at the end of a block":
            assert case.stdout is not None
            assert case.stdout.readline() == "caught\n"
            assert not alive(pid)
            return
        _, err = case.communicate(timeout=5)
    assert not alive(pid)
    assert "KeyboardInterrupt" in err
    if how != "at the program's end":
        assert case.returncode == -signal.SIGINT


def test_a_host_that_is_killed_leaves_nothing(tmp_path: Path, scratch_root: Path) -> None:
    with started("executor_ends", "at a result", tmp_path) as case:
        until(lambda: len(list(tmp_path.iterdir())) == 1)
        (pid,) = (int(path.name) for path in tmp_path.iterdir())
        case.kill()
        case.communicate(timeout=5)
    until(lambda: not alive(pid) and list(scratch_root.iterdir()) == [], 5)


def test_a_program_that_ends_awaits_its_calls_and_prints_all_once() -> None:
    words = run_case("executor_exits").split()
    assert sorted(words) == sorted(["host", "child", "over", *["[0,", "0]"] * 3])


def test_what_the_host_opens_after_it_has_closed_all_is_left_alone() -> None:
    run_case("executor_closed")


def test_a_fork_has_an_executor_of_its_own(executor: ForkExecutor) -> None:
    executor.submit(int).result()
    running = executor.submit(pow, 2, 8)
    pid = os.fork()
    if pid == 0:
        try:
            well = executor.submit(os.getppid).result(10) != os.getppid()
            executor.shutdown()
            gc.collect()
            os._exit(0 if well else 1)
        finally:
            os._exit(2)
    assert os.waitpid(pid, 0)[1] == 0
    assert running.result() == 256
    assert executor.submit(int).result() == 0


def test_in_a_fork_all_threads_have_the_same_executor(executor: ForkExecutor) -> None:
    def found() -> int:
        sys.setswitchinterval(1e-6)
        ready = threading.Barrier(8)
        drivers: list[object] = []
        threads = [
            threading.Thread(target=lambda: (ready.wait(), drivers.append(executor._own())))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(set(map(id, drivers)))

    assert {executor.submit(found).result() for _ in range(20)} == {1}
