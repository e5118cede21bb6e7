"""What is raised, when, and what it says."""

from __future__ import annotations

import errno
import faulthandler
import os
import pickle
import random
import shutil
import signal
import sys
import time
import types
import warnings
from pathlib import Path
from typing import Any

import pytest
from kept import Parallel
from support import forked

import tep_parallel
from tep_parallel import (
    DeadWorkerError,
    FileDigest,
    Outcome,
    ParallelError,
    ParallelWorker,
    TamperedResultError,
    WorkerError,
)
from tep_parallel._errors import dead


class Keyed(Exception):
    """Pickles, and cannot be unpickled: two arguments, one in args."""

    def __init__(self, key: str, value: str) -> None:
        super().__init__(f"{key}={value}")


class Unpicklable(Exception):
    def __init__(self) -> None:
        super().__init__("with a lambda")
        self.held = lambda: None


class Faulty(ParallelWorker):
    def process(self, item: str) -> str:
        if item == "value":
            msg = "bad \0 item"
            raise ValueError(msg)
        if item == "keyed":
            raise Keyed("k", "v")
        if item == "unpicklable":
            raise Unpicklable
        if item == "unknown":

            class Unknown(Exception):
                pass

            raise Unknown("who is it")
        if item == "int":
            return 3  # type: ignore[return-value]
        if item == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if item == "left":
            os._exit(9)
        if item == "segfault":
            faulthandler.disable()  # pytest's would fill the screen
            os.kill(os.getpid(), signal.SIGSEGV)
        if item == "exit":
            sys.exit(300)
        if item == "stop":
            raise StopIteration
        if item == "interrupt":
            raise KeyboardInterrupt
        if item == "nested":
            Parallel(Faulty()).map_processes(["killed"])
        return item


def error_of(item: str, **options: object) -> BaseException:
    (outcome,) = Parallel(Faulty(), **options).outcomes([item])  # type: ignore[arg-type]
    assert outcome.error is not None
    assert not outcome.ok
    assert outcome.result is None
    return outcome.error


def test_an_exception_is_raised_as_itself_with_traceback_and_note(tmp_path: Path) -> None:
    cue = tmp_path / "cue"

    def work(item: str) -> str:
        if item == "other":
            cue.touch()  # it runs: it is left to end, and fails
            os._exit(1)
        while not cue.exists():
            time.sleep(0.001)
        msg = "bad \0 item"
        raise ValueError(msg)

    with pytest.raises(ValueError, match="bad \0 item") as caught:
        Parallel(work).map_processes(["value", "other"])
    text = str(caught.value.__cause__)
    assert "in work" in text
    assert "raise ValueError(msg)" in text
    assert caught.value.__notes__ == ["tep_parallel: item 0 ('value'); 1 more failed"]


@forked
def test_an_exceptions_cause_context_and_attributes_travel_with_it(shape: dict[str, Any]) -> None:
    """Behind the remote traceback, which is the first cause."""

    def work(item: str) -> str:
        try:
            try:
                raise KeyError("deep")
            except KeyError:
                raise LookupError("middle")  # noqa: B904
        except LookupError as middle:
            error = OSError(5, "outer", item)
            error.extra = [1]  # type: ignore[attr-defined]
            error.__notes__ = ["a note"]
            raise error from middle

    error = Parallel(work, **shape).outcomes(["path"])[0].error
    assert isinstance(error, OSError)
    assert (error.errno, error.filename, error.extra) == (5, "path", [1])  # type: ignore[attr-defined]
    assert error.__notes__[0] == "a note"
    remote = error.__cause__
    assert "outer" in str(remote)
    for middle in (remote.__cause__, error.__context__):  # type: ignore[union-attr]
        assert isinstance(middle, LookupError)
        assert middle.args == ("middle",)
        assert isinstance(middle.__context__, KeyError)


def test_a_cause_that_cannot_travel_keeps_nothing_else_back() -> None:
    """Its class is in the child only; what it said is there."""

    def work(item: str) -> str:
        class Unknown(Exception):
            pass

        raise ValueError("outer") from Unknown("cause")

    error = Parallel(work).outcomes(["a"])[0].error
    assert isinstance(error, ValueError)
    assert "Unknown: cause" in str(error.__cause__)
    stand_in = error.__cause__.__cause__  # type: ignore[union-attr]
    assert isinstance(stand_in, WorkerError)
    assert "Unknown: cause" in str(stand_in)


