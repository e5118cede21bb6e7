"""What a block keeps where calls end in odd ways: turns, nests, warnings and children."""

import contextlib
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from support import alive, below, name_of, until

from tep_parallel import Kill, Parallel, ParallelWorker
from tep_parallel._engine.turns import Turns

# That of the tests' time limit is one.
pytestmark = pytest.mark.filterwarnings("ignore:the block was entered in a process with other")


def work(item: object) -> str:
    if item == "raise":
        raise ValueError(item)
    if item == "kill":
        raise Kill("killed")
    return str(item)


class RingError(Exception):
    """What a signal handler may raise."""


def test_a_handler_that_raises_where_a_call_takes_or_gives_its_turn_costs_none() -> None:
    """It raises at each line once, and the exception is not swallowed either."""
    left = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        if not frame.f_code.co_filename.endswith("turns.py"):
            return None
        if event == "line":
            left -= 1
            if left == 0:
                sys.settrace(None)
                raise RingError
        return trace

    lines = 0
    with Parallel(work, in_processes=1, max_calls=1) as p:
        assert p._block is not None
        home = p._block._home
        while left <= 0:
            left = lines = lines + 1
            sys.settrace(trace)
            try:
                with pytest.raises(RingError) if lines < 20 else contextlib.suppress(RingError):
                    p.map_processes(["1"])
            finally:
                sys.settrace(None)
            assert home.turns.taken == 0
        assert p.map_processes(["2"]) == ["2"]


def test_who_has_just_got_its_turn_may_be_woken_all_the_same() -> None:
    """The two threads meet at each instruction once."""
    turns = Turns(1)
    permit = turns.take(None, lambda: False)
    assert permit is not None
    left = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        frame.f_trace_opcodes = True
        if event == "opcode" and frame.f_code.co_name == "wake":
            left -= 1
            if left == 0:
                permit.lock = None  # as the thread does that waited
        return trace

    instructions = 0
    while left <= 0:
        left = instructions = instructions + 1
        permit.lock = threading.Lock()
        permit.lock.acquire()
        sys.settrace(trace)
        try:
            permit.wake()
        finally:
            sys.settrace(None)
    assert instructions > 5


def test_an_iterator_that_is_closed_behind_its_end_leaves_nothing_to_the_next_call() -> None:
    def source() -> Iterator[str]:
        yield from ("1", "2", "raise", "raise")
        time.sleep(0.2)  # all have ended

    with Parallel(work, in_processes=2, max_calls=1, on_error="finish") as p:
        results = p.imap_processes(source())
        assert next(results) == "1"
        results.close()
        assert [outcome.index for outcome in p.as_completed(["7"])] == [0]
        assert p.map_processes(["8", "9"]) == ["8", "9"]


def test_who_advances_an_iterator_that_another_thread_began_never_waits() -> None:
    found: list[list[str]] = []
    with Parallel(work, in_processes=1, max_calls=1) as p:
        results = p.imap_processes(map(str, range(300)))
        next(results)

        def go_on() -> None:
            found.extend(p.map_processes([one]) for one in results if one in ("100", "200"))

        thread = threading.Thread(target=go_on, daemon=True)
        thread.start()
        thread.join(20)
        assert found == [["100"], ["200"]]


def test_a_call_is_made_however_many_nests_have_strangers() -> None:
    def daemon(item: str) -> str:
        if item == "daemon":
            pid = os.fork()
            if pid == 0:
                if os.fork() == 0:
                    time.sleep(5)
                os._exit(0)
            os.waitpid(pid, 0)
            time.sleep(0.3)
        return item

    with Parallel(daemon, in_processes=1, max_calls=5) as p:
        gate = threading.Barrier(5)

        def call() -> None:
            gate.wait()
            p.map_processes(["daemon"])

        threads = [threading.Thread(target=call) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert p.map_processes(["1", "2"]) == ["1", "2"]


def kill_server() -> None:
    """It is gone when this returns."""
    (pid,) = [pid for pid in below(os.getpid()) if name_of(pid) == "tep-server" and alive(pid)]
    os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(pid))


@pytest.mark.parametrize(
    "call",
    [
        lambda p: p.map_processes(["2"]),
        lambda p: p.outcomes(["2"]),
        lambda p: list(p.imap_processes(["2"])),
    ],
)
def test_the_warning_of_a_killed_server_comes_once_and_names_the_callers_line(
    call: Callable[[Any], object],
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "the block was entered in a process")
        with Parallel(work, in_processes=1, max_calls=1) as p:
            p.map_processes(["1"])
            kill_server()
            with pytest.raises(RuntimeWarning, match="server"):
                p.map_processes(["kill"])
            call(p)
            kill_server()
            with pytest.warns(RuntimeWarning, match="server") as caught:
                p.map_processes(["kill"])
            assert [one.filename for one in caught] == [__file__]
            call(p)


class Leaving(ParallelWorker):
    """Its teardown leaves a mark.

    Args:
        path: A file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def process(self, item: str) -> str:
        return item

    def teardown(self) -> None:
        self.path.touch()


@pytest.mark.parametrize("error", [SystemExit(0), GeneratorExit(), KeyboardInterrupt()])
def test_only_ctrl_c_keeps_children_from_their_teardown(
    error: BaseException, tmp_path: Path
) -> None:
    path = tmp_path / "left"
    with (
        pytest.raises(type(error)),
        Parallel(Leaving(path), in_processes=1, max_calls=1) as p,
    ):
        p.map_processes(["1"])
        raise error
    assert path.exists() is not isinstance(error, KeyboardInterrupt)


class Touchy:
    """Its children cannot make it again."""

    def __getstate__(self) -> dict[str, int]:
        return {"a": 1}

    def __setstate__(self, state: object) -> None:
        msg = "touchy"
        raise AttributeError(msg)


def test_an_attribute_error_of_an_items_own_code_arrives_as_it_is() -> None:
    with (
        Parallel(work, in_processes=1, max_calls=1) as p,
        pytest.raises(AttributeError) as caught,
    ):
        p.map_processes([Touchy()])
    assert caught.value.args == ("touchy",)
