"""in_processes=N: children that take item after item."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from kept import Parallel, close_blocks
from support import KEPT, LIMIT, run_case, started, until

from tep_parallel import (
    DeadWorkerError,
    ParallelError,
    ParallelWorker,
    processor_count,
    worker_number,
)

POOLS = pytest.mark.parametrize(
    "shape", [{"in_processes": 2}, KEPT["kept pool"]], ids=["pool", "kept pool"]
)


def pids(fan_out: Parallel, items: int) -> set[str]:
    return set(fan_out.map_processes(range(items)))


def whoami(_: object) -> str:
    return str(os.getpid())


# --- Results ------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 17])
def test_results_come_in_input_order_from_so_many_children(count: int) -> None:
    fan_out = Parallel(lambda item: f"{item} {os.getpid()}", in_processes=count)
    lines = [line.split() for line in fan_out.map_processes(range(500))]
    assert [number for number, _ in lines] == [str(number) for number in range(500)]
    assert 1 <= len({pid for _, pid in lines}) <= count
    assert str(os.getpid()) not in {pid for _, pid in lines}


def test_a_worker_that_is_no_python_lets_other_threads_have_their_turn(tmp_path: Path) -> None:
    class Counted(ParallelWorker):
        process = staticmethod(str)  # type: ignore[assignment]

        def setup(self) -> None:
            self.beats = 0
            threading.Thread(target=self.beat, daemon=True).start()

        def beat(self) -> None:
            while True:
                self.beats += 1
                time.sleep(0.002)

        def teardown(self) -> None:
            (tmp_path / "beats").write_text(str(self.beats))

    Parallel(Counted(), in_processes=1).each_process(range(1_000_000))
    assert int((tmp_path / "beats").read_text()) > 4  # else one at each end


def test_there_are_never_more_children_than_items() -> None:
    def siblings(_: object) -> str:
        nursery = os.getppid()
        time.sleep(0.02)  # all that there will be are there
        return str(len(Path(f"/proc/{nursery}/task/{nursery}/children").read_text().split()))

    counts = Parallel(siblings, in_processes=64).map_processes(range(3))
    assert 1 <= max(map(int, counts)) <= 3


@POOLS
def test_each_item_is_processed_once(shape: dict[str, Any], tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()

    def work(item: int) -> str:
        with log.open("a") as file:
            file.write(f"{item}\n")
        return ""

    fan_out = Parallel(work, **{**shape, "in_processes": 3})
    assert fan_out.each_process(range(2000)) == 0
    assert sorted(map(int, log.read_text().split())) == list(range(2000))


@POOLS
def test_children_that_take_items_at_the_same_time_never_take_the_same(
    shape: dict[str, Any],
) -> None:
    """Each steps in between the other's steps now and then: 100,000 short items."""
    fan_out = Parallel(str, **{**shape, "in_processes": 3})
    expected = [str(number) for number in range(5000)]
    for _ in range(20):
        assert fan_out.map_processes(range(5000)) == expected


@POOLS
def test_any_text_and_any_length_arrives_whole(shape: dict[str, Any]) -> None:
    texts = ["", "\0", "ä\ud800", "€" * 100_000, "x" * 5_000_000, "y" * 400_000, "\U0001f600"]
    texts += ["z" * length for length in range(3000)]
    fan_out = Parallel(lambda item: texts[item], **shape)
    assert fan_out.map_processes(range(len(texts))) == texts


def test_items_are_inherited_not_sent() -> None:
    items: list[Any] = [lambda: "called", sys.stdin, object(), {1: [2]}]
    results = Parallel(lambda item: str(id(item)), in_processes=2).map_processes(items)
    assert results == [str(id(item)) for item in items]


@POOLS
def test_a_codec_in_a_pool(shape: dict[str, Any]) -> None:
    fan_out = Parallel(lambda item: {"n": item}, codec=json, **shape)
    assert fan_out.map_processes(range(100)) == [{"n": n} for n in range(100)]


