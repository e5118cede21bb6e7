"""Whatever text is written to: what the host has buffered, and whose lock a thread holds."""

from __future__ import annotations

import io
import os
import select
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support import forked_outside, run_case, run_case_with_stderr, until

from tep_parallel import Parallel, ParallelWorker


@pytest.fixture
def busy() -> Iterator[None]:
    """This process has another thread."""
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    yield
    over.set()
    thread.join()


@pytest.mark.parametrize("host", ["alone", "threads", "hooks"])
def test_whatever_stands_in_for_a_stream_a_call_works_and_prints_once(host: str) -> None:
    out, err = run_case_with_stderr("odd_streams", host)
    assert err == ""
    for number in range(8):
        assert out.count(f"<host {number}>") == 2, number
    assert out.count("<child a>") == out.count("<child b>") == 2 * 8
    assert out.count("<log a>") == out.count("<log b>") == 2 * 8


@pytest.mark.parametrize("how", ["hook", "rollover", "unwrapped"])
def test_no_child_waits_for_a_stream_that_a_thread_was_writing_to(how: str) -> None:
    out, err = run_case_with_stderr("held_streams", how)
    assert out == "a\n"
    assert err == ("hook\na\n" if how == "hook" else "a\n")


@pytest.mark.usefixtures("busy")
@forked_outside
def test_a_renewed_stream_keeps_its_settings_and_what_it_was_given(
    shape: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out"
    buffer = io.BufferedWriter(io.FileIO(path, "a"), 100_000)
    stream = io.TextIOWrapper(
        buffer, encoding="latin-1", errors="replace", newline="\r\n", line_buffering=False
    )
    stream.mine = "kept"  # type: ignore[attr-defined]
    monkeypatch.setattr(sys, "stdout", stream)

    def work(item: str) -> str:
        print("ä€" * 5_000)
        stream = sys.stdout
        assert isinstance(stream, io.TextIOWrapper)
        size = stream.buffer.__sizeof__()
        return f"{stream.mine} {stream.encoding} {stream.errors} {size}"  # type: ignore[attr-defined]

    stream.write("of the host's")
    expected = f"kept latin-1 replace {buffer.__sizeof__()}"
    assert Parallel(work, **shape).map_processes(["a", "b"]) == [expected] * 2
    stream.close()
    text = path.read_bytes()
    assert text.count(b"\xe4?" * 5_000 + b"\r\n") == 2
    assert text.count(b"of the host's") == 1


class Slow:
    """What it is given it keeps until it is flushed; that can be made to fail."""

    def __init__(self, path: Path, error: Exception | None = None) -> None:
        self.parts: list[str] = []
        self.path = path
        self.error = error

    def write(self, part: str) -> int:
        self.parts.append(part)
        return len(part)

    def flush(self) -> None:
        if self.error is not None:
            raise self.error
        with open(self.path, "a") as file:
            file.write("".join(self.parts))
        self.parts = []


@forked_outside
def test_what_a_hook_has_printed_before_the_fork_is_printed_once_by_whatever_prints_it(
    shape: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", Slow(tmp_path / "out"))
    fan_out = Parallel(str, on_start=lambda index, item: print("start", item), **shape)
    fan_out.map_processes(range(3))
    sys.stdout.flush()
    printed = (tmp_path / "out").read_text().splitlines()
    assert sorted(printed) == ["start 0", "start 1", "start 2"]


@forked_outside
@pytest.mark.parametrize("threads", [False, True])
def test_a_flush_that_fails_before_the_fork_is_a_warning_and_no_failure(
    shape: dict[str, Any],
    threads: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    if threads:
        request.getfixturevalue("busy")
    monkeypatch.setattr(sys, "stdout", Slow(tmp_path / "out", RuntimeError("not now")))
    with pytest.warns(RuntimeWarning, match=r"a Slow could not be flushed .*not now"):
        assert Parallel(str, **shape).map_processes([1]) == ["1"]


def test_a_stream_that_cannot_be_flushed_fails_at_the_hosts_next_flush(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As it would have without the call: nothing is lost, nothing written twice."""
    full = open("/dev/full", "w")
    full.write("some")
    monkeypatch.setattr(sys, "stdout", full)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Parallel(str).map_processes([1]) == ["1"]
    with pytest.raises(OSError, match="No space left"):
        full.flush()
    with pytest.raises(OSError, match="No space left"):
        full.close()


class Given(Exception):
    pass


def test_a_signal_handler_that_raises_while_a_stream_is_flushed_ends_the_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def give_up(number: int, frame: object) -> None:
        raise Given

    class Signalling(Slow):
        def flush(self) -> None:
            os.kill(os.getpid(), signal.SIGUSR1)
            super().flush()

    before = signal.signal(signal.SIGUSR1, give_up)
    monkeypatch.setattr(sys, "stdout", Signalling(tmp_path / "out"))
    try:
        with pytest.raises(Given):
            Parallel(str).map_processes([1])
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_fork_that_is_none_of_ours_finds_its_streams_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """on_start forks while a call is prepared; and a child of ours forks on its own."""
    path = tmp_path / "out"
    monkeypatch.setattr(sys, "stdout", open(path, "a"))

    def fork_and_flush(*given: object) -> str:
        sys.stdout.write(f"<{len(given)}>")
        pid = os.fork()
        if pid == 0:
            sys.stdout.flush()
            os._exit(0)
        os.waitpid(pid, 0)
        sys.stdout.flush()
        return ""

    Parallel(fork_and_flush, on_start=fork_and_flush).map_processes([1])
    sys.stdout.close()
    assert path.read_text() == "<2><2><1><1>"


@forked_outside
def test_a_bar_waits_for_no_lock_that_a_killed_child_held(shape: dict[str, Any]) -> None:
    out, err = run_case_with_stderr("tqdm_lock", shape.get("in_processes", "-"))
    assert out == "ItemTimeoutError ItemTimeoutError None\n"
    assert "3/3" in err


def test_setup_and_teardown_print_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Printing(ParallelWorker):
        def setup(self) -> None:
            print("setup")

        def process(self, item: str) -> str:
            print(item)
            return item

        def teardown(self) -> None:
            print("teardown")

    monkeypatch.setattr(sys, "stdout", Slow(tmp_path / "out"))
    Parallel(Printing()).map_processes(["a"])
    assert (tmp_path / "out").read_text() == "setup\na\nteardown\n"


def test_rolling_over_hangs_no_child() -> None:
    """Three threads log to a file that is full every few lines, while calls are made."""
    assert run_case("rolling") == "[]\n"


@forked_outside
def test_an_inner_calls_bar_waits_for_no_thread_that_the_fork_left_behind(
    shape: dict[str, Any],
) -> None:
    from tqdm.std import TqdmDefaultWriteLock

    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with TqdmDefaultWriteLock.th_lock:
            held.set()
            over.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()

    def fan_out(item: int) -> str:
        return "".join(Parallel(str, progress=True).map_processes([item]))

    try:
        assert Parallel(fan_out, timeout=30, **shape).map_processes([1]) == ["1"]
    finally:
        over.set()
        thread.join()


@forked_outside
def test_a_thread_that_waits_for_a_reader_of_its_output_holds_no_call_up(
    shape: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the lock of sys.stdout until somebody reads."""
    reader, writer = os.pipe()
    stream = open(writer, "w")
    monkeypatch.setattr(sys, "stdout", stream)
    thread = threading.Thread(target=stream.write, args=("x" * 200_000,))
    thread.start()
    drain = threading.Thread(target=lambda: list(iter(partial(os.read, reader, 1 << 16), b"")))
    try:
        until(lambda: not select.select([], [writer], [], 0)[1])  # full
        assert Parallel(str, timeout=30, **shape).map_processes([1]) == ["1"]
    finally:
        drain.start()
        thread.join()
        stream.close()
        drain.join()
        os.close(reader)
