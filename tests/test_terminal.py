"""What is promised at a terminal: one of a pty, with an interactive bash."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import CASES, FORKED, alive, children, forked_outside, run_case, until
from terminal import CTRL_Z, case, command, terminal

from tep_parallel import DeadlineError, ItemTimeoutError, Parallel

# As arguments of a scenario.
_SHAPES = {
    name: ",".join(f"{key}={value}" for key, value in shape.items())
    for name, shape in FORKED.items()
}
shaped = pytest.mark.parametrize("shape", _SHAPES.values(), ids=_SHAPES)

_TICKING = {
    **{name: ("plain", options) for name, options in _SHAPES.items()},
    "no fork": ("plain", "in_processes=0"),
    "watched": ("plain", "on_finish=print"),
    "watched pool": ("plain", "in_processes=2,on_start=print"),
    "in a thread": ("thread", ""),
    "two calls": ("two", ""),
    "nested": ("nested", "in_processes=2"),
}


def state(pid: int) -> str:
    """One letter, as in /proc."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def tickers(folder: Path) -> list[int]:
    return [int(path.name) for path in folder.iterdir() if path.name.isdigit()]


def ticks(folder: Path) -> dict[int, int]:
    return {pid: (folder / str(pid)).stat().st_size for pid in tickers(folder)}


def grown(folder: Path, before: dict[int, int]) -> Callable[[], bool]:
    """Has each of them gone on since?"""
    return lambda: all(size > before[pid] for pid, size in ticks(folder).items())


def stopped_with_all(folder: Path) -> Callable[[], bool]:
    return lambda: all(state(pid) == "T" for pid in tickers(folder))


@pytest.mark.parametrize(("shape", "options"), _TICKING.values(), ids=_TICKING)
def test_ctrl_z_stops_the_host_with_its_children_and_fg_continues_them(
    shape: str, options: str, tmp_path: Path
) -> None:
    many = {"nested": 4, "two": 3}.get(shape, 1 if options == "in_processes=0" else 2)
    with terminal() as there:
        there.type(case("ticking", shape, tmp_path, f"'{options}'"))
        until(lambda: len(tickers(tmp_path)) == many and all(ticks(tmp_path).values()))
        for _ in range(2):
            there.type(CTRL_Z)
            there.see("Stopped")
            until(stopped_with_all(tmp_path))
            before = ticks(tmp_path)
            assert "Stopped" in there.run("jobs")
            assert ticks(tmp_path) == before
            there.type("fg")
            until(grown(tmp_path, before))
        (tmp_path / "enough").touch()
        found = {"nested": "AX BX", "two": "A B C"}.get(shape, "A B")
        there.see(f"found: {found}")
        assert "over: 0" in there.run("true")


def test_ctrl_z_stops_the_command_and_fg_continues_it(tmp_path: Path) -> None:
    with terminal() as there:
        there.type(f"cd {CASES}; export TICKING={tmp_path}")
        there.type(command("map", "ticking:tick", "a", "b", "|", "cat"))
        until(lambda: len(tickers(tmp_path)) == 2 and all(ticks(tmp_path).values()))
        there.type(CTRL_Z)
        there.see("Stopped")
        until(stopped_with_all(tmp_path))
        before = ticks(tmp_path)
        there.type("bg")
        until(grown(tmp_path, before))
        there.type("fg")
        (tmp_path / "enough").touch()
        there.see("\nA\nB\n".replace("\n", "\r\n"))


def test_the_time_stopped_does_not_count_for_an_items_limit(tmp_path: Path) -> None:
    limit = 4.0  # seconds; what is not stopped takes far less
    with terminal() as there:
        there.type(case("ticking", "plain", tmp_path, f"in_processes=2,timeout={limit}"))
        until(lambda: len(tickers(tmp_path)) == 2 and all(ticks(tmp_path).values()))
        there.type(CTRL_Z)
        there.see("Stopped")
        time.sleep(limit + 0.5)
        (tmp_path / "enough").touch()
        there.type("fg")
        there.see("found: A B")