def test_outcomes_of_a_pool_tell_what_is_known_of_each_item() -> None:
    before = time.monotonic()
    first, second, third = Parallel(whoami, in_processes=1).outcomes("a b c".split())  # noqa: SIM905
    assert first.result == second.result == third.result == str(first.pid)
    assert (first.exit_code, first.signal, first.cpu_seconds, first.max_rss) == (None,) * 4
    assert (first.attempts, first.index, first.item) == (1, 0, "a")
    assert first.started is not None
    assert second.started is not None
    assert before < first.started < first.started + first.seconds < second.started + 1e-6
    assert second.started < time.monotonic()


class Mortal:
    """Item 3 ends its child, or sleeps until somebody kills it."""

    def __init__(self, deed: str) -> None:
        self.deed = deed

    def __call__(self, item: int) -> str:
        if item == 3 and self.deed == "exit":
            os._exit(7)
        if item == 3 and self.deed == "kill":
            os.kill(os.getpid(), signal.SIGTERM)
        if item == 3 and self.deed == "sleep":
            time.sleep(60)
        return str(item)


@pytest.mark.parametrize(
    ("deed", "end", "limit"),
    [
        ("exit", (7, None), {}),
        ("exit", (7, None), {"retries": 1}),
        ("kill", (None, signal.SIGTERM), {}),
        ("sleep", (None, signal.SIGKILL), {"timeout": 2.0}),
    ],
)
@POOLS
def test_an_outcome_of_a_pool_has_the_end_of_a_child_that_died_with_it_in_hand(
    deed: str, end: tuple[int | None, int | None], limit: dict[str, Any], shape: dict[str, Any]
) -> None:
    outcomes = Parallel(Mortal(deed), **shape, **limit).outcomes(range(20))
    assert [outcome.index for outcome in outcomes if not outcome.ok] == [3]
    for outcome in outcomes:
        found = (outcome.exit_code, outcome.signal)
        assert found == (end if outcome.index == 3 else (None, None))
        assert (outcome.cpu_seconds, outcome.max_rss) == (None, None)


def test_what_died_and_then_ended_well_has_no_end_of_its_child(tmp_path: Path) -> None:
    def work(item: int) -> str:
        if item == 3 and not (tmp_path / "died").exists():
            (tmp_path / "died").touch()
            os._exit(7)
        if item == 3:
            raise ValueError(item)
        return str(item)

    outcome = Parallel(work, in_processes=2, retries=1).outcomes(range(6))[3]
    assert outcome.attempts == 2
    assert isinstance(outcome.error, ValueError)
    assert (outcome.exit_code, outcome.signal) == (None, None)


def test_what_is_cut_short_in_a_pool_has_the_signal(tmp_path: Path) -> None:
    def work(item: int) -> str:
        if item == 1:
            until((tmp_path / "runs").exists)
            raise ValueError(item)
        (tmp_path / "runs").touch()
        time.sleep(60)
        return ""

    seen: list[Any] = []
    fan_out = Parallel(work, in_processes=2, on_error="kill", on_finish=seen.append)
    with pytest.raises(ValueError):
        fan_out.map_processes(range(2))
    cut = next(outcome for outcome in seen if outcome.index == 0)
    assert isinstance(cut.error, DeadWorkerError)
    assert (cut.exit_code, cut.signal) == (None, signal.SIGKILL)


@POOLS
def test_one_long_item_holds_no_other_back(shape: dict[str, Any], tmp_path: Path) -> None:
    """Items shared out beforehand would leave half of them behind the long one."""

    def work(item: int) -> str:
        if item == 0:
            until((tmp_path / "last").exists, limit=LIMIT / 2)
        if item == 999:
            (tmp_path / "last").touch()
        return str(os.getpid())

    results = Parallel(work, **shape).map_processes(range(1000))
    assert results.count(results[0]) < 100


def test_a_million_items_cost_the_host_little_but_their_list() -> None:
    assert int(run_case("million", limit=120)) < 200  # bytes an item: 100 are item, result and list


# --- Failures -------------------------------------------------------------------------


