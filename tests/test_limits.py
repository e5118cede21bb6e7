"""Limits, retries, and what ends a call early, in every shape that there is."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import subprocess
import time
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from kept import Parallel
from support import FORKED, LIMIT, alive, every, forked, forked_outside, until

from tep_parallel import (
    Break,
    DeadlineError,
    DeadWorkerError,
    ItemTimeoutError,
    Kill,
    Outcome,
    ParallelError,
    ParallelWorker,
)


def stubborn(item: object) -> str:
    """Item 1 sleeps, deaf to every signal."""
    if item == 1:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        time.sleep(LIMIT)
    return str(item)


def mark(folder: Path) -> None:
    (folder / f"{os.getpid()} {time.monotonic_ns()}").touch()


# --- timeout ------------------------------------------------------------------------


@forked
def test_an_item_is_killed_at_its_limit_and_the_others_are_kept(shape: dict[str, Any]) -> None:
    begun = time.monotonic()
    outcomes = Parallel(stubborn, timeout=2.0, **shape).outcomes(range(6))
    assert time.monotonic() - begun < LIMIT / 2
    late = outcomes.pop(1)
    assert [outcome.result for outcome in outcomes] == ["0", "2", "3", "4", "5"]
    assert isinstance(late.error, ItemTimeoutError)
    assert isinstance(late.error, TimeoutError)
    assert (late.error.index, late.error.item) == (1, 1)
    assert "item 1 (1)" in str(late.error)
    assert "2.0 s" in str(late.error)
    assert 2.0 <= late.seconds < LIMIT / 2
    assert late.attempts == 1
    assert (late.exit_code, late.signal) == (None, signal.SIGKILL)


@forked
def test_an_item_that_is_late_fails_the_call(shape: dict[str, Any]) -> None:
    with pytest.raises(ItemTimeoutError):
        Parallel(stubborn, timeout=0.2, **shape).map_processes(range(3))
    with pytest.raises(TimeoutError):
        Parallel(stubborn, timeout=0.2, **shape).each_process(range(3))


@forked
def test_what_an_item_has_started_is_killed_with_it(shape: dict[str, Any], tmp_path: Path) -> None:
    """As far as it is in the child's process group."""

    def work(item: object) -> str:
        sleeper = subprocess.Popen(["sleep", str(LIMIT)])
        (tmp_path / str(sleeper.pid)).touch()
        time.sleep(LIMIT)
        return ""

    outcome = Parallel(work, timeout=2.0, **shape).outcomes([0])[0]
    assert isinstance(outcome.error, ItemTimeoutError)
    (sleeper,) = tmp_path.iterdir()
    until(lambda: not alive(int(sleeper.name)))


@forked
def test_what_an_inner_call_has_started_is_killed_with_an_item(
    shape: dict[str, Any], tmp_path: Path, scratch_root: Path
) -> None:
    """And its scratch directory goes."""

    def inner(item: object) -> str:
        mark(tmp_path)
        time.sleep(LIMIT)
        return ""

    def outer(item: list[str]) -> str:
        return str(Parallel(inner).map_processes(item))

    outcome = Parallel(outer, timeout=2.0, **shape).outcomes([["a", "b"]])[0]
    assert isinstance(outcome.error, ItemTimeoutError)
    marks = [int(path.name.split()[0]) for path in tmp_path.iterdir()]
    assert len(marks) == 2
    assert not any(map(alive, marks))
    assert list(scratch_root.iterdir()) == []


def test_a_pools_limit_is_each_items_own(tmp_path: Path) -> None:
    """Not that of the child, which takes one after another."""

    def work(item: object) -> str:
        time.sleep(0.1)
        return str(item)

    texts = Parallel(work, in_processes=2, timeout=2.5).map_processes(range(60))
    assert texts == [str(number) for number in range(60)]


@pytest.mark.filterwarnings("ignore:child .* was killed:RuntimeWarning")  # on a loaded machine
def test_a_kill_for_one_item_never_costs_another() -> None:
    """Items that end at about their limit: each has a result, or was late; none died of it."""

    def work(item: int) -> str:
        if item % 4 == 0:
            time.sleep(0.003 + 0.00001 * (item % 200))
        return str(item)

    count = 2000
    outcomes = Parallel(work, in_processes=2, timeout=0.004).outcomes(range(count))
    late = 0
    for index, outcome in enumerate(outcomes):
        if outcome.ok:
            assert outcome.result == str(index)
        else:
            assert isinstance(outcome.error, ItemTimeoutError)
            late += 1
    assert late > 0