def test_each_process_raises_the_same() -> None:
    with pytest.raises(ValueError, match="bad"):
        Parallel(Faulty()).each_process(["a", "value"])
    with pytest.raises(DeadWorkerError):
        Parallel(Faulty()).each_process(["a", "killed"])


def test_the_first_failure_by_input_order_is_raised() -> None:
    def work(item: str) -> str:
        if item == "first":
            time.sleep(0.1)
        raise ValueError(item)

    with pytest.raises(ValueError, match="first"):
        Parallel(work).map_processes(["first", "second"])


class Doubling(Exception):
    """Comes back from a pickle with its message in its message."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no item {name}")


def test_an_exception_does_not_come_back_changed() -> None:
    def work(item: str) -> str:
        raise Doubling(item)

    (outcome,) = Parallel(work).outcomes(["x"])
    assert type(outcome.error) is Doubling
    assert str(outcome.error) == "no item x"


def test_an_item_whose_repr_raises_does_not_hide_the_error() -> None:
    class Mute:
        def __repr__(self) -> str:
            raise RuntimeError

    def work(item: Mute) -> str:
        msg = "why"
        raise ValueError(msg)

    with pytest.raises(ValueError, match="why"):
        Parallel(work).map_processes([Mute()])


def test_a_stream_without_flush_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", object())
    assert Parallel(str).map_processes([1]) == ["1"]


@pytest.mark.parametrize("first", ["parent", "child"])
def test_a_worker_that_forks_and_returns_twice_is_one_item(first: str) -> None:
    """As a failed exec in the branch of the child does."""

    def work(item: str) -> str:
        pid = os.fork()
        if (pid == 0) == (first == "parent"):
            time.sleep(0.1)
        if pid == 0:
            msg = "no such program"
            raise OSError(msg)
        os.waitpid(pid, 0)
        return item

    assert Parallel(work).map_processes(["a"]) == ["a"]


def test_items_that_no_nursery_began_are_failures_and_no_results() -> None:
    def work(item: int) -> str:
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
        return ""

    alone = Parallel(work, in_processes=1, isolation=True)
    with pytest.raises(DeadWorkerError, match="killed with its nursery"):
        alone.map_processes(range(4))
    outcomes = alone.outcomes(range(4))
    assert [outcome.attempts for outcome in outcomes] == [1, 1, 0, 0]
    assert "was not begun" in str(outcomes[3].error)


@pytest.mark.parametrize(("pid", "who"), [(None, "its child"), (7, "child 7")])
def test_who_was_killed_with_a_nursery_has_a_name(pid: int | None, who: str) -> None:
    error = dead(3, "x", pid, -1)
    assert str(error) == f"item 3 ('x'): {who} was killed with its nursery"


def test_a_signal_does_not_make_the_host_spin() -> None:
    former = signal.signal(signal.SIGALRM, lambda number, frame: None)
    try:
        begun = time.process_time()
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        assert Parallel(lambda item: time.sleep(2) or item).map_processes(["a"]) == ["a"]
        assert time.process_time() - begun < 1  # it would be two
    finally:
        signal.signal(signal.SIGALRM, former)


def test_a_handler_for_a_fault_that_is_pythons_stays_in_the_host() -> None:
    former = signal.signal(signal.SIGABRT, lambda number, frame: None)
    try:
        (outcome,) = Parallel(lambda item: os.abort()).outcomes(["a"])
        assert outcome.signal == signal.SIGABRT
        assert callable(signal.getsignal(signal.SIGABRT))
    finally:
        signal.signal(signal.SIGABRT, former)


def test_after_a_failure_no_new_item_starts_and_the_running_ones_finish(tmp_path: Path) -> None:
    def work(item: int) -> str:
        (tmp_path / f"{item} begun").touch()
        if item == 1:
            raise ValueError
        if item == 2:
            time.sleep(0.2)
        (tmp_path / f"{item} ended").touch()
        return ""

    with pytest.raises(ValueError):
        Parallel(work, in_processes=3, isolation=True).map_processes([0, 1, 2, *range(3, 200)])
    begun = sorted(int(p.name.split()[0]) for p in tmp_path.glob("* begun"))
    ended = sorted(int(p.name.split()[0]) for p in tmp_path.glob("* ended"))
    assert [item for item in begun if item != 1] == ended
    assert len(begun) < 50


def test_outcomes_runs_every_item_and_never_raises_for_one() -> None:
    items = ["a", "value", "killed", "int", "b"]
    outcomes = Parallel(Faulty(), in_processes=1, isolation=True).outcomes(items)
    assert [outcome.item for outcome in outcomes] == items
    assert [outcome.index for outcome in outcomes] == [0, 1, 2, 3, 4]
    assert [outcome.ok for outcome in outcomes] == [True, False, False, False, True]
    assert [outcome.result for outcome in outcomes] == ["a", None, None, None, "b"]


@forked
def test_an_exception_that_cannot_travel_becomes_a_worker_error(shape: dict[str, Any]) -> None:
    (outcome,) = Parallel(Faulty(), **shape).outcomes(["unknown"])
    error = outcome.error
    assert isinstance(error, WorkerError)
    assert (error.index, error.item) == (0, "unknown")
    assert error.remote_type.endswith(".Unknown")
    assert "in process" in error.remote_traceback
    assert "who is it" in str(error)


@pytest.mark.parametrize("item", ["keyed", "unpicklable"])
def test_one_that_cannot_be_pickled_or_unpickled_is_made_again(item: str) -> None:
    error = error_of(item)
    assert type(error) is {"keyed": Keyed, "unpicklable": Unpicklable}[item]
    assert str(error) == {"keyed": "k=v", "unpicklable": "with a lambda"}[item]
    assert "in process" in str(error.__cause__)


def test_without_rebuilding_every_exception_is_a_worker_error() -> None:
    error = error_of("value", rebuild_exceptions=False)
    assert isinstance(error, WorkerError)
    assert error.remote_type == "ValueError"
    assert "bad \0 item" in str(error)


def test_without_rebuilding_nothing_is_unpickled(tmp_path: Path) -> None:
    class Trap(Exception):
        def __reduce__(self) -> tuple[object, ...]:
            return (os.mkdir, (str(tmp_path / f"sprung in {os.getpid()}"),))

    def work(item: str) -> str:
        raise Trap

    (outcome,) = Parallel(work, rebuild_exceptions=False).outcomes(["a"])
    assert isinstance(outcome.error, WorkerError)
    assert list(tmp_path.iterdir()) == []


def test_a_result_that_is_no_str_is_a_type_error_naming_worker_index_and_type() -> None:
    for options in ({}, {"rebuild_exceptions": False}, {"in_processes": 0}):
        error = error_of("int", **options)
        assert type(error) is TypeError
        said, _, way_out = str(error).partition("; ")
        assert said == "Faulty.process: expected a str for item 0 ('int'), got int"
        for way in ("codec=json", "codec=pickle", "each_process"):
            assert way in way_out


@pytest.mark.parametrize(
    ("item", "exit_code", "number"),
    [
        ("killed", None, signal.SIGKILL),
        ("segfault", None, signal.SIGSEGV),
        ("left", 9, None),
        ("exit", 300 & 0xFF, None),
    ],
)
def test_a_child_that_ends_without_a_result_is_a_dead_worker_error(
    item: str, exit_code: int | None, number: int | None
) -> None:
    (outcome,) = Parallel(Faulty()).outcomes([item])
    error = outcome.error
    assert isinstance(error, DeadWorkerError)
    assert (error.index, error.item, error.pid) == (0, item, outcome.pid)
    assert (error.exit_code, error.signal) == (exit_code, number)
    assert (outcome.exit_code, outcome.signal) == (exit_code, number)


def test_other_base_exceptions_are_worker_errors() -> None:
    error = error_of("interrupt")
    assert isinstance(error, WorkerError)
    assert error.remote_type == "KeyboardInterrupt"


def test_a_nested_calls_error_travels_with_all_it_carries() -> None:
    error = error_of("nested")
    assert isinstance(error, DeadWorkerError)
    assert (error.index, error.item, error.signal) == (0, "killed", signal.SIGKILL)


@pytest.mark.parametrize("item", ["value", "int", "exit", "keyed", "stop"])
def test_without_a_fork_the_errors_are_the_same(item: str) -> None:
    forked, here = error_of(item), error_of(item, in_processes=0)
    assert type(here) is type(forked)
    if isinstance(here, WorkerError) and isinstance(forked, WorkerError):
        assert here.remote_type == forked.remote_type
        assert str(here) == str(forked)
        assert isinstance(here.__cause__, StopIteration)
    if isinstance(here, DeadWorkerError) and isinstance(forked, DeadWorkerError):
        assert here.exit_code == forked.exit_code


def test_without_a_fork_a_failure_stops_the_call() -> None:
    seen = []

    def work(item: int) -> str:
        seen.append(item)
        if item == 1:
            raise ValueError(item)
        return ""

    with pytest.raises(ValueError) as caught:
        Parallel(work, in_processes=0).map_processes([0, 1, 2])
    assert seen == [0, 1]
    assert caught.value.__notes__ == ["tep_parallel: item 1 (1); no other failed"]
    assert len(Parallel(work, in_processes=0).outcomes([0, 1, 2])) == 3


def test_a_record_that_somebody_else_wrote_is_refused(scratch_root: Path) -> None:
    def forge(item: str) -> str:
        (scratch,) = scratch_root.iterdir()
        mine, other = ("0", "1") if item == "a" else ("1", "0")
        while item == "a" and not (scratch / other).exists():
            time.sleep(0.001)
        if item == "a":
            time.sleep(0.05)
            (scratch / other).write_bytes(
                b"\1" + b"\0" * 7 + b"\1" + b"\0" * 7 + b"\1\0\0\0\0\0\0\0x"
            )
            (scratch / other).write_bytes(b"forged")
        return mine

    first, second = Parallel(forge).outcomes(["a", "b"])
    assert first.result == "0"
    assert isinstance(second.error, TamperedResultError)


def test_a_forged_pickle_is_not_loaded(scratch_root: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (os.mkdir, (str(tmp_path / "sprung"),))

    def forge(item: str) -> str:
        (scratch,) = scratch_root.iterdir()
        if item == "victim":
            msg = "honest"
            raise ValueError(msg)
        path = scratch / "0"
        while not path.exists():
            time.sleep(0.001)
        time.sleep(0.05)
        record = path.read_bytes()
        header, mac = record[:40], record[-32:]
        payload = record[40 : record.index(b"\x80", 40)] + pickle.dumps(Trap())
        length = len(payload).to_bytes(8, sys.byteorder)
        path.write_bytes(length + header[8:] + payload + mac)
        return ""

    victim, _ = Parallel(forge).outcomes(["victim", "forger"])
    assert isinstance(victim.error, TamperedResultError)
    assert list(tmp_path.iterdir()) == []


def test_a_lost_scratch_directory_is_a_clear_oserror(scratch_root: Path) -> None:
    def lose(item: str) -> str:
        (scratch,) = scratch_root.iterdir()
        shutil.rmtree(scratch)
        return item

    with pytest.raises(FileNotFoundError, match="scratch"):
        Parallel(lose).map_processes(["a"])


def test_what_a_worker_puts_into_the_scratch_directory_goes_with_it(scratch_root: Path) -> None:
    def litter(item: str) -> str:
        (scratch,) = scratch_root.iterdir()
        (scratch / "folder" / "below").mkdir(parents=True)
        (scratch / "folder" / "file").touch()
        (scratch / "link").symlink_to("/etc")
        return item

    assert Parallel(litter).map_processes(["a"]) == ["a"]
    assert Path("/etc/passwd").exists()


@pytest.mark.parametrize("root", ["/nowhere/at/all", "/etc/passwd"])
def test_a_wrong_scratch_root_is_an_oserror_that_names_the_option(root: str) -> None:
    with pytest.raises(OSError, match="scratch_root=") as caught:
        Parallel(str, scratch_root=root).map_processes([1])
    assert caught.value.errno in (errno.ENOENT, errno.ENOTDIR)
    assert root in str(caught.value)


@pytest.mark.parametrize("items", ["abc", b"abc", bytearray(b"abc"), 5, None])
def test_items_that_are_no_items_are_refused(items: object) -> None:
    with pytest.raises(TypeError, match="items: expected an iterable"):
        Parallel(str).map_processes(items)  # type: ignore[arg-type]


def test_an_error_of_the_iterable_is_its_own() -> None:
    def broken() -> object:
        yield "a"
        msg = "mine"
        raise TypeError(msg)

    with pytest.raises(TypeError, match="mine"):
        Parallel(str).map_processes(broken())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "options", "error", "says"),
    [
        ([Faulty], {}, TypeError, r"worker: expected an instance, got the class Faulty"),
        ([3], {}, TypeError, "worker: expected a ParallelWorker or a callable"),
        ([str], {"in_processes": -1}, ValueError, "in_processes: expected 0 or more, got -1"),
        (
            [str],
            {"in_processes": "2"},
            TypeError,
            "in_processes: expected an int, True or None, got str",
        ),
        ([str], {"in_processes": 2.0}, TypeError, "in_processes"),
        ([str], {"in_processes": False}, TypeError, "in_processes"),
        ([str], {"isolation": 1}, TypeError, "isolation: expected a bool, got int"),
        ([str], {"rebuild_exceptions": None}, TypeError, "rebuild_exceptions: expected a bool"),
        ([str], {"scratch_root": 3}, TypeError, "scratch_root"),
        ([str], {"scratch_root": b"/tmp"}, TypeError, "scratch_root"),
        ([str], {"scratch_root": ""}, ValueError, "scratch_root"),
        ([str], {"scratch_root": "a\0b"}, ValueError, "scratch_root"),
        ([str], {"in_proceses": 2}, TypeError, "in_proceses"),
        ([str, 2], {}, TypeError, "positional"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_forked(
    arguments: list[object], options: dict[str, object], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        Parallel(*arguments, **options)  # type: ignore[arg-type]


class Misspelt(ParallelWorker):
    def setup(self) -> None: ...

    def proces(self, item: str) -> str:
        return item


class Inherited(Misspelt):
    pass


class Runs:
    run = staticmethod(str)


class Mixed(Runs, ParallelWorker):
    pass


class Called(ParallelWorker):
    def __call__(self, item: str) -> str:
        return item


class Constant(ParallelWorker):
    limit = 3
    kind = int

    def _process(self, item: str) -> str:
        return item

    @property
    def size(self) -> int:
        return 3

    def teardown(self) -> None: ...


class Spelt(Misspelt):
    def process(self, item: str) -> str:
        return self.proces(item)


@pytest.mark.parametrize(
    ("kind", "name"),
    [(Misspelt, "proces"), (Inherited, "proces"), (Mixed, "run"), (Called, "__call__")],
)
def test_a_worker_with_other_methods_and_no_process_is_warned_of_once(
    kind: type[ParallelWorker], name: str
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fan_out = tep_parallel.Parallel(kind())
        fan_out.map_processes(["ab"])
        fan_out.outcomes(["a"])
    assert [warning.category for warning in caught] == [UserWarning]
    assert f"{kind.__name__} has {name} and no process" in str(caught[0].message)
    assert caught[0].filename == __file__


def test_a_worker_that_has_its_process_or_nothing_else_is_not_warned_of() -> None:
    own = Misspelt()
    own.process = str  # type: ignore[method-assign]
    for worker in (ParallelWorker(), Constant(), Spelt(), own, FileDigest(), Misspelt().proces):
        Parallel(worker)  # every warning is an error here


def test_an_outcome_tells_what_wait4_told() -> None:
    def burn(item: str) -> str:
        end = time.process_time() + 0.05
        held = bytearray(30_000_000)
        while time.process_time() < end:
            pass
        return str(os.getpid()) + " " * (len(held) < 0)

    before = time.monotonic()
    (outcome,) = Parallel(burn).outcomes(["a"])
    assert isinstance(outcome, Outcome)
    assert outcome.result == str(outcome.pid)
    assert (outcome.exit_code, outcome.signal, outcome.attempts) == (0, None, 1)
    assert outcome.started is not None
    assert before < outcome.started < outcome.started + outcome.seconds < time.monotonic()
    assert outcome.cpu_seconds is not None
    assert outcome.cpu_seconds >= 0.04
    assert outcome.seconds >= 0.04
    assert outcome.max_rss is not None
    assert 30_000_000 < outcome.max_rss < 10**9


def test_an_outcome_is_immutable_and_can_be_pickled() -> None:
    (outcome,) = Parallel(str).outcomes([1])
    with pytest.raises(AttributeError, match="immutable"):
        outcome.result = "2"
    with pytest.raises(AttributeError, match="immutable"):
        del outcome.result
    copy = pickle.loads(pickle.dumps(outcome))
    assert all(getattr(copy, name) == getattr(outcome, name) for name in Outcome.__slots__)
    assert "result='1'" in repr(outcome)


def test_the_tree_of_errors_carries_index_and_item() -> None:
    for kind in (WorkerError, DeadWorkerError, TamperedResultError):
        error = kind("said", index=3, item="x")
        assert isinstance(error, ParallelError)
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), copy.args, vars(copy)) == (kind, ("said",), vars(error))


# --- What a child shares with its siblings, and what it does not ----------------------------


def test_random_differs_from_child_to_child() -> None:
    drawn = Parallel(lambda item: str(random.random())).map_processes(range(10))
    assert len(set(drawn)) == 10


def test_numpys_global_stream_is_seeded_anew_in_each_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where numpy is loaded; a stand-in here, the real one in test_peers.py."""
    loaded = types.ModuleType("numpy.random")
    loaded.seed = lambda: os.environ.update(SEEDED=str(os.getpid()))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "numpy.random", loaded)

    def look(item: object) -> str:
        return str(os.environ.get("SEEDED") == str(os.getpid()))

    assert Parallel(look).map_processes([1, 2]) == ["True", "True"]
    assert "SEEDED" not in os.environ