@POOLS
@pytest.mark.parametrize("seed", range(3))
def test_killed_children_cost_the_items_in_hand_and_no_other(
    seed: int, shape: dict[str, Any]
) -> None:
    doomed = set(random.Random(seed).sample(range(1000), 50))

    def work(item: int) -> str:
        if item in doomed:
            os.kill(os.getpid(), signal.SIGKILL)
        return f"{item} {os.getpid()}"

    outcomes = Parallel(work, **shape).outcomes(range(1000))
    assert {outcome.index for outcome in outcomes if not outcome.ok} == doomed
    seen = set()
    for outcome in outcomes:
        seen.add(outcome.pid)
        if outcome.ok:
            assert outcome.result == f"{outcome.index} {outcome.pid}"
        else:
            assert isinstance(outcome.error, DeadWorkerError)
            assert outcome.error.signal == signal.SIGKILL
            assert (outcome.error.index, outcome.error.pid) == (outcome.index, outcome.pid)
    assert len(seen) <= 2 + 50


@POOLS
def test_after_a_failure_no_new_item_is_begun(shape: dict[str, Any]) -> None:
    def work(item: int) -> str:
        if item == 10:
            raise ValueError(item)
        time.sleep(0.001)
        return ""

    with pytest.raises(ValueError) as caught:
        Parallel(work, **shape).map_processes(range(100_000))
    (note,) = caught.value.__notes__
    assert note.startswith("tep_parallel: item 10 (10); ")


def test_in_outcomes_every_item_is_processed_all_the_same() -> None:
    outcomes = Parallel(lambda item: str(1 / item), in_processes=2).outcomes([1, 0, 2, 0, 4])
    assert [outcome.result for outcome in outcomes] == ["1.0", None, "0.5", None, "0.25"]
    assert all(isinstance(outcome.error, ZeroDivisionError) for outcome in outcomes[1::2])


@POOLS
def test_a_process_that_the_worker_forks_and_lets_go_on_takes_no_items(
    shape: dict[str, Any],
) -> None:
    def work(item: int) -> str:
        if os.fork() == 0:
            return "from a fork"
        os.wait()
        return str(os.getpid())

    assert "from a fork" not in Parallel(work, **shape).map_processes(range(20))


def test_a_pool_in_a_pool() -> None:
    inner = Parallel(str, in_processes=2)
    outer = Parallel(lambda item: "".join(inner.map_processes(range(item))), in_processes=2)
    assert outer.map_processes(range(1, 6)) == ["0", "01", "012", "0123", "01234"]


def test_a_killed_host_takes_a_pool_with_it(tmp_path: Path, scratch_root: Path) -> None:
    with started("pool_forever", tmp_path) as host:
        until(lambda: len(list(tmp_path.iterdir())) == 2)
        host.kill()
        host.wait()
        for path in tmp_path.iterdir():
            until(lambda path=path: not Path("/proc", path.name).exists(), 20)  # type: ignore[misc]


@POOLS
def test_a_killed_nursery_costs_a_pool_what_was_in_hand(shape: dict[str, Any]) -> None:
    def work(item: int) -> str:
        if item == 100:
            time.sleep(0.05)  # its fellow has something in hand too
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)
        time.sleep(0.001)
        return str(item)

    outcomes = Parallel(work, **shape).outcomes(range(300))
    failed = [outcome for outcome in outcomes if not outcome.ok]
    assert 1 <= len(failed) <= 2
    assert 100 in {outcome.index for outcome in failed}
    assert all(isinstance(outcome.error, DeadWorkerError) for outcome in failed)
    assert all(outcome.result == str(outcome.index) for outcome in outcomes if outcome.ok)


def test_what_a_child_does_to_the_memory_cannot_crash_the_host() -> None:
    """The case writes over the pool's memory and cuts it, through every descriptor it has."""
    run_case("scribbler")


def test_a_result_that_is_too_large_costs_its_item_and_no_other() -> None:
    run_case("too_large")


def test_a_stray_store_to_the_memorys_count_costs_the_host_no_memory() -> None:
    run_case("stray_count")


# --- Hooks and numbers ------------------------------------------------------------------


class Hooked(ParallelWorker):
    def __init__(self, log: Path, wrong: str = "") -> None:
        self.log = log
        self.wrong = wrong

    def note(self, what: str) -> None:
        with self.log.open("a") as file:
            file.write(f"{os.getpid()} {what}\n")
        if what == self.wrong:
            raise LookupError(what)

    def setup(self) -> None:
        self.note("setup")

    def process(self, item: Any) -> str:
        self.note("process")
        return str(item)

    def teardown(self) -> None:
        self.note("teardown")