def test_setup_is_not_an_items_time() -> None:
    class Slow(ParallelWorker):
        def setup(self) -> None:
            time.sleep(1.2)

        def process(self, item: object) -> str:
            return str(item)

    for shape in FORKED.values():
        for hooks in ({}, {"on_start": lambda index, item: None}):
            texts = Parallel(Slow(), timeout=1.0, **hooks, **shape).map_processes(range(3))
            assert texts == ["0", "1", "2"]


@forked
def test_limits_hold_while_the_host_is_busy_with_something_else(
    shape: dict[str, Any], tmp_path: Path
) -> None:
    """Here in a hook: nobody steps the call, and the nursery keeps the clock all the same."""
    seen: list[Outcome[Any]] = []

    def work(item: int) -> str:
        if item == 1:
            mark(tmp_path)
        return stubborn(item)

    def linger(outcome: Outcome[Any]) -> None:
        if not seen:
            until(lambda: list(tmp_path.iterdir()))
            (path,) = tmp_path.iterdir()
            until(lambda: not alive(int(path.name.split()[0])), limit=LIMIT / 2)
        seen.append(outcome)

    outcomes = Parallel(work, timeout=2.0, on_finish=linger, **shape).outcomes(range(3))
    assert isinstance(outcomes[1].error, ItemTimeoutError)
    assert len(seen) == 3


# --- deadline -----------------------------------------------------------------------


@forked
def test_at_the_deadline_all_is_killed_and_what_was_ready_is_kept(
    shape: dict[str, Any], scratch_root: Path
) -> None:
    begun = time.monotonic()
    with pytest.raises(DeadlineError, match=r"not over after 2.0 s: 1 of 4 items") as raised:
        Parallel(stubborn, deadline=2.0, **shape).map_processes(range(4))
    assert time.monotonic() - begun < LIMIT / 2
    assert isinstance(raised.value, TimeoutError)
    found = [(outcome.index, outcome.result) for outcome in raised.value.outcomes]
    assert found == [(0, "0"), (2, "2"), (3, "3")]
    assert list(scratch_root.iterdir()) == []


@forked
def test_at_the_deadline_also_what_has_left_the_group_is_killed(
    shape: dict[str, Any], tmp_path: Path
) -> None:
    def work(item: object) -> str:
        sleeper = subprocess.Popen(["sleep", str(LIMIT)], start_new_session=True)
        (tmp_path / str(sleeper.pid)).touch()
        time.sleep(LIMIT)
        return ""

    with pytest.raises(DeadlineError):
        Parallel(work, deadline=2.0, **shape).map_processes([0, 1])
    marks = [int(path.name) for path in tmp_path.iterdir()]
    assert len(marks) == 2
    assert not any(map(alive, marks))


@forked
def test_the_deadline_holds_while_the_host_is_busy_with_something_else(
    shape: dict[str, Any], tmp_path: Path
) -> None:
    def work(item: int) -> str:
        if item == 1:
            mark(tmp_path)
            time.sleep(LIMIT)
        return ""

    gone = []

    def linger(outcome: Outcome[Any]) -> None:
        if outcome.index == 0:
            until(lambda: list(tmp_path.iterdir()))
            (path,) = tmp_path.iterdir()
            until(lambda: not alive(int(path.name.split()[0])), limit=LIMIT / 2)
            gone.append(path)

    with pytest.raises(DeadlineError):
        Parallel(work, deadline=2.0, on_finish=linger, **shape).map_processes([0, 1])
    assert len(gone) == 1


@forked
def test_limits_hold_while_children_are_forked_all_the_time(shape: dict[str, Any]) -> None:
    def work(item: int) -> str:
        os.kill(os.getpid(), signal.SIGKILL)
        return ""

    begun = time.monotonic()
    with pytest.raises(DeadlineError):
        Parallel(work, retries=10**9, deadline=0.3, **shape).map_processes(range(100))
    assert time.monotonic() - begun < LIMIT / 2


@forked_outside  # at the end of a block such a teardown has 10 s
@pytest.mark.parametrize("codec", [None, json])
def test_a_deadline_that_is_missed_in_teardown_only_costs_nothing(
    shape: dict[str, Any], codec: Any
) -> None:
    class Lingers(ParallelWorker):
        def process(self, item: int) -> str:
            return str(item)

        def teardown(self) -> None:
            time.sleep(LIMIT)

    fan_out = Parallel(Lingers(), deadline=1.0, codec=codec, **shape)
    assert [outcome.result for outcome in fan_out.outcomes(range(2))] == ["0", "1"]
    assert fan_out.map_processes(range(2)) == ["0", "1"]