def test_a_child_is_leader_of_its_group_and_dies_with_its_nursery() -> None:
    def look(item: object) -> str:
        name = Path("/proc/self/comm").read_text().strip()
        return f"{os.getpgrp() == os.getpid()} {name} {os.readlink('/proc/self/fd/0')}"

    assert Parallel(look).map_processes([0]) == ["True tep-child-0 /dev/null"]


def test_a_child_has_the_hosts_ignored_signals_and_mask_and_no_handlers() -> None:
    def look(item: object) -> str:
        # SIGUSR1 has a handler in the host: here it kills.
        wakeup = signal.set_wakeup_fd(-1)
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        status = Path("/proc/self/status").read_text()
        caught = int(status.split("SigCgt:")[1].split()[0], 16)
        ignored = int(status.split("SigIgn:")[1].split()[0], 16)
        return " ".join(
            [
                str(wakeup),
                str(blocked == {signal.SIGUSR2}),
                str(bool(ignored >> (signal.SIGHUP - 1) & 1)),
                str(bool(caught >> (signal.SIGUSR1 - 1) & 1)),
                str(bool(caught >> (signal.SIGINT - 1) & 1)),
            ]
        )

    former = signal.signal(signal.SIGUSR1, lambda number, frame: None)
    hup = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    try:
        found = Parallel(look).map_processes([0])
        assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == mask | {signal.SIGUSR2}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGUSR1, former)
        signal.signal(signal.SIGHUP, hup)
    assert found == ["-1 True True False False"]


def test_the_hosts_wakeup_descriptor_is_restored_and_given_what_arrived() -> None:
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    former = signal.signal(signal.SIGUSR1, lambda number, frame: None)
    wakeup = signal.set_wakeup_fd(write_end)
    host = os.getpid()

    def ring(item: object) -> str:
        os.kill(host, signal.SIGUSR1)
        time.sleep(0.05)
        return "rung"

    try:
        assert Parallel(ring).map_processes([0]) == ["rung"]
        assert signal.set_wakeup_fd(wakeup) == write_end
        # SIGCHLD of the nursery has no handler, so it leaves no byte.
        assert os.read(read_end, 10) == bytes([signal.SIGUSR1])
    finally:
        signal.set_wakeup_fd(wakeup)
        signal.signal(signal.SIGUSR1, former)
        os.close(read_end)
        os.close(write_end)
