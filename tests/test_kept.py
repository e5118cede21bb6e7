"""with Parallel(...): children that are kept from call to call, or forked ahead of one."""

from __future__ import annotations

import contextlib
import importlib
import itertools
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kept import Parallel, close_blocks
from support import KEPT, LIMIT, alive, below, children, in_block, name_of, until

from tep_parallel import (
    AbortedError,
    Break,
    DeadlineError,
    DeadWorkerError,
    ItemTimeoutError,
    Kill,
    Outcome,
    ParallelWorker,
    processor_count,
    worker_number,
)

Shape = dict[str, Any]
ORDINARY = {name: {**shape, "kept": False} for name, shape in KEPT.items()}
each = pytest.mark.parametrize("shape", ORDINARY.values(), ids=KEPT)
both_shapes = in_block
pytestmark = pytest.mark.filterwarnings("ignore:.*thread:RuntimeWarning")  # pytest's own


def whoami(_: object) -> str:
    return str(os.getpid())


def kept_processes() -> set[int]:
    """What stands ready: the children of nests, which are below the server."""
    found = below(os.getpid())
    return {pid for pid in found if name_of(pid) not in ("tep-server", "tep-nursery")}


def warm(worker: Any = whoami, **options: Any) -> Any:
    return Parallel(worker, kept=True, **{"in_processes": 2, **options})


def fresh(worker: Any = whoami, **options: Any) -> Any:
    return Parallel(worker, kept=True, **options)


# --- The block ---------------------------------------------------------------------------


@each
def test_a_block_gives_the_parallel_itself_and_leaves_nothing(shape: Shape) -> None:
    parallel = Parallel(str.upper, **shape)
    with parallel as p:
        assert p is parallel
        until(lambda: [name_of(pid) for pid in children(servers=True)] == ["tep-server"])
        assert p.map_processes(["a", "b"]) == ["A", "B"]
    assert children(servers=True) == []
    assert parallel.map_processes(["c"]) == ["C"]  # as outside
    with parallel:
        assert parallel.map_processes(["d"]) == ["D"]


@each
def test_an_exception_in_a_block_goes_on_and_leaves_nothing(shape: Shape) -> None:
    with pytest.raises(LookupError), Parallel(str.upper, **shape) as p:
        p.map_processes(["a"])
        raise LookupError
    assert children(servers=True) == []


@each
def test_a_block_that_makes_no_call_is_left_at_once(shape: Shape) -> None:
    with Parallel(str.upper, **shape):
        pass
    assert children(servers=True) == []


@each
def test_a_block_cannot_be_entered_twice(shape: Shape) -> None:
    with Parallel(str.upper, **shape) as p:
        with pytest.raises(RuntimeError), p:
            raise AssertionError
        assert p.map_processes(["a"]) == ["A"]


def test_without_children_a_block_does_nothing() -> None:
    with Parallel(whoami, in_processes=0, kept=False) as p:
        assert children(servers=True) == []
        assert p.map_processes([1, 2]) == [str(os.getpid())] * 2