@forked
def test_a_deadline_that_is_kept_is_none(shape: dict[str, Any]) -> None:
    assert Parallel(str, deadline=LIMIT, **shape).map_processes(range(3)) == ["0", "1", "2"]


# --- retries ------------------------------------------------------------------------


def dies_so_often(times: int, folder: Path) -> Callable[[int], str]:
    def work(item: int) -> str:
        if item == 2:
            mark(folder)
            if len(list(folder.iterdir())) <= times:
                os.kill(os.getpid(), signal.SIGKILL)
        return str(item)

    return work


@forked
@pytest.mark.parametrize(("times", "ok"), [(0, True), (2, True), (3, False)])
def test_an_item_whose_child_died_is_tried_again(
    shape: dict[str, Any], times: int, ok: bool, tmp_path: Path
) -> None:
    outcomes = Parallel(dies_so_often(times, tmp_path), retries=2, **shape).outcomes(range(6))
    attempts = min(times, 2) + 1
    assert [outcome.attempts for outcome in outcomes] == [1, 1, attempts, 1, 1, 1]
    assert len(list(tmp_path.iterdir())) == attempts
    found = outcomes.pop(2)
    assert [outcome.result for outcome in outcomes] == ["0", "1", "3", "4", "5"]
    if ok:
        assert found.result == "2"
    else:
        assert isinstance(found.error, DeadWorkerError)
        assert found.error.signal == signal.SIGKILL


@forked
def test_what_raised_or_was_late_is_not_tried_again(shape: dict[str, Any]) -> None:
    def work(item: int) -> str:
        if item == 0:
            raise ValueError
        time.sleep(LIMIT)
        return ""

    outcomes = Parallel(work, retries=5, timeout=2.0, **shape).outcomes([0, 1])
    assert [outcome.attempts for outcome in outcomes] == [1, 1]
    assert isinstance(outcomes[0].error, ValueError)
    assert isinstance(outcomes[1].error, ItemTimeoutError)


def test_a_thousand_items_of_which_many_die_at_first(tmp_path: Path) -> None:
    """Nothing is lost, and nothing is done twice that has been done once."""

    def work(item: int) -> str:
        path = tmp_path / str(item)
        if item % 20 == 7 and not path.exists():
            path.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        with (tmp_path / f"{item} done").open("x"):
            return str(item)

    texts = Parallel(work, in_processes=3, retries=1).map_processes(range(1000))
    assert texts == [str(number) for number in range(1000)]


# --- on_error -----------------------------------------------------------------------


@forked
def test_after_a_failure_what_runs_may_be_killed(shape: dict[str, Any], tmp_path: Path) -> None:
    def work(item: int) -> str:
        mark(tmp_path)
        if item == 1:
            until(lambda: len(list(tmp_path.iterdir())) >= 2)
            raise ValueError("one")
        subprocess.run(["sleep", str(LIMIT)], check=False)
        return ""

    begun = time.monotonic()
    with pytest.raises(ValueError, match="one") as raised:
        Parallel(work, on_error="kill", **shape).map_processes([0, 1])
    assert time.monotonic() - begun < LIMIT / 2
    assert raised.value.other_failures == []  # type: ignore[attr-defined]
    assert not any(alive(int(path.name.split()[0])) for path in tmp_path.iterdir())


@forked_outside  # at the end of a block such a teardown has 10 s
def test_the_others_are_killed_before_the_one_that_failed_has_left(
    shape: dict[str, Any], tmp_path: Path
) -> None:
    """Which may take its time: it runs its teardown, or is killed in it."""

    class Lingers(ParallelWorker):
        def process(self, item: int) -> str:
            mark(tmp_path)
            if item == 1:
                until(lambda: len(list(tmp_path.iterdir())) >= 2)
                raise ValueError
            time.sleep(LIMIT)
            return ""

        def teardown(self) -> None:
            time.sleep(LIMIT)

    begun = time.monotonic()
    with pytest.raises(ValueError):
        Parallel(Lingers(), on_error="kill", **shape).map_processes([0, 1])
    assert time.monotonic() - begun < LIMIT / 2


@forked
def test_also_after_a_death_or_a_limit_what_runs_may_be_killed(shape: dict[str, Any]) -> None:
    def dies(item: int) -> str:
        if item == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(LIMIT)
        return ""

    begun = time.monotonic()
    with pytest.raises(DeadWorkerError, match="item 1"):
        Parallel(dies, on_error="kill", **shape).map_processes([0, 1])
    with pytest.raises(ItemTimeoutError):
        Parallel(dies, on_error="kill", timeout=0.2, **shape).each_process([0, 2])
    assert time.monotonic() - begun < LIMIT / 2


