"""The table beside xargs and GNU parallel in docs/command.md: a script for each of its rows.

A row is known by its first cell. What is said there to be none is refused, and what does it
instead is tried.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest
from pages import ROOT
from support import refused, shell

WORKERS = """
import os, time
from tep_parallel import worker_number

def echo(item): return item
def upper(item): return item.upper()
def pid(item): return str(os.getpid())
def number(item): return str(worker_number())
def sleep(item): time.sleep(float(item)); return item
def parts(item): return [item]
def environment(item): return os.environ["GIVEN"] + os.getcwd()
def terminal(item):
    try:
        os.close(os.open("/dev/tty", os.O_RDWR))
    except OSError as error:
        return error.strerror
def fail(item):
    if item == "bad" and not os.path.exists("mended"):
        raise ValueError("no good")
    return item
def die(item):
    if not os.path.exists("died"):
        open("died", "w").close()
        os._exit(1)
    return item
def write(item):
    with open(item + ".txt", "w") as file:
        file.write(item)
    return item
"""
MAP = "tep-parallel map workers"


class Row(NamedTuple):
    """What shows that a row is true.

    Attributes:
        script: It runs in bash, in a directory with the workers; `MAP` stands for the command.
        out: What it prints; a str beginning with ~ is a pattern.
        status: What it ends with.
        refused: Options that there are none of.
    """

    script: str
    out: str
    status: int = 0
    refused: tuple[str, ...] = ()


ROWS = {
    # Where items come from
    "NUL ends an item": Row(
        r"printf 'a\nb\0c\0' | MAP:echo -0; printf 'd\0e' | MAP:echo --null", "a\nb\nc\nd\ne\n"
    ),
    "another byte ends an item": Row(
        r"printf 'a,b' | MAP:echo -d ,; printf 'a\tb' | MAP:echo --delimiter '\t'", "a\nb\na\nb\n"
    ),
    "items of a file": Row(
        "seq 2 >items; MAP:echo -a items; MAP:echo --arg-file items; seq 1 | MAP:echo -a -",
        "1\n2\n1\n2\n1\n",
    ),
    "items as words": Row("MAP:echo a 'b c' -- -d --json", "a\nb c\n-d\n--json\n"),
    "no items": Row("MAP:echo </dev/null", "", refused=("-r", "--no-run-if-empty")),
    "a line that ends the items": Row(
        r"printf 'a\nEND\nb\n' | sed '/^END$/Q' | MAP:echo", "a\n", refused=("-E END", "--eof x")
    ),
    "blanks and quotes": Row(
        r"""printf '%s\n' 'a  "b' "it's \\x" | MAP:echo; echo a b | tr ' ' '\n' | MAP:echo""",
        "a  \"b\nit's \\x\na\nb\n",
        refused=("--quote", "-q"),
    ),
    "lines left out or changed": Row(
        r"printf 'head\na,1\nb,2\n' | tail -n +2 | cut -d, -f1 | MAP:upper",
        "A\nB\n",
        refused=("--trim", "--skip-first-line", "--shuf", "--colsep ,", "--csv", "-C ,"),
    ),
    "several inputs": Row(
        "paste -d, <(seq 2) <(seq 3 4) | MAP:echo", "1,3\n2,4\n", refused=("--link", "--xapply")
    ),
    "an input that is cut into blocks": Row(
        "seq 4 | split -l 2 - part. && ls part.* | MAP:echo",
        "part.aa\npart.ab\n",
        refused=("--pipe", "--pipe-part", "--block 1", "--round-robin", "-N 2", "--cat"),
    ),
    # How items run
    "how many at once": Row(
        "for n in '-j 1' '--jobs 1' '-P 1' '--in-processes 1' '-j 0';"
        " do seq 9 | MAP:pid $n | sort -u | wc -l; done",
        "1\n" * 5,
        refused=("--max-procs 2",),
    ),
    "what a CPU is": Row(
        "export TEP_PARALLEL_PROCESSOR_COUNT=1; MAP:sleep 0.2 0 -u",
        "0.2\n0\n",
        refused=("--use-cores-instead-of-threads", "--number-of-cpus"),
    ),
    "a fresh process for each item": Row("seq 9 | MAP:pid --isolate | sort -u | wc -l", "9\n"),
    "a fresh process now and then": Row(
        "seq 9 | MAP:pid -j 1 --max-items-per-child 3 | sort -u | wc -l", "3\n"
    ),
    "a limit for each item": Row("MAP:sleep 60 0 --timeout 0.2", "0\n", 1, ("--term-seq x",)),
    "a limit for all items": Row("MAP:sleep 60 0 -j 2 --deadline 0.5", "0\n", 1),
    "another try": Row("MAP:die a --retries 1", "a\n"),
    "when an item fails": Row(
        "for end in stop finish kill; do (echo bad; yes | head -3000) |"
        " MAP:fail --on-error $end 2>/dev/null | wc -l; done",
        r"~[0-9]+\n3000\n[0-9]+\n",
        refused=("--halt now", "--halt-on-error 1"),
    ),
    "the number of the process": Row(
        "seq 50 | MAP:number -j 1 | sort -u", "0\n", refused=("--process-slot-var x",)
    ),
    "the environment and the directory": Row(
        "mkdir sub; cd sub; export GIVEN=is PYTHONPATH=..; MAP:environment x",
        r"~is/.*/sub\n",
        refused=("--env x", "--record-env", "--session"),
    ),
    "waiting for a quiet machine": Row(
        "nice MAP:echo a", "a\n", refused=("--load 1", "--memfree 1", "--delay 1", "--nice 1")
    ),
    "a terminal for the processes": Row(
        "MAP:terminal x", "No such device or address\n", refused=("--open-tty", "-o", "--tmux")
    ),
    "a question before each item": Row(
        "MAP:echo a b --dry-run", "a\nb\n", refused=("--interactive", "-p")
    ),
    "other machines": Row(  # with a cluster: tests/engines/test_command.py
        "MAP:echo a --dask nothing 2>&1",
        r"~tep-parallel: --dask.*\n",
        2,
        ("-S x", "--sshlogin x", "--onall"),
    ),
    "a lock among commands": Row(
        "flock lock MAP:echo a", "a\n", refused=("--semaphore", "--fg", "--bg", "--wait")
    ),
    "a database": Row("MAP:echo a --journal log; wc -l <log", "a\n2\n", refused=("--sql x",)),
    # Arguments
    "where the item goes": Row(
        "tep-parallel map os.path:basename a/b", "b\n", refused=("-I {}", "-i", "--replace")
    ),
    "its number": Row("paste -d: <(seq 2) <(seq 5 6) | MAP:echo", "1:5\n2:6\n"),
    "several items at once": Row("MAP:echo a b", "a\nb\n", refused=("-n 2", "-L 2", "-l")),
    "as many items as fit": Row(
        "head -c 3000000 /dev/zero | tr '\\0' x | MAP:echo | wc -c",
        "3000001\n",
        refused=("-s 9", "-X", "-m", "-x", "--show-limits"),
    ),
    "whose output a line is": Row(
        "MAP:upper a --json", r'~.*"item": "a", "result": "A".*\n', refused=("--tag",)
    ),
    "lines of several items among each other": Row(
        "MAP:echo $'a\\nb' c -u -j 1", "a\nb\nc\n", refused=("--ungroup", "--line-buffer", "--lb")
    ),
    "text for a shell": Row("MAP:echo '$(echo a) `b`'", "$(echo a) `b`\n", refused=("--shebang",)),
    # What is printed
    "in the order of the items": Row(
        "MAP:sleep 0.2 0 -j 2; MAP:sleep 0.2 0 -j 2 -k; MAP:sleep 0.2 0 --keep-order",
        "0.2\n0\n" * 3,
    ),
    "as items end": Row(
        "MAP:sleep 0.3 0 -j 2 -u; MAP:sleep 0.3 0 -j 2 --unordered", "0\n0.3\n" * 2
    ),
    "NUL behind each result": Row("MAP:echo a b -z; MAP:echo c --zero", "a\0b\0c\0"),
    "a row for each item": Row(
        "MAP:sleep 0.3 0 -j 2 --json -u", r'~\{"index": 1, .*\}\n\{"index": 0, .*\}\n'
    ),
    "results that are no text": Row("MAP:parts a --codec json", '["a"]\n'),
    "what begins": Row(
        "MAP:echo a -t 2>&1 | sort; MAP:echo a --verbose 2>&1 | sort",
        "a\ntep-parallel: a: begins\n" * 2,
    ),
    "what would be run": Row("MAP:write a b --dry-run; ls a.txt 2>/dev/null", "a\nb\n", 2),
    "how far it is": Row(
        "MAP:sleep 1.4 --progress 2>&1 | tr '\\r' '\\n' | grep -c ' of 1 items, 1 s';"
        " MAP:sleep 1.1 --no-progress",
        r"~[1-9]\n1\.1\n",
        refused=("--bar", "--eta"),
    ),
    "results in files": Row(
        "MAP:write a b >/dev/null; cat a.txt b.txt", "ab", refused=("--results x", "--files")
    ),
    "colours": Row("MAP:echo a | od -An -c", "   a  \\n\n", refused=("--color", "--ctag")),
    "a journal": Row(
        "MAP:echo a --journal log; tail -n 1 log",
        r'~a\n\{"index": 0, "item": "a", "status": "ok".*\n',
    ),
    "to go on": Row("MAP:echo a --journal log; MAP:echo a b --journal log --resume", "a\nb\n"),
    "to go on, with what failed": Row(
        "MAP:fail a bad --journal log; touch mended; MAP:fail a bad c --journal log --resume",
        "a\nbad\nc\n",
        refused=("--resume-failed",),
    ),
    "what failed once more": Row(
        "MAP:fail a bad --journal log; touch mended; MAP:fail --journal log --retry-failed",
        "a\nbad\n",
    ),
    "options that are kept in files": Row(
        'mine() { MAP:echo -u "$@"; }; mine a', "a\n", refused=("-J x", "--profile x")
    ),
    "completion in a shell": Row(
        "tep-parallel --print-completion bash | grep -c -- --journal",
        r"~[1-9][0-9]*\n",
        refused=("--shell-completion",),
    ),
    "help": Row(
        "tep-parallel map -h | head -n 1; tep-parallel map --help | grep -c -- --journal;"
        " tep-parallel --version",
        r"~usage: tep-parallel map .*\n[1-9]\n[0-9.]+\n",
    ),
}


def rows() -> list[list[str]]:
    """The rows of the table: their cells."""
    text = (ROOT / "docs" / "command.md").read_text()
    section = text.partition("\n## Beside xargs and GNU parallel\n")[2].partition("\n## ")[0]
    found = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    cells = [[cell.strip(" |") for cell in row] for row in found]
    return [row for row in cells if row[0] and not row[0].startswith("---")]


def test_every_row_of_the_table_has_a_script_here() -> None:
    names = [row[0] for row in rows()]
    assert len(names) == len(set(names))
    assert set(names) == set(ROWS)


def test_the_table_has_every_option_of_xargs() -> None:
    status, out, _ = shell("xargs --help")
    assert status == 0
    theirs = set(re.findall(r"(?m)^ +(-\w)|(--[a-z-]+)", out.decode()))
    names = {one or other for one, other in theirs}
    cells = {option for row in rows() for option in re.findall(r"--?[\w][\w-]*", row[1] + row[-1])}
    assert names - cells == set()
    assert len(names) > 20


@pytest.mark.parametrize("name", ROWS)
def test_a_row_of_the_table_is_true(name: str, tmp_path: Path) -> None:
    (tmp_path / "workers.py").write_text(WORKERS)
    row = ROWS[name]
    status, out, _ = shell(row.script.replace("MAP", MAP), tmp_path)
    if row.out.startswith("~"):
        assert re.fullmatch(row.out[1:].encode(), out, re.DOTALL), out
    else:
        assert out == row.out.encode()
    assert status == row.status
    for option in row.refused:
        refused(f"{MAP}:echo x {option}", "", tmp_path)


def test_every_option_of_the_command_is_in_the_table() -> None:
    status, out, _ = shell("tep-parallel map --help")
    assert status == 0
    options = out.decode().partition("\n\n")[2].partition("\nexamples:")[0]
    ours = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", options))
    cells = {option for row in rows() for option in re.findall(r"--?[\w][\w-]*", row[-1])}
    assert ours - cells == set()
    assert len(ours) > 20
