"""on_start, on_finish and progress: what the caller sees of a call while it runs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from kept import Parallel, close_blocks
from support import (
    FORKED,
    LIMIT,
    alive,
    every,
    forked,
    run_case,
    run_case_with_stderr,
    until,
)

from tep_parallel import DeadlineError, DeadWorkerError, Outcome, ParallelWorker


@every
def test_each_item_is_told_of_once_before_it_starts_and_when_it_has_ended(
    shape: dict[str, Any],
) -> None:
    events: list[tuple[str, int]] = []
    threads = set()

    def started(index: int, item: str) -> None:
        assert item == f"item {index}"
        threads.add(threading.get_ident())
        events.append(("start", index))

    def finished(outcome: Outcome[str]) -> None:
        assert outcome.result == outcome.item
        threads.add(threading.get_ident())
        events.append(("finish", outcome.index))

    items = [f"item {number}" for number in range(50)]
    fan_out = Parallel(str, on_start=started, on_finish=finished, **shape)
    assert fan_out.map_processes(items) == items
    assert [index for kind, index in events if kind == "start"] == list(range(50))
    assert sorted(index for kind, index in events if kind == "finish") == list(range(50))
    for index in range(50):
        assert events.index(("start", index)) < events.index(("finish", index))
    assert threads == {threading.get_ident()}


@forked
def test_no_item_starts_before_its_on_start_has_returned(
    shape: dict[str, Any], tmp_path: Path
) -> None:
    def work(item: int) -> str:
        assert (tmp_path / str(item)).exists()
        return ""

    def started(index: int, item: int) -> None:
        time.sleep(0.002)
        (tmp_path / str(index)).touch()

    Parallel(work, on_start=started, **shape).map_processes(range(40))


@forked
@pytest.mark.parametrize("how", ["leaves", "is killed"])
def test_a_child_that_ends_in_its_setup_fails_the_call_and_is_not_forked_again(
    how: str, shape: dict[str, Any], tmp_path: Path
) -> None:
    class Ends(ParallelWorker):
        def setup(self) -> None:
            (tmp_path / str(os.getpid())).touch()
            if how == "leaves":
                os._exit(4)
            os.kill(os.getpid(), signal.SIGKILL)

        def process(self, item: int) -> str:
            return str(item)

    with pytest.raises(DeadWorkerError, match="setup ended its child") as caught:
        Parallel(Ends(), retries=3, **{"in_processes": 2, **shape}).outcomes(range(300))
    assert (caught.value.exit_code, caught.value.signal) == (
        (4, None) if how == "leaves" else (None, signal.SIGKILL)
    )
    # Those that had been forked by the time the first end was seen.
    assert len(list(tmp_path.iterdir())) < 100
    with contextlib.suppress(DeadWorkerError):  # of a nest that no call has had
        close_blocks()


@forked
def test_an_item_starts_when_its_own_on_start_has_returned(
    shape: dict[str, Any], tmp_path: Path
) -> None:
    """The hook of the second waits for the first item to run, which must not wait for it."""

    def started(index: int, item: int) -> None:
        if index == 1:
            until((tmp_path / "0").exists)

    def work(item: int) -> str:
        (tmp_path / str(item)).touch()
        return str(item)

    fan_out = Parallel(work, on_start=started, **shape)
    assert fan_out.map_processes(range(4)) == ["0", "1", "2", "3"]


@forked
def test_on_finish_is_called_while_others_run_in_the_order_in_which_they_end(
    shape: dict[str, Any], tmp_path: Path
) -> None:
    def work(item: int) -> str:
        if item == 0:
            until((tmp_path / "three are told of").exists)
        return str(item)

    order: list[int] = []

    def finished(outcome: Outcome[str]) -> None:
        order.append(outcome.index)
        if len(order) == 3:
            (tmp_path / "three are told of").touch()

    Parallel(work, on_finish=finished, **shape).map_processes(range(4))
    assert order[-1] == 0
    assert sorted(order) == [0, 1, 2, 3]


@forked
def test_failures_are_told_of_too(shape: dict[str, Any]) -> None:
    def work(item: int) -> str:
        if item == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if item == 2:
            raise ValueError
        return str(item)

    told: dict[int, Outcome[str]] = {}
    fan_out = Parallel(
        work, on_finish=lambda outcome: told.update({outcome.index: outcome}), **shape
    )
    outcomes = fan_out.outcomes(range(4))
    assert [told[index] for index in range(4)] == outcomes
    assert isinstance(told[1].error, DeadWorkerError)
    assert isinstance(told[2].error, ValueError)
    assert (told[0].result, told[3].result) == ("0", "3")


@forked
@pytest.mark.parametrize("hook", ["on_start", "on_finish", "progress"])
def test_a_hook_that_raises_ends_the_call_and_kills_what_runs(
    shape: dict[str, Any], hook: str, tmp_path: Path
) -> None:
    def work(item: int) -> str:
        if item == 1:
            until(lambda: len(list(tmp_path.iterdir())) >= 1)
            return ""
        (tmp_path / str(os.getpid())).touch()
        time.sleep(LIMIT)
        return ""

    def refuse(*arguments: object) -> None:
        if hook != "on_start" or arguments[0] == 2:
            raise LookupError(hook)

    class Counter:
        update = refuse

    options: dict[str, Any] = {hook: Counter() if hook == "progress" else refuse}
    begun = time.monotonic()
    with pytest.raises(LookupError, match=hook):
        Parallel(work, **options, **shape).map_processes([0, 1, 2])
    assert time.monotonic() - begun < LIMIT / 2
    assert not any(alive(int(path.name)) for path in tmp_path.iterdir())


@every
def test_after_a_failure_on_start_is_not_called_for_what_will_not_start(
    shape: dict[str, Any],
) -> None:
    begun: list[int] = []

    def work(item: int) -> str:
        raise ValueError

    fan_out = Parallel(work, on_start=lambda index, item: begun.append(index), **shape)
    with pytest.raises(ValueError):
        fan_out.map_processes(range(600))
    assert len(begun) < 600


@every
@pytest.mark.parametrize("codec", [None, json])
def test_results_are_the_same_with_hooks(shape: dict[str, Any], codec: Any) -> None:
    def size(item: int) -> str:
        return "x" * item

    sizes = [0, 1, 5_000_000, 3, 70_000]
    told: list[int] = []
    fan_out = Parallel(
        size, codec=codec, on_finish=lambda outcome: told.append(len(outcome.result)), **shape
    )
    assert [len(text) for text in fan_out.map_processes(sizes)] == sizes
    assert sorted(told) == sorted(sizes)


def test_ten_thousand_items_are_told_of_while_they_run() -> None:
    told: list[int] = []
    fan_out = Parallel(
        str, in_processes=2, on_finish=lambda outcome: told.append(int(outcome.result or -1))
    )
    assert fan_out.map_processes(range(10_000)) == [str(number) for number in range(10_000)]
    assert sorted(told) == list(range(10_000))


def test_killed_children_keep_no_item_from_being_told_of() -> None:
    """Whoever is killed between its commit and telling of it, the host hears all the same."""

    def work(item: int) -> str:
        if item % 10 == 3:
            threading.Thread(target=lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
        return str(item)

    told: list[int] = []
    fan_out = Parallel(work, in_processes=3, on_finish=lambda outcome: told.append(outcome.index))
    for _ in range(20):
        told.clear()
        outcomes = fan_out.outcomes(range(200))
        assert sorted(told) == list(range(200))
        for outcome in outcomes:
            assert outcome.result == str(outcome.index) or isinstance(
                outcome.error, DeadWorkerError
            )


@every
def test_progress_counts_every_item(shape: dict[str, Any]) -> None:
    class Counter:
        seen = 0

        def update(self, n: int) -> None:
            self.seen += n

    counter = Counter()
    Parallel(str, progress=counter, **shape).map_processes(range(100))
    assert counter.seen == 100


def test_a_bar_that_cannot_be_asked_for_its_truth_is_a_bar() -> None:
    class Bar:
        seen = 0

        def __bool__(self) -> bool:
            raise TypeError  # as tqdm's do, which have a length or none

        def update(self, n: int) -> None:
            self.seen += n

    bar = Bar()
    Parallel(str, progress=bar).map_processes(range(3))
    assert bar.seen == 3
    Parallel(str, progress=False).map_processes(range(3))


@every
def test_progress_true_is_a_bar_of_the_hosts_alone(shape: dict[str, Any]) -> None:
    out, err = run_case_with_stderr("hooks", "bar", json.dumps(shape))
    assert out == "['0', '1', '2']\n"
    assert "3/3" in err
    assert err.count("0/3") == 1


@every
def test_what_a_hook_prints_is_printed_once(shape: dict[str, Any]) -> None:
    lines = run_case("hooks", "printing", json.dumps(shape)).splitlines()
    assert sorted(lines) == ["finish 0", "finish 1", "finish 2", "start 0", "start 1", "start 2"]


@forked
def test_after_the_deadline_on_start_is_not_called(shape: dict[str, Any]) -> None:
    begun: list[int] = []

    def work(item: int) -> str:
        time.sleep(LIMIT)
        return ""

    fan_out = Parallel(
        work, deadline=0.3, on_start=lambda index, item: begun.append(index), **shape
    )
    with pytest.raises(DeadlineError):
        fan_out.map_processes(range(520))
    assert begun == list(range(shape.get("in_processes", 512)))


def test_a_child_that_waits_for_on_start_lets_its_threads_run(tmp_path: Path) -> None:
    """It has its next item when the host lets it: that may take a while."""

    class Beating(ParallelWorker):
        beats = 0

        def process(self, item: int) -> str:
            if item == 0:
                threading.Thread(target=self.beat, daemon=True).start()
            return str(self.beats)

        def beat(self) -> None:
            while True:
                self.beats += 1
                time.sleep(0.002)

    def started(index: int, item: int) -> None:
        if index == 1:
            time.sleep(0.5)

    first, second = Parallel(Beating(), in_processes=1, on_start=started).map_processes(range(2))
    assert int(second) > int(first) + 10


def test_attempts_are_counted_where_nobody_wants_the_result(tmp_path: Path) -> None:
    def work(item: int) -> str:
        if not (tmp_path / str(item)).exists():
            (tmp_path / str(item)).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return ""

    for shape in FORKED.values():
        attempts: list[int] = []
        fan_out = Parallel(work, retries=1, on_finish=partial(_note_attempts, attempts), **shape)
        fan_out.each_process([1, 2])
        assert attempts == [2, 2]
        for path in tmp_path.iterdir():
            path.unlink()


def _note_attempts(attempts: list[int], outcome: Outcome[str]) -> None:
    attempts.append(outcome.attempts)


def test_an_item_that_died_and_then_is_late_is_told_of_with_its_last_end(tmp_path: Path) -> None:
    def work(item: int) -> str:
        if not (tmp_path / str(item)).exists():
            (tmp_path / str(item)).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(LIMIT)
        return ""

    told: list[float] = []
    fan_out = Parallel(
        work,
        in_processes=4,
        retries=1,
        timeout=0.05,
        on_finish=lambda outcome: told.append(outcome.seconds),
    )
    fan_out.outcomes(range(32))
    assert len(told) == 32
    assert min(told) >= 0.05


def test_progress_without_tqdm_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tqdm", None)
    with pytest.raises(ImportError, match=r"pip install 'tep-parallel\[progress\]'"):
        Parallel(str, progress=True)


@forked
def test_a_signal_handler_that_raises_ends_a_watched_call(
    shape: dict[str, Any], tmp_path: Path
) -> None:
    def work(item: int) -> str:
        if item == 1:
            (tmp_path / str(os.getpid())).touch()
            time.sleep(LIMIT)
        return ""

    def stop(number: int, frame: object) -> None:
        raise InterruptedError

    def finished(outcome: Outcome[str]) -> None:
        until(lambda: len(list(tmp_path.iterdir())) == 1)
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1)).start()

    former = signal.signal(signal.SIGUSR1, stop)
    try:
        with pytest.raises(InterruptedError):
            Parallel(work, on_finish=finished, **shape).map_processes([0, 1])
    finally:
        signal.signal(signal.SIGUSR1, former)
    assert not any(alive(int(path.name)) for path in tmp_path.iterdir())


def test_a_killed_nursery_costs_a_watched_call_what_was_in_hand(tmp_path: Path) -> None:
    def work(item: int) -> str:
        if item == 1 and not (tmp_path / "killed").exists():
            (tmp_path / "killed").touch()
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(LIMIT)
        time.sleep(0.01)
        return str(item)

    told: list[int] = []

    def finished(outcome: Outcome[str]) -> None:
        told.append(outcome.index)

    begun: list[int] = []
    for isolation in (False, True):
        told.clear()
        begun.clear()
        fan_out = Parallel(
            work,
            in_processes=1,
            isolation=isolation,
            on_start=lambda index, item: begun.append(index),
            on_finish=finished,
        )
        outcomes = fan_out.outcomes(range(4))
        assert begun == [0, 1, 2, 3]
        (tmp_path / "killed").unlink()
        assert sorted(told) == [0, 1, 2, 3]
        assert [outcome.result for outcome in outcomes] == ["0", None, "2", "3"]