SHAPES: list[dict[str, Any]] = [
    {},
    {"in_processes": 2},
    {"in_processes": 2, "isolation": True},
    {"in_processes": 0},
]
WITH_KEPT = [*SHAPES, *KEPT.values()]


def warm(shape: dict[str, Any]) -> bool:
    """Whether a child may outlive its call."""
    return "kept" in shape and "in_processes" in shape


@pytest.mark.parametrize("shape", WITH_KEPT)
def test_setup_and_teardown_run_once_in_each_child(shape: dict[str, Any], tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert Parallel(Hooked(log), **shape).map_processes(range(6)) == list("012345")
    close_blocks()
    by_pid: dict[str, list[str]] = {}
    for line in log.read_text().splitlines():
        pid, what = line.split()
        by_pid.setdefault(pid, []).append(what)
    for steps in by_pid.values():
        assert (steps[0], steps[-1]) == ("setup", "teardown")
        ahead = "kept" in shape and len(steps) == 2  # forked ahead, for a call that never came
        assert ahead or set(steps[1:-1]) == {"process"}
    assert sum(len(steps) - 2 for steps in by_pid.values()) == 6


@pytest.mark.parametrize("shape", WITH_KEPT)
@pytest.mark.parametrize("wrong", ["setup", "teardown"])
def test_a_hook_that_raises_fails_the_call_with_its_error(
    wrong: str, shape: dict[str, Any], tmp_path: Path
) -> None:
    if warm(shape) and wrong == "teardown":
        pytest.skip("it comes at the block's end")
    for method in ("map_processes", "each_process", "outcomes"):
        log = tmp_path / method
        with pytest.raises(LookupError, match=wrong) as caught:
            getattr(Parallel(Hooked(log, wrong), **shape), method)(range(50))
        assert caught.value.__notes__ == [
            "tep_parallel: raised by setup or teardown, not for an item"
        ]
        assert Counter(log.read_text().split())["setup"] <= 51
    with contextlib.suppress(LookupError):  # of a nest that no call has had
        close_blocks()


@pytest.mark.parametrize("hook", ["setup", "teardown"])
@pytest.mark.parametrize("shape", [*WITH_KEPT, {"in_processes": 2, "retries": 3}])
@pytest.mark.parametrize(
    ("code", "exit_code"), [(3, 3), (None, 0), (0, 0), (256 + 7, 7), ("in words", 1)]
)
def test_a_hook_that_calls_sys_exit_fails_the_call(
    code: Any, exit_code: int, shape: dict[str, Any], hook: str, tmp_path: Path
) -> None:
    if warm(shape) and hook == "teardown":
        pytest.skip("it comes at the block's end")

    class Leaving(ParallelWorker):
        def process(self, item: Any) -> str:
            return str(item)

    def leave() -> None:
        with (tmp_path / "log").open("a") as file:
            file.write(f"{os.getpid()}\n")
        sys.exit(code)

    worker = Leaving()
    setattr(worker, hook, leave)
    for rebuild in (True, False):
        (tmp_path / "log").unlink(missing_ok=True)
        with pytest.raises(DeadWorkerError, match=f"{hook} ended its child") as caught:
            Parallel(worker, rebuild_exceptions=rebuild, **shape).outcomes(range(300))
        error = caught.value
        assert (error.exit_code, error.signal, error.index) == (exit_code, None, None)
        pids = list(map(int, (tmp_path / "log").read_text().split()))
        assert error.pid in pids
        if hook == "setup":
            # At most those that had been forked by then; never one an item.
            assert len(pids) <= (50 if shape == {} or "kept" in shape else 2)
    with contextlib.suppress(DeadWorkerError):  # of a nest that no call has had
        close_blocks()


def test_a_setup_that_raises_is_not_tried_again_and_again(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with pytest.raises(LookupError):
        Parallel(Hooked(log, "setup"), in_processes=2).outcomes(range(1000))
    assert len(log.read_text().splitlines()) <= 2


def test_what_cannot_travel_fails_the_call_as_text() -> None:
    class Odd(ParallelWorker):
        def setup(self) -> None:
            raise KeyboardInterrupt

    with pytest.raises(ParallelError, match="setup or teardown raised KeyboardInterrupt"):
        Parallel(Odd(), in_processes=2).map_processes(range(3))


def test_what_is_printed_is_flushed_at_the_childs_end(tmp_path: Path) -> None:
    assert sorted(run_case("pool_prints").split()) == sorted(map(str, range(100)))


def test_worker_number_is_a_childs_place() -> None:
    assert worker_number() is None

    def number(_: object) -> str:
        time.sleep(0.001)
        return str(worker_number())

    for shape in SHAPES[1:]:
        numbers = set(Parallel(number, **shape).map_processes(range(100)))
        assert numbers == ({"0"} if shape["in_processes"] == 0 else {"0", "1"})
    assert Parallel(number).map_processes(range(3)) == ["0", "1", "2"]
    assert worker_number() is None


def test_true_is_as_many_as_there_are_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEP_PARALLEL_PROCESSOR_COUNT", "3")
    assert processor_count() == 3

    def number(_: object) -> str:
        time.sleep(0.002)
        return str(worker_number())

    assert set(Parallel(number, in_processes=True).map_processes(range(300))) == {"0", "1", "2"}


@pytest.mark.parametrize("wrong", ["0", "-1", "two", "", "1.5"])
def test_an_override_that_is_no_count_is_refused(
    wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEP_PARALLEL_PROCESSOR_COUNT", wrong)
    with pytest.raises(ValueError, match="TEP_PARALLEL_PROCESSOR_COUNT: expected"):
        Parallel(str, in_processes=True)


def test_the_count_heeds_affinity() -> None:
    usable = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(usable)})
        assert processor_count() == 1
    finally:
        os.sched_setaffinity(0, usable)


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/a/b", {"a/b/cpu.max": "max 100000", "a/cpu.max": "250000 100000"}, 2.5),
        ("0::/a/b", {"a/b/cpu.max": "50000 100000", "a/cpu.max": "250000 100000"}, 0.5),
        ("0::/host/only", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/", {}, float("inf")),
        ("0::/../x", {"cpu.max": "max 100000"}, float("inf")),
        (
            "4:cpu,cpuacct:/a\n0::/",
            {
                "cpu,cpuacct/a/cpu.cfs_quota_us": "300000",
                "cpu,cpuacct/a/cpu.cfs_period_us": "100000",
            },
            3.0,
        ),
        (
            "4:cpu:/a",
            {"cpu/a/cpu.cfs_quota_us": "-1", "cpu/a/cpu.cfs_period_us": "100000"},
            float("inf"),
        ),
        ("5:memory:/a", {"memory/a/cpu.max": "1 1"}, float("inf")),
    ],
)
def test_the_count_heeds_the_quotas_of_control_groups(
    groups: str, files: dict[str, str], expected: float, tmp_path: Path
) -> None:
    from tep_parallel._engine import counting

    (tmp_path / "cgroup").write_text(groups + "\n")
    for name, text in files.items():
        path = tmp_path / "fs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    assert min(counting._quotas(tmp_path / "cgroup", tmp_path / "fs")) == expected


def test_a_process_that_a_child_leaves_behind_may_keep_the_memory(tmp_path: Path) -> None:
    """It could write while the host reads, so what the host looks at is a copy."""
    pid = os.getpid()

    def work(item: int) -> str:
        if item == 0 and os.fork() == 0:
            (tmp_path / str(os.getpid())).touch()
            while Path(f"/proc/{pid}").exists():
                time.sleep(0.05)
            os._exit(0)
        return json.dumps([item, os.getpid()])

    fan_out = Parallel(work, in_processes=2)
    results = [json.loads(line) for line in fan_out.map_processes(range(500))]
    assert [item for item, _ in results] == list(range(500))
    until(lambda: list(tmp_path.iterdir()))
    (left,) = tmp_path.iterdir()
    os.kill(int(left.name), signal.SIGKILL)
