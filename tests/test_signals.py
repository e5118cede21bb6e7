"""Signals that reach a host or a child wherever it may wait, and wake-up descriptors."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from kept import Parallel
from support import LIMIT, both, children, run_case, until

from tep_parallel import Outcome, ParallelWorker

MB = 1_000_000


class Rung(Exception):
    pass


@contextlib.contextmanager
def handled(number: int, handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    former = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, former)


@contextlib.contextmanager
def every_millisecond(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    with handled(signal.SIGALRM, handler):
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


def nothing_runs() -> bool:
    """Whether the nursery has no child."""
    for nursery in children():
        with contextlib.suppress(OSError):
            if Path(f"/proc/{nursery}/task/{nursery}/children").read_text():
                return False
    return True


# How many results of how many bytes; and which function of Python's waits for C meanwhile.
LONG: dict[str, tuple[dict[str, Any], int, int, str]] = {
    "many files": ({}, 12, 24 * MB, "run"),
    "one file": ({"isolation": True, "in_processes": 1}, 1, 300 * MB, "run"),
    "one file, watched": ({"on_finish": lambda outcome: None}, 1, 300 * MB, "run"),
    "texts of a pool": ({"in_processes": 2}, 12, 50 * MB, "fill"),
}
long = pytest.mark.parametrize(("shape", "count", "size", "where"), LONG.values(), ids=LONG)


@long
def test_signals_are_handled_while_results_are_collected(
    shape: dict[str, Any], count: int, size: int, where: str, tmp_path: Path
) -> None:
    """Not one when C comes back at last, for all that arrived."""

    def work(item: int) -> str:
        (tmp_path / str(item)).touch()
        return str(item) * size

    seen: Counter[str] = Counter()

    def note(number: int, frame: FrameType | None) -> None:
        if frame is not None and len(list(tmp_path.iterdir())) == count and nothing_runs():
            seen[frame.f_code.co_name] += 1

    with every_millisecond(note):
        found = Parallel(work, **shape).map_processes(range(count))
    for item, text in enumerate(found):
        assert len(text) == size * len(str(item))
        assert text == str(item) * size
    # Files are read in pieces of some milliseconds, texts decoded for 50 ms at a time.
    assert seen[where] >= (4 if where == "run" else 2), seen


@long
def test_a_handler_that_raises_ends_the_collecting(
    shape: dict[str, Any], count: int, size: int, where: str, tmp_path: Path
) -> None:
    def work(item: int) -> str:
        (tmp_path / str(item)).touch()
        return str(item) * size

    turns = 0

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal turns
        assert frame is not None
        if frame.f_code.co_name != where or len(list(tmp_path.iterdir())) < count:
            return
        if nothing_runs():
            turns += 1
            if turns == 2:
                raise Rung

    with every_millisecond(note), pytest.raises(Rung):
        Parallel(work, **shape).map_processes(range(count))


class Handler:
    """Three ways to be one."""

    def __call__(self, number: int, frame: FrameType | None) -> None:
        raise Rung

    method = __call__


HANDLERS: dict[str, Any] = {
    "a function": lambda number, frame: Handler()(number, frame),
    "a method": Handler().method,
    "an object": Handler(),
    "a partial": partial(Handler.method, Handler()),
}


@pytest.mark.parametrize("handler", HANDLERS.values(), ids=HANDLERS)
@pytest.mark.parametrize("watched", [True, False])
def test_a_handler_that_raises_while_a_codec_loads_ends_the_call(
    handler: Any, watched: bool
) -> None:
    """It is no failure of the item's, whose `loads` happened to run."""

    class Slow:
        loaded = 0

        def dumps(self, value: object) -> str:
            return str(value)

        def loads(self, data: str | bytes) -> object:
            self.loaded += 1
            os.kill(os.getpid(), signal.SIGUSR1)
            time.sleep(0)  # the handler has run by now
            return data

    codec = Slow()
    hooks: dict[str, Any] = {"on_finish": lambda outcome: None} if watched else {}
    with handled(signal.SIGUSR1, handler), pytest.raises(Rung):
        Parallel(str, codec=codec, **hooks).outcomes(range(3))
    assert codec.loaded == 1


@pytest.mark.parametrize("instead", ["nothing", "a file", "a pipe"])
def test_a_wakeup_descriptor_that_the_host_closes_meanwhile_is_forgotten(
    instead: str, tmp_path: Path
) -> None:
    """Nor is anything written to what has its number then."""
    hears, wakes = socket.socketpair()
    wakes.setblocking(False)
    number = wakes.fileno()
    heard: list[int] = []
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)

    def finished(outcome: Outcome[str]) -> None:
        if wakes.fileno() >= 0:
            wakes.close()
            if instead == "a file":  # it gets the lowest number, which may be this one
                fd = os.open(tmp_path / "own", os.O_WRONLY | os.O_CREAT)
                if fd != number:
                    os.dup2(fd, number)
                    os.close(fd)
            elif instead == "a pipe":
                os.dup2(write_end, number)
        os.kill(os.getpid(), signal.SIGUSR1)

    former = signal.set_wakeup_fd(number)
    try:
        with handled(signal.SIGUSR1, lambda number, frame: heard.append(number)):
            fan_out = Parallel(str, on_finish=finished)
            assert fan_out.map_processes(range(3)) == ["0", "1", "2"]
            assert signal.set_wakeup_fd(-1) == -1
    finally:
        signal.set_wakeup_fd(former)
        wakes.close()
        if instead != "nothing":
            os.close(number)
        os.close(write_end)
        hears.close()
    assert len(heard) == 3
    assert os.read(read_end, 10) == b""
    os.close(read_end)
    assert instead != "a file" or (tmp_path / "own").read_bytes() == b""