@both_shapes
def test_a_call_in_a_block_makes_no_scratch_directory(shape: Shape, scratch_root: Path) -> None:
    def listing(_: object) -> str:
        return str(len(list(scratch_root.iterdir())))

    assert Parallel(listing, **shape).map_processes([1, 2]) == ["0", "0"]


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"max_calls": 0}, ValueError, "max_calls: expected"),
        ({"max_calls": -1}, ValueError, "max_calls: expected"),
        ({"max_calls": 1.5}, TypeError, "max_calls: expected"),
        ({"keep": 3}, TypeError, "keep: expected"),
        ({"keep": ["log"]}, TypeError, "keep: expected"),
        ({"keep": [-1]}, ValueError, "keep: expected"),
    ],
)
def test_a_wrong_option_of_blocks_is_refused_by_name(
    options: Shape, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        Parallel(str, **options)


# --- Who serves a call -------------------------------------------------------------------


def test_warm_children_serve_call_after_call() -> None:
    p = warm(max_calls=1)
    served = {pid for _ in range(50) for pid in p.map_processes(range(20))}
    assert 1 <= len(served) <= 2
    assert served <= set(map(str, kept_processes()))


def test_a_global_variable_of_a_warm_child_keeps_its_value() -> None:
    seen: list[object] = []

    def count(item: object) -> str:
        seen.append(item)
        return str(len(seen))

    p = warm(count, in_processes=1, max_calls=1)
    assert [p.map_processes(["a"]) for _ in range(5)] == [[str(n)] for n in range(1, 6)]
    assert seen == []


def test_a_child_that_was_forked_ahead_serves_one_item() -> None:
    p = fresh()
    served = [pid for _ in range(20) for pid in p.map_processes(range(5))]
    assert len(set(served)) == 100


def test_setup_has_run_before_the_call_comes(tmp_path: Path) -> None:
    class Prepared(ParallelWorker):
        def setup(self) -> None:
            (tmp_path / str(os.getpid())).touch()

        def process(self, item: object) -> str:
            return str(os.getpid())

    for count, make in ((2, warm), (min(2 * processor_count(), 32), fresh)):
        parallel = make(Prepared())
        until(lambda count=count: len(list(tmp_path.iterdir())) == count)  # type: ignore[misc]
        ready = {path.name for path in tmp_path.iterdir()}
        assert set(parallel.map_processes([1])) <= ready
        close_blocks()
        for path in tmp_path.iterdir():
            path.unlink()


def test_the_quota_of_a_child_counts_over_calls() -> None:
    p = warm(max_items_per_child=5, max_calls=1)
    served = Counter(pid for _ in range(40) for pid in p.map_processes(range(3)))
    assert max(served.values()) <= 5
    assert len(served) >= 120 // 5


def test_worker_numbers_are_those_of_the_places() -> None:
    def number(_: object) -> str:
        time.sleep(0.002)
        return str(worker_number())

    p = warm(number, max_calls=1)
    for _ in range(5):
        assert set(p.map_processes(range(20))) <= {"0", "1"}
    assert worker_number() is None


def test_more_items_than_stand_ready_have_a_child_each() -> None:
    p = fresh()
    assert len(set(p.map_processes(range(120)))) == 120
    assert len(set(p.map_processes(range(3)))) == 3


def test_an_outcome_of_a_fresh_child_has_its_end() -> None:
    def work(item: int) -> str:
        if item == 1:
            os._exit(7)
        if item == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return str(os.getpid())

    p = fresh(work)
    for _ in range(3):
        first, second, third = p.outcomes(range(3))
        assert (first.exit_code, first.signal, first.pid) == (0, None, int(first.result))
        assert first.cpu_seconds is not None
        assert first.max_rss > 1 << 20
        assert (second.exit_code, second.signal) == (7, None)
        assert (third.exit_code, third.signal) == (None, signal.SIGKILL)
        for one in (second, third):
            assert isinstance(one.error, DeadWorkerError)
            assert one.error.pid == one.pid


def test_whoever_gets_outcomes_waits_for_the_ends_of_their_children() -> None:
    p = fresh()
    for outcome in p.outcomes(range(6)):
        assert not Path(f"/proc/{outcome.pid}").exists()
    for outcome in p.as_completed(range(6)):
        assert not Path(f"/proc/{outcome.pid}").exists()
    told: list[Outcome[Any]] = []
    watched = fresh(on_finish=told.append)
    watched.map_processes(range(6))
    assert not any(Path(f"/proc/{outcome.pid}").exists() for outcome in told)


def test_the_end_of_a_block_waits_for_every_child() -> None:
    with Parallel(whoami, kept=False) as p:
        served = p.map_processes(range(20))
    assert not any(Path(f"/proc/{pid}").exists() for pid in served)


def test_a_call_is_over_when_its_children_run_no_more_code_of_the_worker(tmp_path: Path) -> None:
    class Late(ParallelWorker):
        def process(self, item: int) -> str:
            threading.Thread(target=self.later, args=(item,)).start()
            return ""

        def later(self, item: int) -> None:
            time.sleep(0.1)
            (tmp_path / f"thread {item}").touch()

        def teardown(self) -> None:
            time.sleep(0.1)
            (tmp_path / f"teardown {os.getpid()}").touch()

    p = fresh(Late())
    p.map_processes(range(3))
    assert len([path for path in tmp_path.iterdir() if path.name.startswith("thread")]) == 3
    assert len([path for path in tmp_path.iterdir() if path.name.startswith("tear")]) == 3


def test_what_the_teardown_of_a_warm_child_raises_is_raised_at_the_end_of_the_block() -> None:
    class Broken(ParallelWorker):
        def teardown(self) -> None:
            raise LookupError("teardown")

    with pytest.raises(LookupError, match="teardown"), Parallel(Broken(), in_processes=2) as p:
        assert p.map_processes([1, 2]) == ["", ""]
    with pytest.raises(KeyError), Parallel(Broken(), in_processes=2) as p:
        assert p.map_processes([1, 2]) == ["", ""]
        raise KeyError  # it goes on
    assert children(servers=True) == []


# --- What a child has --------------------------------------------------------------------


def test_what_is_frozen_at_entry_is_as_it_was_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TEP_PARALLEL_TEST", "at entry")
    values = ["at entry"]

    def look(_: object) -> str:
        return f"{os.getcwd()} {os.environ['TEP_PARALLEL_TEST']} {values[0]}"

    p = warm(look)
    monkeypatch.chdir("/")
    monkeypatch.setenv("TEP_PARALLEL_TEST", "later")
    values[0] = "later"
    assert p.map_processes([1]) == [f"{tmp_path} at entry at entry"]


@both_shapes
def test_items_are_copies(shape: Shape) -> None:
    item = [1]
    p = Parallel(lambda item: str(item.append(2) or item), **shape)
    assert p.map_processes([item, item]) == ["[1, 2]", "[1, 2]"]
    assert item == [1]


@both_shapes
def test_an_item_that_cannot_be_pickled_is_that_items_failure(shape: Shape) -> None:
    p = Parallel(str, **shape)
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        p.map_processes([1, threading.Lock(), 3])
    found = p.outcomes([1, threading.Lock(), lambda: None, 4])
    assert [one.result for one in found] == ["1", None, None, "4"]
    assert isinstance(found[1].error, TypeError)
    assert found[1].attempts == 0
    assert p.each_process([1, 2]) == 0


class Early:
    pass


def make_late(name: str) -> type:
    """A class of this module that the children of a block that is open do not have."""
    late = type(name, (), {"__module__": __name__})
    setattr(sys.modules[__name__], name, late)
    return late


@both_shapes
def test_a_class_that_did_not_exist_at_entry_is_named_with_what_to_do(shape: Shape) -> None:
    p = Parallel(lambda item: type(item).__name__, **shape)
    name = f"Late{len(shape)}"
    found = p.outcomes([Early(), make_late(name)(), Early()])
    assert [one.result for one in found] == ["Early", None, "Early"]
    assert isinstance(found[1].error, AttributeError)
    text = str(found[1].error)
    assert name in text
    assert "enter" in text or "entry" in text or "block" in text
    assert p.map_processes([Early()]) == ["Early"]


@both_shapes
def test_a_module_that_did_not_exist_at_entry_is_named_with_what_to_do(
    shape: Shape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"made_later_{len(shape)}"
    p = Parallel(lambda item: type(item).__name__, **shape)
    (tmp_path / f"{name}.py").write_text("class Late: pass")
    monkeypatch.syspath_prepend(tmp_path)
    (found,) = p.outcomes([importlib.import_module(name).Late()])
    assert isinstance(found.error, ImportError)
    assert name in str(found.error)


# --- After a call that did not end well -----------------------------------------------------


def ends(how: str) -> Callable[[Any], str]:
    def work(item: Any) -> str:
        if item == "end":
            if how == "raise":
                raise ValueError(how)
            if how == "break":
                raise Break("broken")
            if how == "kill":
                raise Kill("killed")
            if how == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            if how == "exit":
                os._exit(3)
            time.sleep(60)
        return str(os.getpid())

    return work


WELL = {"raise", "break"}
ENDS: dict[str, tuple[Shape, type[BaseException] | None]] = {
    "raise": ({}, ValueError),
    "break": ({}, None),
    "kill": ({}, None),
    "die": ({}, DeadWorkerError),
    "exit": ({}, DeadWorkerError),
    "timeout": ({"timeout": 0.5}, ItemTimeoutError),
    "deadline": ({"deadline": 3.0}, DeadlineError),
    "on_error": ({"on_error": "kill", "timeout": 0.5}, ItemTimeoutError),
}


@both_shapes
@pytest.mark.parametrize("how", ENDS)
def test_the_next_call_is_right_however_the_last_one_ended(how: str, shape: Shape) -> None:
    options, error = ENDS[how]
    p = Parallel(ends(how), max_calls=1, **options, **shape)
    usual = range(4 if how == "deadline" else 20)  # a loaded machine forks 20 in more than that
    p.map_processes(usual)
    for _ in range(3):
        until(lambda: len(kept_processes()) >= 2)
        before = set(map(str, kept_processes()))
        with pytest.raises(error) if error else contextlib.nullcontext():
            assert p.map_processes([1, "end", 3]) in ("broken", "killed")
        after = p.map_processes(usual)
        assert len(after) == len(usual)
        if how in WELL and "in_processes" in shape:
            assert set(after) <= before, "the children were not kept"
        if how in ("kill", "deadline", "on_error") and "in_processes" in shape:
            assert not set(after) & before, "the children of a call that killed were kept"


@both_shapes
def test_what_a_failure_has_kept_from_beginning_does_not_begin_later(
    shape: Shape, tmp_path: Path
) -> None:
    def work(item: int) -> str:
        if item == 0:
            raise ValueError
        (tmp_path / str(item)).touch()
        return str(item)

    p = Parallel(work, max_calls=1, **{**shape, "in_processes": 1})
    for _ in range(20):
        with pytest.raises(ValueError):
            p.map_processes(range(200))
        begun = {path.name for path in tmp_path.iterdir()}
        assert p.map_processes([1]) == ["1"]
        assert {path.name for path in tmp_path.iterdir()} <= begun | {"1"}
        assert len(begun) < 200


@both_shapes
def test_an_iterator_that_is_dropped_gives_its_turn_back(shape: Shape) -> None:
    p = Parallel(str, max_calls=1, **shape)
    for how in range(4):
        stream = p.imap_processes(map(str, itertools.count()))
        assert next(stream) == "0"
        if how % 2:
            stream.close()
        del stream
        assert p.map_processes([1, 2]) == ["1", "2"]


@both_shapes
def test_an_old_iterator_that_is_closed_late_leaves_the_next_call_alone(shape: Shape) -> None:
    p = Parallel(str, max_calls=1, **shape)
    old = p.imap_processes(["a", "b"])
    assert list(old) == ["a", "b"]
    new = p.imap_processes(map(str, itertools.count()))
    assert next(new) == "0"
    old.close()
    del old
    assert list(itertools.islice(new, 300)) == [str(number) for number in range(1, 301)]
    new.close()


@both_shapes
def test_an_idle_child_that_is_killed_costs_no_item(shape: Shape) -> None:
    p = Parallel(whoami, max_calls=1, **shape)
    for _ in range(10):
        p.map_processes(range(4))
        until(kept_processes)
        victims = kept_processes()
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda victims=victims: not any(map(alive, victims)))  # type: ignore[misc]
        assert len(p.map_processes(range(4))) == 4


@both_shapes
def test_signals_for_servers_and_nurseries_change_nothing(shape: Shape) -> None:
    p = Parallel(str, **shape)
    for _ in range(3):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            for pid in below(os.getpid()):
                if name_of(pid) in ("tep-server", "tep-nursery"):
                    os.kill(pid, number)
        assert p.map_processes(range(4)) == ["0", "1", "2", "3"]


def test_an_idle_childs_signal_handler_runs_at_once(tmp_path: Path) -> None:
    class Handles(ParallelWorker):
        def setup(self) -> None:
            signal.signal(signal.SIGUSR1, lambda *_: (tmp_path / str(os.getpid())).touch())
            (tmp_path / f"ready {os.getpid()}").touch()

        def process(self, item: object) -> str:
            return str(os.getpid())

    def ready() -> list[int]:
        return [pid for pid in kept_processes() if (tmp_path / f"ready {pid}").exists()]

    for parallel in (warm(Handles(), max_calls=1), fresh(Handles(), max_calls=1)):
        parallel.map_processes(range(4))
        until(lambda: len(ready()) >= 2)
        for pid in ready():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGUSR1)
        until(lambda: any(path.name.isdigit() for path in tmp_path.iterdir()), limit=LIMIT / 2)
        for path in tmp_path.glob("[0-9]*"):
            path.unlink()


