"""The journal of the command, in real shells: killed, resumed, on a full disk."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from support import COMMAND, COMMANDS, LIMIT, children, refused, shell, until

WORKERS = """
import os, time

def note(item):
    with open("ran", "a") as file:
        file.write(item + "\\n")
    return "<" + item + ">"

def odd_fails(item):
    note(item)
    if int(item) % 2 and not os.path.exists("mended"):
        raise ValueError(item)
    return item

def large(item):
    open(item, "w").close()
    return item * (1 << 20)

def leave(item):
    pid = os.fork()
    if pid == 0:
        for each in os.listdir("/proc/self/fd"):  # the shell waits for all that has its pipes
            if os.path.exists(f"/proc/self/fd/{each}"):
                if not os.readlink(f"/proc/self/fd/{each}").endswith("/log"):
                    os.close(int(each))
        time.sleep(60)
        os._exit(0)
    with open("left", "a") as file:
        file.write(f"{pid}\\n")
    return item

def wait(item):
    open("began", "w").close()
    while not os.path.exists("go"):
        time.sleep(0.002)
    return item
"""
KILLS = int(os.environ.get("TEP_PARALLEL_KILLS", "8"))  # 50 in tests/long


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The current directory of the commands, with a module of workers in it."""
    (tmp_path / "workers.py").write_text(WORKERS)
    return tmp_path


def rows(journal: Path) -> list[dict[str, Any]]:
    """The lines of a journal that are whole, but for the first."""
    found = []
    for line in journal.read_bytes().split(b"\n")[1:-1]:
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return found


def results(path: Path) -> set[str]:
    """What workers have returned, as far as it has been written."""
    return set(re.findall(r"<\d+>", path.read_text()))


def test_a_journal_has_a_line_an_item_behind_what_the_command_was(place: Path) -> None:
    script = "seq 4 | tep-parallel map workers:odd_fails --journal log --isolate"
    status, out, _ = shell(script, place)
    assert (status, out) == (1, b"2\n4\n")
    head = json.loads((place / "log").read_text().splitlines()[0])
    assert (head["journal"], head["command"]) == (1, ["map", "workers:odd_fails"])
    assert len(head["sha256"]) == 64
    first, second, *_ = rows(place / "log")
    assert list(first) == [
        *("index", "item", "status", "seconds", "cpu_seconds", "max_rss"),
        *("exit_code", "signal", "attempts", "error"),
    ]
    assert [first[name] for name in ("index", "item", "status", "exit_code")] == [
        *(0, "1", "failed", 1)
    ]
    assert first["error"] == {"type": "ValueError", "message": "1"}
    assert (second["status"], second["error"]) == ("ok", None)
    assert second["cpu_seconds"] > 0
    assert second["max_rss"] > 1 << 20


def test_resume_skips_what_has_ended_well_and_retry_failed_runs_the_rest(place: Path) -> None:
    command = "tep-parallel map workers:odd_fails --journal log"
    assert shell(f"seq 6 | {command}", place)[:2] == (1, b"2\n4\n6\n")
    (place / "ran").unlink()
    (place / "mended").touch()
    assert shell(f"{command} --retry-failed --dry-run", place) == (0, b"1\n3\n5\n", b"")
    assert shell(f"{command} --retry-failed", place) == (0, b"1\n3\n5\n", b"")
    assert shell(f"{command} --retry-failed", place) == (0, b"", b"")
    assert shell(f"seq 8 | {command} --resume --dry-run", place) == (0, b"7\n8\n", b"")
    assert shell(f"seq 8 | {command} --resume", place) == (0, b"7\n8\n", b"")
    assert sorted((place / "ran").read_text().split()) == ["1", "3", "5", "7", "8"]
    assert [row["index"] for row in rows(place / "log")][-2:] == [6, 7]


def test_a_journal_of_other_items_or_of_another_command_is_status_2(place: Path) -> None:
    command = "tep-parallel map workers:note --journal log"
    shell(f"{command} a b", place)
    refused(f"{command} a b", "--journal: log: it has been begun (--resume goes on", place)
    refused(f"{command} a c --resume", "item 1 was another one", place)
    refused(f"{command} a b --json --resume", "of another command: map workers:note", place)
    other = "tep-parallel map workers:wait --journal log --resume a"
    refused(other, "it is that of another command: map workers:note", place)
    (place / "text").write_text("no journal\n")
    refused("tep-parallel map workers:note --journal text --resume a", "no journal", place)
    refused("tep-parallel map workers:note --journal /dev/full a", "no regular file", place)
    refused("tep-parallel map workers:note --journal no/where a", "No such file", place)
    refused("tep-parallel map workers:note --resume a", "--resume needs --journal", place)
    refused(f"{command} --retry-failed a", "--retry-failed takes the items from", place)


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ("workers:note a", "--dry-run"),
        ("nowhere:note a", ""),
        ("workers:nothing a", ""),
        ("workers:note -a missing", ""),
        ("workers:note a", "-d ,"),
        ("workers:note a", "--max-items-per-child 0"),
        ("workers:note a", "--retry-failed"),
    ],
)
def test_what_runs_nothing_begins_no_journal(arguments: str, options: str, place: Path) -> None:
    shell(f"tep-parallel map {arguments} {options} --journal log", place)
    assert not (place / "log").exists()