@pytest.mark.parametrize("chosen", ["one", "none"])
def test_a_wakeup_descriptor_that_the_host_chooses_meanwhile_stays(chosen: str) -> None:
    """And hears of signals from then on."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    new = write_end if chosen == "one" else -1

    def finished(outcome: Outcome[str]) -> None:
        if outcome.index == 0:
            signal.set_wakeup_fd(new)

    host = os.getpid()

    def work(item: int) -> str:
        if item == 1:
            os.kill(host, signal.SIGUSR1)
        return str(item)

    former = signal.set_wakeup_fd(-1)
    try:
        with handled(signal.SIGUSR1, lambda number, frame: None):
            fan_out = Parallel(
                work, in_processes=1, on_start=lambda index, item: None, on_finish=finished
            )
            assert fan_out.map_processes(range(2)) == ["0", "1"]
        assert signal.set_wakeup_fd(former) == new
    finally:
        signal.set_wakeup_fd(former)
        os.close(write_end)
    assert os.read(read_end, 10) == (bytes([signal.SIGUSR1]) if chosen == "one" else b"")
    os.close(read_end)


def test_a_call_in_another_thread_leaves_the_wakeup_descriptor_alone() -> None:
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    former = signal.set_wakeup_fd(write_end)
    found: list[int] = []

    def look(outcome: Outcome[str]) -> None:
        turn.set()
        looked.wait(LIMIT)

    turn, looked = threading.Event(), threading.Event()
    call = Parallel(str, on_finish=look)
    thread = threading.Thread(target=call.map_processes, args=([0],))
    try:
        thread.start()
        assert turn.wait(LIMIT)
        found.append(signal.set_wakeup_fd(write_end))
        looked.set()
        thread.join()
        found.append(signal.set_wakeup_fd(former))
    finally:
        signal.set_wakeup_fd(former)
        os.close(read_end)
        os.close(write_end)
    assert found == [write_end, write_end]


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_a_python_that_does_not_run_in_the_first_thread_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that is embedded: which thread handles signals, Python says."""
    library = tmp_path / "elsewhere.so"
    source = Path(__file__).parent / "c" / "elsewhere.c"
    command = ["cc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", library, source, "-lpthread"]
    subprocess.run(command, check=True, timeout=LIMIT)
    assert run_case("elsewhere", library) == "interrupted\n"


class Waiting(ParallelWorker):
    """Its child handles SIGUSR1 with `handler`, and says who it is."""

    def __init__(self, place: Path, handler: Callable[[], None], *, aside: bool = False) -> None:
        self.place = place
        self.handler = handler
        self.aside = aside

    def setup(self) -> None:
        signal.signal(signal.SIGUSR1, lambda number, frame: self.handler())
        if self.aside and not (self.place / "rung").exists():
            threading.Thread(target=self.ring, daemon=True).start()

    def ring(self) -> None:
        """To this thread, where the handler cannot run."""
        until((self.place / "ring").exists)
        (self.place / "rung").touch()
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)

    def process(self, item: int) -> str:
        return f"{item} {os.getpid()}"


@both
@pytest.mark.parametrize("way", ["to the child", "to a thread of it"])
def test_a_child_that_waits_for_on_start_handles_its_signals(
    way: str, tmp_path: Path, kept: bool
) -> None:
    aside = way == "to a thread of it"
    worker = Waiting(tmp_path, (tmp_path / "handled").touch, aside=aside)
    outcome = run_and_ring(worker, tmp_path, kept=kept)
    assert (tmp_path / "handled").exists()
    assert len({one.pid for one in outcome}) == 1
    assert [one.attempts for one in outcome] == [1, 1, 1]


@both
def test_a_child_that_waits_ends_when_its_handler_says_so(tmp_path: Path, kept: bool) -> None:
    def leave() -> None:
        (tmp_path / "handled").touch()
        raise SystemExit(3)

    first, second, third = run_and_ring(Waiting(tmp_path, leave), tmp_path, kept=kept)
    assert first.pid != second.pid == third.pid
    assert second.result == f"1 {second.pid}"


@both
def test_what_a_handler_raises_in_a_child_that_waits_fails_the_call(
    tmp_path: Path, kept: bool
) -> None:
    def fail() -> None:
        (tmp_path / "handled").touch()
        raise Rung("by the child's handler")

    with pytest.raises(Rung, match="by the child's handler"):
        run_and_ring(Waiting(tmp_path, fail), tmp_path, kept=kept)


def run_and_ring(worker: Waiting, place: Path, *, kept: bool) -> list[Outcome[str]]:
    """Process three items; before the second may start, the child gets a signal, and the third
    is let start when it has been handled."""
    pids: list[int] = []

    def start(index: int, item: object) -> None:
        if index == 1:
            if worker.aside:
                (place / "ring").touch()
            else:
                asleep(pids[0])
                os.kill(pids[0], signal.SIGUSR1)
            until((place / "handled").exists)

    def finish(outcome: Outcome[str]) -> None:
        assert outcome.pid is not None
        pids.append(outcome.pid)

    hooks: dict[str, Any] = {"on_start": start, "on_finish": finish}
    return Parallel(worker, in_processes=1, kept=kept, **hooks).outcomes(range(3))


def asleep(pid: int) -> None:
    until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S")