def test_subprocesses_that_a_worker_waits_for_cost_it_nothing() -> None:
    def work(item: object) -> str:
        subprocess.run(["true"], check=True)
        return str(os.getpid())

    p = warm(work, max_calls=1)
    served = {pid for _ in range(6) for pid in p.map_processes(range(2))}
    assert len(served) <= 2


@both_shapes
def test_what_a_worker_leaves_running_survives_also_a_later_abort(
    shape: Shape, tmp_path: Path
) -> None:
    def work(item: str) -> str:
        if item == "leave":
            left = subprocess.Popen(["sleep", str(LIMIT)], start_new_session=True)
            return str(left.pid)
        if item == "sleep":
            (tmp_path / str(os.getpid())).touch()
            time.sleep(LIMIT)
        return item

    p = Parallel(work, max_calls=1, **shape)
    left = [int(p.map_processes(["leave", "a"])[0]) for _ in range(3)]
    aborter = threading.Thread(target=lambda: (until(lambda: any(tmp_path.iterdir())), p.abort()))
    aborter.start()
    with pytest.raises(AbortedError):
        p.map_processes(["sleep"])
    aborter.join()
    assert p.map_processes(["b"]) == ["b"]
    assert all(map(alive, left))
    for pid in left:
        os.kill(pid, signal.SIGKILL)


