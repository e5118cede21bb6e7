"""tep-parallel map at a terminal, as somebody sees it in tmux."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import until
from tmux import pane

WORKERS = """
import os, time

def wait(item):
    open("began" + item, "w").close()
    while not os.path.exists("go" + item):
        time.sleep(0.01)
    return "<" + item + ">"

def fail(item):
    wait(item)
    raise ValueError("no good")

def say(item):
    print("said", item)
    return item
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The current directory of the commands, with a module of workers in it."""
    (tmp_path / "workers.py").write_text(WORKERS)
    return tmp_path


def go(place: Path, *items: str) -> None:
    for item in items:
        (place / f"go{item}").touch()


def test_a_line_shows_how_far_it_is_and_goes_at_the_end(place: Path) -> None:
    with pane(place) as there:
        there.type("tep-parallel map workers:wait a b c -j 1 >out; echo status $?")
        there.see("tep-parallel: 0 of 3 items, ")
        go(place, "a")
        there.see("tep-parallel: 1 of 3 items, ")
        there.see(" s left")
        go(place, "b", "c")
        shown = there.see("\nstatus 0")
        assert "tep-parallel: 3" not in shown
        assert "of 3 items" not in shown
        assert (place / "out").read_text() == "<a>\n<b>\n<c>\n"


def test_a_failure_is_said_on_a_line_of_its_own(place: Path) -> None:
    with pane(place) as there:
        there.type("tep-parallel map workers:fail a b -j 1 >out; echo status $?")
        there.see("tep-parallel: 0 of 2 items, ")
        go(place, "a")
        shown = there.see("tep-parallel: 1 of 2 items, 1 failed, ")
        assert "\ntep-parallel: a: ValueError: no good\n" in shown
        go(place, "b")
        there.see("\nstatus 1")


@pytest.mark.parametrize("options", ["", ">out --no-progress", ">out 2>err"])
def test_there_is_no_such_line_where_it_would_disturb(options: str, place: Path) -> None:
    with pane(place) as there:
        there.type(f"(echo a; sleep 1.5; echo b) | tep-parallel map workers:wait {options}")
        until((place / "beganb").exists)
        assert " items" not in there.shown()
        go(place, "a", "b")
        there.type("echo status $?")
        there.see("\nstatus 0")


def test_it_can_be_asked_for(place: Path) -> None:
    with pane(place) as there:
        there.type("tep-parallel map workers:wait a --progress; echo status $?")
        there.see("tep-parallel: 0 of 1 items, ")
        go(place, "a")
        shown = there.see("\nstatus 0")
        assert "<a>\nstatus 0" in shown


def test_ctrl_c_prints_what_had_ended_and_nothing_else(place: Path) -> None:
    with pane(place) as there:
        there.type("tep-parallel map workers:wait a b c -j 2 | cat; echo status ${PIPESTATUS[0]}")
        until((place / "beganb").exists)
        go(place, "b")
        until((place / "beganc").exists)
        there.see("tep-parallel: ")
        there.keys("C-c")
        there.type("echo over")
        shown = there.see("\nover")
        assert "Traceback" not in shown
        assert " items" not in shown.partition("^C")[2]


def test_ctrl_c_at_once(place: Path) -> None:
    with pane(place) as there:
        there.type("tep-parallel map workers:wait a b -j 2; echo status $?")
        until((place / "beganb").exists)
        go(place, "a")
        there.see("\n<a>")
        there.keys("C-c")
        there.see_no("status $?; tep")
        there.type("echo then $?")
        shown = there.see("\nthen 130")
        assert "Traceback" not in shown


@pytest.mark.parametrize("options", ["", "--isolate", "-u"])
def test_ctrl_z_stops_it_and_fg_goes_on(options: str, place: Path) -> None:
    with pane(place) as there:
        there.type(f"tep-parallel map workers:wait a b -j 2 {options} >out; echo status $?")
        there.see("tep-parallel: 0 of 2 items, ")
        for _ in range(2):
            there.keys("C-z")
            there.see("Stopped")
            go(place, "a")
            there.type("jobs; clear")
            there.see_no("Stopped")
            there.type("fg")
            there.see("of 2 items, ")
        there.see("1 of 2 items, ")
        go(place, "b")
        until(lambda: (place / "out").read_text() in ("<a>\n<b>\n"))
        there.type("echo status $?")
        there.see("\nstatus 0")


def test_ctrl_z_while_it_waits_for_what_is_typed(place: Path) -> None:
    go(place, "one", "two")
    with pane(place) as there:
        there.type("tep-parallel map workers:wait")
        there.type("one")
        there.see("\n<one>")
        there.keys("C-z")
        there.see("Stopped")
        there.type("fg")
        there.see("fg\ntep-parallel map workers:wait\n")  # it has the keys from here on
        there.type("two")
        there.see("\n<two>")
        there.keys("C-d")
        there.type("echo status $?")
        there.see("\nstatus 0")


def test_in_the_background_of_a_terminal_with_tostop_it_goes_on(place: Path) -> None:
    """Its children have no terminal, and the line that shows how far it is waits."""
    with pane(place) as there:
        there.type("stty tostop")
        there.type("tep-parallel map workers:wait a b -j 1 >out & clear")
        until((place / "begana").exists)
        there.type("tep-parallel map workers:say x y >said 2>&1; cat said")
        there.see("\nsaid y")
        there.type("sleep 1.2; jobs")
        there.see("Running")
        assert " items" not in there.shown()
        there.type("clear; fg")
        there.see("tep-parallel: 0 of 2 items, ")
        go(place, "a", "b")
        until(lambda: (place / "out").read_text() == "<a>\n<b>\n")