def test_the_deadline_holds_for_a_call_that_is_stopped(tmp_path: Path) -> None:
    with terminal() as there:
        there.type(case("ticking", "plain", tmp_path, "deadline=2"))
        until(lambda: len(tickers(tmp_path)) == 2)
        there.type(CTRL_Z)
        there.see("Stopped")
        until(lambda: not any(map(alive, tickers(tmp_path))))
        there.type("fg")
        there.see("found: DeadlineError")


@pytest.mark.parametrize("shape", ["plain", "nested"])
def test_a_host_that_is_killed_while_stopped_leaves_nothing(
    shape: str, tmp_path: Path, scratch_root: Path
) -> None:
    with terminal() as there:
        there.type(f"export TMPDIR={scratch_root}")
        there.type(case("ticking", shape, tmp_path))
        until(lambda: len(tickers(tmp_path)) == (4 if shape == "nested" else 2))
        there.type(CTRL_Z)
        there.see("Stopped")
        until(stopped_with_all(tmp_path))
        os.kill(int((tmp_path / "host").read_text()), signal.SIGKILL)
        until(lambda: not any(map(alive, tickers(tmp_path))))
        until(lambda: list(scratch_root.iterdir()) == [])


@shaped
def test_children_print_whatever_the_terminal_says_of_the_background(shape: str) -> None:
    with terminal() as there:
        there.run("stty tostop")
        shown = there.run(case("at_terminal", "say", f"'{shape}'"))
        for item in "ab":
            assert f"hello from {item}\n" in shown
            assert f"{item}'s echo\n" in shown
            assert f"found: {item} NoneType\n" in shown


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("open", "None OSError"),
        ("stty", "None OSError"),
        ("ask", "None EOFError"),
        ("read", "a NoneType"),
    ],
)
@shaped
def test_a_child_that_wants_the_terminal_is_told_at_once_that_it_has_none(
    shape: str, what: str, error: str
) -> None:
    with terminal() as there:
        shown = there.run(case("at_terminal", what, f"'{shape}'"))
        assert f"found: {error}\n" in shown
        assert "over: 0" in shown


def test_a_child_has_no_terminal_also_where_the_host_has_no_descriptor_to_spare() -> None:
    with terminal() as there:
        shown = there.run(case("no_terminal_descriptors"))
        assert "found: ENXIO ENXIO\n" in shown


def stop_oneself(item: str) -> str:
    os.kill(os.getpid(), signal.SIGSTOP)
    return item


@forked_outside
def test_a_stopped_child_is_waited_for(shape: dict[str, Any]) -> None:
    """Until somebody continues it; here another child."""

    def work(item: str) -> str:
        if item == "stops":
            Path(mark).write_text(str(os.getpid()))
            return stop_oneself(item)
        until(lambda: Path(mark).exists() and Path(mark).read_text())
        pid = int(Path(mark).read_text())
        until(lambda: state(pid) == "T")
        os.kill(pid, signal.SIGCONT)
        return item

    mark = os.environ["TMPDIR"] + ".stopped"
    try:
        assert Parallel(work, **shape).map_processes(["stops", "b"]) == ["stops", "b"]
    finally:
        Path(mark).unlink()


@forked_outside
def test_limits_end_a_stopped_child(shape: dict[str, Any]) -> None:
    with pytest.raises(ItemTimeoutError):
        Parallel(stop_oneself, timeout=0.3, **shape).map_processes(["a"])
    with pytest.raises(DeadlineError):
        Parallel(stop_oneself, deadline=0.3, **shape).map_processes(["a"])
    assert children() == []


@pytest.mark.parametrize("how", ["default", "handler", "ignored", "changed"])
def test_whoever_handles_ctrl_z_in_the_host_does_so_afterwards(how: str) -> None:
    run_case("stop_handler", how)