@every
def test_every_item_may_be_finished_first(shape: dict[str, Any], tmp_path: Path) -> None:
    def work(item: int) -> str:
        (tmp_path / str(item)).touch()
        return str(1 // (item % 3))

    with pytest.raises(ZeroDivisionError):
        Parallel(work, on_error="finish", **shape).map_processes(range(9))
    assert len(list(tmp_path.iterdir())) == 9


@forked
def test_all_failures_can_be_reached_from_the_one_that_is_raised(shape: dict[str, Any]) -> None:
    def work(item: int) -> str:
        raise KeyError(item)

    with pytest.raises(KeyError) as raised:
        Parallel(work, on_error="finish", **shape).map_processes(list("abc"))
    others = raised.value.other_failures  # type: ignore[attr-defined]
    assert [(index, item, error.args) for index, item, error in others] == [
        (1, "b", ("b",)),
        (2, "c", ("c",)),
    ]
    assert pickle.loads(pickle.dumps(raised.value)).args == ("a",)  # they stay behind


# --- Break and Kill -----------------------------------------------------------------


@every
def test_break_ends_the_call_with_its_value(shape: dict[str, Any]) -> None:
    def work(item: int) -> str:
        if item == 1:
            raise Break("found")
        return str(item)

    assert Parallel(work, **shape).map_processes(range(500)) == "found"
    assert Parallel(work, **shape).each_process(range(500)) == "found"
    outcomes = Parallel(work, **shape).outcomes(range(500))
    assert {outcome.index: outcome.result for outcome in outcomes}[1] == "found"
    assert all(outcome.ok and outcome.attempts == 1 for outcome in outcomes)


def test_after_a_break_no_new_item_is_begun_and_the_running_ones_finish(tmp_path: Path) -> None:
    def work(item: int) -> str:
        (tmp_path / str(item)).touch()
        until(lambda: (tmp_path / "1").exists())
        if item == 1:
            raise Break("found")
        time.sleep(0.3)
        (tmp_path / f"{item} finished").touch()
        return ""

    assert Parallel(work, in_processes=2).map_processes(range(100)) == "found"
    assert {path.name for path in tmp_path.iterdir()} == {"0", "1", "0 finished"}


@forked
def test_kill_does_not_wait_for_what_runs(shape: dict[str, Any], tmp_path: Path) -> None:
    def work(item: int) -> str:
        mark(tmp_path)
        if item == 1:
            until(lambda: len(list(tmp_path.iterdir())) >= 2)
            raise Kill("found")
        time.sleep(LIMIT)
        return ""

    begun = time.monotonic()
    assert Parallel(work, **shape).map_processes([0, 1]) == "found"
    assert time.monotonic() - begun < LIMIT / 2
    killed = Parallel(work, **shape).outcomes([0, 1])[0]
    assert isinstance(killed.error, DeadWorkerError)
    assert "cut short" in str(killed.error)


@every
@pytest.mark.parametrize(
    ("value", "codec"), [(None, None), ("", None), ({"a": [1]}, json), (None, json)]
)
def test_the_value_crosses_as_a_result_does(shape: dict[str, Any], value: Any, codec: Any) -> None:
    def work(item: object) -> str:
        raise Break(value)

    assert Parallel(work, codec=codec, **shape).map_processes([0]) == value


@every
def test_a_value_that_does_not_cross_is_a_failure(shape: dict[str, Any]) -> None:
    def work(item: object) -> str:
        raise Break([1])

    with pytest.raises(TypeError, match="expected a str for item 0"):
        Parallel(work, **shape).map_processes([0])

    def circle(item: object) -> str:
        value: list[Any] = []
        value.append(value)
        raise Kill(value)

    with pytest.raises(ValueError, match="Circular"):
        Parallel(circle, codec=json, **shape).map_processes([0])


@forked
def test_break_wins_over_failures_and_the_first_by_input_order_counts(
    shape: dict[str, Any], tmp_path: Path
) -> None:
    def work(item: int) -> str:
        mark(tmp_path)
        until(lambda: len(list(tmp_path.iterdir())) >= 2)
        if item == 0 and "first" not in marks:
            raise ValueError
        if item == 0:
            time.sleep(0.1)  # the second is there before
        raise Break(str(item))

    marks: set[str] = set()
    assert Parallel(work, on_error="finish", **shape).map_processes([0, 1]) == "1"
    for path in tmp_path.iterdir():
        path.unlink()
    marks.add("first")
    assert Parallel(work, **shape).map_processes([0, 1]) == "0"


@every
def test_except_exception_does_not_catch_a_break(shape: dict[str, Any]) -> None:
    def work(item: object) -> str:
        with contextlib.suppress(Exception):
            raise Break("through")
        return ""

    assert Parallel(work, **shape).map_processes([0]) == "through"


# --- Arguments ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"timeout": 0}, ValueError, "timeout: expected seconds above 0, got 0"),
        ({"timeout": float("nan")}, ValueError, "timeout: expected seconds above 0, got nan"),
        ({"timeout": True}, TypeError, "timeout: expected seconds or None, got bool"),
        ({"timeout": "1"}, TypeError, "timeout: expected seconds or None, got str"),
        ({"deadline": -1}, ValueError, "deadline: expected seconds above 0, got -1"),
        ({"deadline": float("inf")}, ValueError, "deadline: expected seconds above 0, got inf"),
        ({"retries": -1}, ValueError, "retries: expected 0 or more, got -1"),
        ({"retries": 1.0}, TypeError, "retries: expected an int, got float"),
        ({"on_error": "ignore"}, ValueError, "on_error: expected one of 'stop', 'finish', 'kill'"),
        ({"on_start": 1}, TypeError, "on_start: expected a callable, got int"),
        ({"on_finish": 1}, TypeError, "on_finish: expected a callable, got int"),
        ({"progress": 1}, TypeError, "progress: expected True, None or update"),
    ],
)
def test_a_wrong_limit_is_refused_by_name(
    options: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        Parallel(str, **options)


def test_no_limit_is_too_long() -> None:
    assert Parallel(str, timeout=10**400, deadline=1e300, retries=10**30).map_processes([1]) == [
        "1"
    ]
    long = {"timeout": Fraction(10**400), "deadline": Decimal("1e999")}
    assert Parallel(str, **long).map_processes([1]) == ["1"]


class Whole:
    """What numpy's integers are: no int, and good for one."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value

    def __repr__(self) -> str:
        return f"Whole({self.value})"


@pytest.mark.parametrize("seconds", [Fraction(3, 2), Decimal("1.5")])
def test_numbers_of_any_kind_are_limits(seconds: Any) -> None:
    outcomes = Parallel(stubborn, timeout=seconds, in_processes=Whole(2)).outcomes(range(3))
    assert [outcome.ok for outcome in outcomes] == [True, False, True]
    assert isinstance(outcomes[1].error, ItemTimeoutError)
    with pytest.raises(DeadlineError):
        Parallel(stubborn, deadline=seconds).outcomes(range(3))
    assert Parallel(str, timeout=Whole(60), retries=Whole(1)).map_processes([1]) == ["1"]


def test_a_limit_that_is_too_short_for_a_float_is_a_limit() -> None:
    outcome = Parallel(stubborn, timeout=Fraction(1, 10**400)).outcomes([1])[0]
    assert isinstance(outcome.error, ItemTimeoutError)


@pytest.mark.parametrize("text", ["NaN", "sNaN", "-NaN", "Infinity", "-1", "0"])
def test_a_decimal_that_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"deadline: expected seconds above 0, got {text}"):
        Parallel(str, deadline=Decimal(text))


def test_what_stands_for_no_whole_number_is_refused() -> None:
    for wrong in (Decimal(2), Fraction(2), 2.0, 1j, "2", b"2", [2]):
        for name in ("in_processes", "retries"):
            with pytest.raises(TypeError, match=f"{name}: expected an int"):
                Parallel(str, **{name: wrong})  # type: ignore[arg-type]
    for complex_or_so in (1j, "2", b"2", [2], object()):
        with pytest.raises(TypeError, match="timeout: expected seconds or None"):
            Parallel(str, timeout=complex_or_so)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="retries: expected 0 or more, got -1"):
        Parallel(str, retries=Whole(-1))


def test_the_errors_can_be_pickled() -> None:
    late = ItemTimeoutError("late", index=3, item="x")
    assert vars(pickle.loads(pickle.dumps(late))) == vars(late)
    over = DeadlineError("over", outcomes=[Outcome(1, "x", result="y")])
    copy = pickle.loads(pickle.dumps(over))
    assert (str(copy), copy.outcomes[0].result) == ("over", "y")
    assert isinstance(copy, ParallelError)