# --- Many calls at once --------------------------------------------------------------------


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Run it in so many threads; what one of them raises is raised here."""
    failed: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


@both_shapes
def test_eight_threads_call_thousands_of_times_and_each_gets_its_own(shape: Shape) -> None:
    calls = int(os.environ.get("TEP_PARALLEL_STRESS_CALLS", "2000"))
    calls //= 1 if "in_processes" in shape else 20
    p = Parallel(lambda item: f"<{item}>", max_calls=4, **shape)

    def call(number: int) -> None:
        for turn in range(calls):
            items = [f"{number}-{turn}-{k}" for k in range(turn % 4 + 1)]
            assert p.map_processes(items) == [f"<{item}>" for item in items]

    in_threads(8, call)
    assert children() == []


def test_no_more_calls_run_at_once_than_were_asked_for(tmp_path: Path) -> None:
    def work(item: str) -> str:
        begun = time.monotonic()
        time.sleep(0.02)
        return f"{begun} {time.monotonic()}"

    p = warm(work, max_calls=2, in_processes=1)
    spans: list[tuple[float, float]] = []
    in_threads(
        8,
        lambda _: spans.append(tuple(map(float, p.map_processes(["a"])[0].split()))),  # type: ignore[arg-type]
    )
    assert len(spans) == 8
    for begun, _ in spans:
        assert sum(one <= begun < end for one, end in spans) <= 2


def test_calls_that_wait_come_in_the_order_in_which_they_began_to(tmp_path: Path) -> None:
    def work(item: str) -> str:
        while item == "hold" and not (tmp_path / "go").exists():
            time.sleep(0.005)
        with (tmp_path / "order").open("a") as file:
            file.write(f"{item} ")
        return item

    p = warm(work, max_calls=1, in_processes=1)
    waiting: list[threading.Thread] = []

    def call(number: int) -> None:
        p.map_processes([f"{number}"])

    holder = threading.Thread(target=p.map_processes, args=(["hold"],))
    holder.start()
    until(lambda: sleeps_in_a_call(holder))
    for number in range(6):
        waiting.append(threading.Thread(target=call, args=(number,)))
        waiting[-1].start()
        until(lambda: sleeps_in_a_call(waiting[-1]))
    (tmp_path / "go").touch()
    for thread in (holder, *waiting):
        thread.join()
    assert (tmp_path / "order").read_text().split() == ["hold", *map(str, range(6))]


def sleeps_in_a_call(thread: threading.Thread) -> bool:
    """Whether the thread sleeps, and has done so for a while."""
    stat = Path(f"/proc/self/task/{thread.native_id}/stat")
    for _ in range(10):
        if stat.read_text().rpartition(")")[2].split()[0] != "S":
            return False
        time.sleep(0.002)
    return True


def test_the_deadline_of_a_call_runs_while_it_waits_for_its_turn(tmp_path: Path) -> None:
    """The first holds the turn until its own deadline; then there is no time left for others."""

    def work(item: str) -> str:
        (tmp_path / item).touch()
        time.sleep(LIMIT if item == "hold" else 0.7)
        return item

    p = warm(work, max_calls=1, in_processes=1, deadline=1.0)
    raised: list[DeadlineError] = []

    def call(number: int) -> None:
        if number > 0:
            until((tmp_path / "hold").exists)
        with pytest.raises(DeadlineError) as caught:
            p.map_processes(["hold" if number == 0 else f"{number}"])
        raised.append(caught.value)

    begun = time.monotonic()
    in_threads(4, call)
    assert 1.0 <= time.monotonic() - begun < LIMIT / 2
    assert [error.outcomes for error in raised] == [[]] * 4
    assert len(list(tmp_path.iterdir())) <= 2


def test_a_call_that_waits_for_its_turn_can_be_interrupted(tmp_path: Path) -> None:
    def work(item: str) -> str:
        if item == "hold":
            (tmp_path / "held").touch()
            until((tmp_path / "go").exists)
        return item

    def ring(*_: object) -> None:
        raise InterruptedError

    p = warm(work, max_calls=1, in_processes=1)
    holder = threading.Thread(target=p.map_processes, args=(["hold"],))
    holder.start()
    until((tmp_path / "held").exists)
    former = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.5)  # by then it waits
        with pytest.raises(InterruptedError):
            p.map_processes(["a"])
    finally:
        signal.signal(signal.SIGALRM, former)
    (tmp_path / "go").touch()
    holder.join()
    assert p.map_processes(["b"]) == ["b"]


@both_shapes
def test_a_thread_that_holds_an_unfinished_call_never_waits_for_its_turn(shape: Shape) -> None:
    p = Parallel(str, max_calls=1, **shape)
    streams = [p.imap_processes(map(str, itertools.count())) for _ in range(3)]
    for stream in streams:
        assert next(stream) == "0"
    assert p.map_processes(["inner"]) == ["inner"]
    for stream in streams:
        assert next(stream) == "1"
        stream.close()
    told: list[str] = []

    def call_again(index: int, item: str) -> None:
        if item != "inner":
            told.extend(hooked.map_processes(["inner"]))

    hooked = Parallel(str, max_calls=1, on_start=call_again, **shape)
    assert hooked.map_processes(["a", "b"]) == ["a", "b"]
    assert told == ["inner", "inner"]


@both_shapes
def test_the_end_of_a_block_ends_the_calls_of_other_threads(shape: Shape, tmp_path: Path) -> None:
    def work(item: str) -> str:
        (tmp_path / str(os.getpid())).touch()
        time.sleep(LIMIT)
        return item

    raised: list[BaseException] = []

    def call() -> None:
        try:
            p.map_processes(["a"])
        except BaseException as error:
            raised.append(error)

    with Parallel(work, **{**shape, "kept": False}) as p:
        thread = threading.Thread(target=call)
        thread.start()
        until(lambda: any(tmp_path.iterdir()))
    thread.join()
    assert [type(error) for error in raised] == [AbortedError]
    assert not any(alive(int(path.name)) for path in tmp_path.iterdir())


@both_shapes
def test_the_end_of_a_block_closes_its_iterators(shape: Shape) -> None:
    with Parallel(str, **{**shape, "kept": False}) as p:
        stream = p.imap_processes(map(str, itertools.count()))
        assert next(stream) == "0"
    assert children(servers=True) == []
    with contextlib.suppress(AbortedError):
        assert len(list(stream)) < 100_000


@both_shapes
def test_abort_ends_all_calls_of_a_block_and_later_ones_run(shape: Shape, tmp_path: Path) -> None:
    def work(item: str) -> str:
        if item == "sleep":
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            (tmp_path / str(os.getpid())).touch()
            time.sleep(LIMIT)
        return item

    p = Parallel(work, max_calls=3, **shape)

    def call(_: int) -> None:
        with pytest.raises(AbortedError):
            p.map_processes(["sleep"])

    def abort() -> None:
        until(lambda: len(list(tmp_path.iterdir())) == 3)
        p.abort()
        left.extend(alive(int(path.name)) for path in tmp_path.iterdir())

    left: list[bool] = []
    aborter = threading.Thread(target=abort)
    aborter.start()
    in_threads(3, call)
    aborter.join()
    assert left == [False] * 3
    assert p.map_processes(["b"] * 4) == ["b"] * 4


# --- Memory ----------------------------------------------------------------------------------


def resident(pids: Iterator[int] | list[int]) -> int:
    """Bytes that the processes have in memory and share with nobody."""
    found = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith(("Private_Clean", "Private_Dirty", "Private_Hugetlb")):
                    found += int(line.split()[1]) * 1024
    return found


def test_ten_thousand_calls_need_no_more_memory_than_a_hundred() -> None:
    p = warm(lambda item: item * 1000, max_calls=1)
    items = ["a", "b" * 100, "c", "d"]

    def call(count: int) -> int:
        for _ in range(count):
            assert len(p.map_processes(items)) == 4
        return resident([os.getpid(), *below(os.getpid())])

    call(500)
    descriptors = len(os.listdir("/proc/self/fd"))
    before = call(500)
    after = call(9000)
    assert after - before < 4 << 20, (before, after)
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_results_of_any_size_come_and_their_memory_is_given_back() -> None:
    p = warm(lambda size: "x" * size, max_calls=1)
    sizes = [0, 1, 1 << 16, 3 << 20, 5, 8 << 20, 70_000]

    def call(count: int) -> int:
        for _ in range(count):
            assert [len(text) for text in p.map_processes(sizes)] == sizes
        return resident([os.getpid(), *below(os.getpid())])

    before = call(5)
    assert call(20) - before < 64 << 20
