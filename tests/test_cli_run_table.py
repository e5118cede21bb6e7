"""The table of run beside xargs and GNU parallel in docs/command.md: a script for each row."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pages import ROOT
from support import refused, shell

RUN = "tep-parallel run"

# By the first cell: a script, what it prints, what it ends with, and options that are refused.
ROWS: dict[str, tuple[str, str, int, tuple[str, ...]]] = {
    "the item in a command": (
        "seq 2 | RUN echo a; seq 1 | RUN echo {} b",
        "a 1\na 2\n1 b\n",
        0,
        (),
    ),
    "another text than `{}`": ("seq 1 | RUN sh -c 'echo $1{}' sh {}", "11\n", 0, ("-I %", "-U %")),
    "parts of a name": (
        "echo a/b.c | RUN sh -c 'echo ${1%.*} ${1##*/}' sh; echo a.b | RUN echo {.} {/}",
        "a/b b.c\n{.} {/} a.b\n",
        0,
        (),
    ),
    "the number of an item": ("seq 7 8 | RUN echo '{#}' {}", "1 7\n2 8\n", 0, ()),
    "N items a command": (
        "seq 3 | RUN -n 2 echo; seq 3 | RUN --max-args 2 echo",
        "1 2\n3\n" * 2,
        0,
        ("-L 2", "-N 2"),
    ),
    "as many items as fit a command": (
        "seq 3 | RUN -X echo; seq 3 | RUN --fill echo",
        "1 2 3\n" * 2,
        0,
        ("-m", "-s 100", "-x"),
    ),
    "a command that fails again": (
        "seq 1 | RUN --retries 1 sh -c 'mkdir x 2>/dev/null && exit 1; echo well'",
        "well\n",
        0,
        (),
    ),
    "when a command fails": (
        "seq 9 | RUN -j 1 --on-error stop sh -c 'echo $0; [ $0 != 2 ]'",
        "1\n2\n",
        1,
        ("--halt now",),
    ),
    "output of a command": (
        "seq 2 | RUN -j 2 -u sh -c 'echo a; sleep 0.1; echo b'",
        "a\nb\n" * 2,
        0,
        ("--group",),
    ),
    "output as it comes": (
        "seq 2 | RUN -j 2 --no-group sh -c 'echo a; sleep 0.5; echo b'",
        "a\na\nb\nb\n",
        0,
        ("--ungroup", "--lb"),
    ),
    "output in input order": (
        "printf '0.3\\n0\\n' | RUN -j 2 sh -c 'sleep $0; echo $0'; seq 1 | RUN -k echo;"
        " seq 1 | RUN --keep-order echo",
        "0.3\n0\n1\n1\n",
        0,
        (),
    ),
    "output as commands end": (
        "printf '0.5\\n0\\n' | RUN -j 2 -u sh -c 'sleep $0; echo $0'; seq 1 | RUN --unordered echo",
        "0\n0.5\n1\n",
        0,
        (),
    ),
    "whose line it is": ("seq 2 | RUN --tag echo a", "1\ta 1\n2\ta 2\n", 0, ("--tagstring x",)),
    "commands that begin": (
        "(seq 1 | RUN -t echo 'a b'; seq 1 | RUN --verbose true) 2>&1",
        "tep-parallel: echo 'a b' 1\na b 1\ntep-parallel: true 1\n",
        0,
        (),
    ),
    "commands that would run": ("seq 2 | RUN --dry-run touch", "touch 1\ntouch 2\n", 0, ()),
    "standard input of a command": (
        "seq 2 | RUN sh -c 'cat; readlink /proc/self/fd/0'",
        "/dev/null\n" * 2,
        0,
        (),
    ),
    "a command in a shell": ("seq 2 | RUN sh -c 'echo $1 | tr 12 ab' sh", "a\nb\n", 0, ()),
}
# How each ends, and with which status: the table of that.
ENDS = {
    "with 0, all of them": ("true", 0),
    "with 1 to 125": ("sh -c 'exit 125'", 1),
    "with 255": ("sh -c 'exit 255'", 1),
    "by a signal": ("sh -c 'kill $$'", 1),
    "it cannot be executed": ("/etc/passwd", 1),
    "it is not found": ("no-such-program", 1),
    "wrong usage": ("", 2),
}


def cells(title: str) -> list[list[str]]:
    """The rows of the table below a title: their cells."""
    text = (ROOT / "docs" / "command.md").read_text()
    section = text.partition(f"\n### {title}\n")[2].partition("\n##")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    found = [[cell.strip(" |") for cell in line.strip("|").split(" | ")] for line in lines]
    return [row for row in found if row[0] and not row[0].startswith("---")]


def test_every_row_has_a_script_here() -> None:
    title = "Options of run beside xargs and GNU parallel"
    assert [row[0] for row in cells(title)] == list(ROWS)
    assert [row[0] for row in cells("When a command fails")][1:] == list(ENDS)


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_true(name: str, tmp_path: Path) -> None:
    script, printed, expected, others = ROWS[name]
    status, out, _ = shell(script.replace("RUN", RUN), tmp_path)
    assert (status, out.decode()) == (expected, printed)
    for option in others:
        refused(f"{RUN} {option} true < /dev/null", "", tmp_path)


@pytest.mark.parametrize("name", ENDS)
def test_the_exit_status_is_the_one_of_the_table(name: str, tmp_path: Path) -> None:
    words, status = ENDS[name]
    assert shell(f"seq 2 | {RUN} {words}", tmp_path)[0] == status


def test_every_option_of_run_is_in_a_table() -> None:
    status, out, _ = shell(f"{RUN} --help")
    assert status == 0
    shown = out.decode().partition("\noptions:")[2].partition("\nexamples:")[0]
    ours = set(re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", shown))
    assert len(ours) > 20
    page = (ROOT / "docs" / "command.md").read_text()
    assert {option for option in ours if f"`{option}" not in page} == set()