def test_a_dry_run_writes_nothing_to_a_journal(place: Path) -> None:
    command = "tep-parallel map workers:note --journal log"
    assert shell(f"{command} a", place)[0] == 0
    with open(place / "log", "ab") as file:
        file.write(b'{"half')
    before = (place / "log").read_bytes()
    assert shell(f"{command} a b --resume --dry-run", place) == (0, b"b\n", b"")
    assert (place / "log").read_bytes() == before


@pytest.mark.parametrize(
    "line", ["[" * 100_000, '{"index": true, "item": "b", "status": "ok"}', "7", "null", "{}"]
)
def test_a_line_that_is_none_of_a_journal_is_not_believed(line: str, place: Path) -> None:
    command = "tep-parallel map workers:note --journal log"
    shell(f"{command} a", place)
    with open(place / "log", "a") as file:
        file.write(line + "\n")
    assert shell(f"{command} a b --resume", place) == (0, b"<b>\n", b"")
    (place / "log").write_text(line + "\n")
    refused(f"{command} a --resume", "this is no journal", place)


def test_a_journal_without_items_is_as_good_as_none(place: Path) -> None:
    """A command that was given none has begun it, or one that has ended before its first."""
    assert shell("tep-parallel map workers:note --journal log </dev/null", place)[0] == 0
    assert len((place / "log").read_bytes().splitlines()) == 1
    assert shell("tep-parallel map workers:odd_fails --journal log 2", place) == (0, b"2\n", b"")
    assert "odd_fails" in (place / "log").read_text()
    (place / "notes").write_text("one line of somebody's\n")
    refused("tep-parallel map workers:note --journal notes --resume a", "no journal", place)


def test_an_item_that_is_no_text_can_be_read_back(place: Path) -> None:
    script = r"printf 'a\xff\0b\n\0' | tep-parallel map -0 -z os.path:basename --journal log"
    assert shell(script, place) == (0, b"a\xff\0b\n\0", b"")
    assert shell(f"{script} --resume", place) == (0, b"", b"")
    assert [os.fsencode(row["item"]) for row in rows(place / "log")] == [b"a\xff", b"b\n"]
    refused(r"printf 'a\xfe\0' | " + script.partition("|")[2] + " --resume", "another one", place)


def test_one_command_at_a_time_has_a_journal(place: Path) -> None:
    first = subprocess.Popen(
        [COMMAND, "map", "workers:wait", "--journal", "log", "x"],
        cwd=place, env=COMMANDS, stdout=-1,
    )  # fmt: skip
    try:
        until((place / "began").exists)
        again = "tep-parallel map workers:wait --journal log --resume x"
        refused(again, "another command has it", place)
        first.kill()  # its children may live a moment longer, and must not hold the lock
        first.wait()
        (place / "go").touch()
        assert shell(again, place) == (0, b"x\n", b"")
    finally:
        first.kill()
        first.communicate()


def test_what_a_worker_leaves_running_does_not_have_the_journal(place: Path) -> None:
    command = "tep-parallel map workers:leave --journal log"
    try:
        assert shell(f"{command} x >out", place) == (0, b"", b"")
        assert shell(f"{command} x y --resume", place) == (0, b"y\n", b"")
    finally:
        for pid in (place / "left").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


@pytest.mark.parametrize("cut", [1, 40, 60, -1])
def test_half_a_line_is_not_believed_and_is_ended(cut: int, place: Path) -> None:
    command = "tep-parallel map workers:note --journal log"
    shell(f"{command} a b", place)
    whole = (place / "log").read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    begun = whole[: last + cut] if cut > 0 else whole[:-1]
    (place / "log").write_bytes(begun)
    assert shell(f"{command} a b --resume", place) == (0, b"<b>\n", b"")
    assert (place / "log").read_bytes().startswith(begun + b"\n{")
    said = b"tep-parallel: --journal: 1 lines are not whole, and not believed\n"
    if cut > 0:
        assert shell(f"{command} a b --resume --verbose", place) == (0, b"", said)


def test_a_journal_whose_first_line_is_half_is_begun_anew(place: Path) -> None:
    command = "tep-parallel map workers:note --journal log"
    shell(f"{command} a", place)
    whole = (place / "log").read_bytes()
    for size in (0, 1, 50, whole.index(b"\n")):
        (place / "log").write_bytes(whole[:size])
        assert shell(f"{command} a --resume", place) == (0, b"<a>\n", b"")
        assert (place / "log").read_bytes().startswith(whole[: whole.index(b"\n") + 1])
        assert len(rows(place / "log")) == 1


def test_a_full_disk_is_a_clear_error_and_nothing_is_believed_wrongly(place: Path) -> None:
    """A limit on the size of files, in KiB; the call's own memory stays below that."""
    command = "tep-parallel map workers:note --journal log"
    status, out, err = shell(f"ulimit -f 1024; seq 9000 | {command}", place)
    assert status == 1
    assert err == b"tep-parallel: --journal: log: File too large\n"
    assert children() == []
    assert (place / "log").stat().st_size == 1 << 20
    well = {row["item"] for row in rows(place / "log")}
    assert {f"<{item}>".encode() for item in well} <= set(out.split())
    (place / "ran").unlink()
    status, more, err = shell(f"seq 9000 | {command} --resume", place)
    assert (status, err) == (0, b"")
    assert {*out.split(), *more.split()} == {b"<%d>" % number for number in range(1, 9001)}
    assert well.isdisjoint((place / "ran").read_text().split())


def test_output_that_fails_is_not_in_the_journal(place: Path) -> None:
    command = "tep-parallel map workers:note --journal log"
    status, _, err = shell(f"seq 5 | {command} >/dev/full", place)
    assert (status, err) == (1, b"tep-parallel: standard output: No space left on device\n")
    assert rows(place / "log") == []


def test_a_line_is_written_behind_the_output_of_its_item(place: Path) -> None:
    """Output that nobody reads yet is not written yet."""
    command = [COMMAND, "map", "workers:large", "--journal", "log", "a", "b"]
    case = subprocess.Popen(command, cwd=place, env=COMMANDS, stdout=subprocess.PIPE, bufsize=0)
    assert case.stdout is not None
    try:
        assert case.stdout.read(1) == b"a"
        until((place / "b").exists)  # that one has ended, too
        assert rows(place / "log") == []
        out, _ = case.communicate(timeout=LIMIT)
        assert len(out) == 2 * (1 << 20) + 1
        assert [row["item"] for row in rows(place / "log")] == ["a", "b"]
    finally:
        case.kill()
        case.communicate()


@pytest.mark.parametrize("options", ["", "-u", "--isolate"])
def test_killed_at_any_moment_no_result_is_lost_and_none_that_is_noted_runs_again(
    options: str, place: Path
) -> None:
    kill_and_resume(place, f"map workers:note {options}", KILLS)


def kill_and_resume(place: Path, command: str, kills: int) -> None:
    """Kill a command again and again, and go on with its journal each time."""
    count = 400 if "--isolate" in command else 3000
    (place / "items").write_text("".join(f"{number}\n" for number in range(count)))
    # What a run takes from its start on, in which it is killed.
    line = f"exec tep-parallel {command} -a items --journal log --resume >>out"
    ran, log = place / "ran", place / "log"
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    killed = 0
    for _ in range(4 * kills):
        well = (
            {row["item"] for row in rows(log) if row["status"] == "ok"} if log.exists() else set()
        )
        if len(well) == count:
            log.unlink()  # from the start once more
            (place / "out").unlink()
            well = set()
        ran.write_text("")
        case = subprocess.Popen(["bash", "-c", line], cwd=place, env=COMMANDS, stdin=-1)
        time.sleep(chance.uniform(0.02, 0.25))
        case.kill()
        case.communicate()
        killed += case.returncode == -signal.SIGKILL
        assert well.isdisjoint(ran.read_text().split()), f"seed {seed}"
        # What the journal says is in the output by now.
        written = results(place / "out")
        for row in rows(log) if log.exists() else []:
            assert f"<{row['item']}>" in written, f"seed {seed}"
        if killed == kills:
            break
    assert killed == kills
    assert shell(line, place) == (0, b"", b"")
    written = results(place / "out")
    assert {f"<{number}>" for number in range(count)} <= written, f"seed {seed}"
