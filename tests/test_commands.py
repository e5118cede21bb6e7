"""Commands as items of a call, without the command line: what C starts in place of children."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Any

import pytest
from support import alive, below, children, children_of, descriptors, until

from tep_parallel._engine.commands import Command, Commands
from tep_parallel._engine.options import Options
from tep_parallel._engine.running import Running
from tep_parallel._errors import AbortedError, DeadlineError, DeadWorkerError, ItemTimeoutError
from tep_parallel._outcome import Outcome


def command(*words: str, path: str | None = None) -> Command:
    """A command that is known by its last word."""
    found = shutil.which(words[0]) or "" if path is None else path
    made = Command(words[-1])
    made.words = os.fsencode("\0".join([found, *words, ""]))
    return made


def scripts(texts: Iterable[str]) -> Iterator[Command]:
    """Commands of a shell."""
    return (command("sh", "-c", text) for text in texts)


@contextlib.contextmanager
def running(
    commands: Iterator[Command], running: Running | None = None, **options: Any
) -> Iterator[Commands]:
    """A call of commands, closed at the end."""
    grouped = options.pop("grouped", True)
    given = Options(None, **{"in_processes": 2, "on_error": "finish", **options}, isolation=True)
    with contextlib.closing(Commands(commands, given, running or Running(), grouped=grouped)) as it:
        yield it


def printed(commands: Commands, outcome: Outcome[None], stream: int = 0) -> bytes:
    """What a command has printed."""
    descriptor = commands.output(outcome.index, stream)
    if descriptor is None:
        return b""
    with open(descriptor, "rb") as file:
        return file.read()


def in_order(commands: Commands) -> list[tuple[Outcome[None], bytes]]:
    """All of them, in input order."""
    return sorted(((one, printed(commands, one)) for one in commands), key=lambda one: one[0].index)


def test_each_command_is_a_child_of_the_call() -> None:
    with running(scripts(f"echo {number}; exit {number % 3}" for number in range(100))) as commands:
        ended = in_order(commands)
    assert [text for _, text in ended] == [f"{number}\n".encode() for number in range(100)]
    for number, (outcome, _) in enumerate(ended):
        assert outcome.item == f"echo {number}; exit {number % 3}"
        assert outcome.exit_code == number % 3
        assert outcome.ok == (number % 3 == 0)
        assert outcome.ok or isinstance(outcome.error, DeadWorkerError)
        assert outcome.result is None
        assert outcome.attempts == 1
        assert outcome.cpu_seconds is not None
        assert outcome.cpu_seconds > 0
        assert outcome.max_rss is not None
        assert outcome.seconds > 0
    assert len({outcome.pid for outcome, _ in ended}) == 100


def test_what_a_command_used_is_told() -> None:
    """Of time and memory; it is no less than what the nursery has, and more where it used more."""
    size = (getrusage(RUSAGE_SELF).ru_maxrss << 10) + (100 << 20)
    script = f"import time; x = bytearray({size})\nwhile time.process_time() < 0.2: pass"
    with running(iter([command("python3", "-c", script), command("true", "")])) as commands:
        (large, _), (small, _) = in_order(commands)
    assert large.cpu_seconds is not None
    assert small.cpu_seconds is not None
    assert large.cpu_seconds >= 0.2 > small.cpu_seconds
    assert large.max_rss is not None
    assert small.max_rss is not None
    assert large.max_rss > size > small.max_rss


@pytest.mark.parametrize(
    ("path", "number"), [("", errno.ENOENT), ("/", errno.EACCES), ("/etc/passwd", errno.EACCES)]
)
def test_what_cannot_be_executed_is_an_oserror_of_that_name(path: str, number: int) -> None:
    with running(iter([command("the-name", path=path)]), retries=3) as commands:
        (outcome,) = commands
    assert isinstance(outcome.error, OSError)
    assert (outcome.error.errno, outcome.error.filename) == (number, "the-name")
    assert (outcome.exit_code, outcome.signal, outcome.attempts) == (None, None, 1)


def test_a_late_command_is_killed_with_what_it_has_started() -> None:
    script = "trap '' TERM HUP INT; sh -c 'trap \"\" TERM; sleep 60; true' & echo $!; sleep 60"
    with running(scripts([script]), timeout=0.3) as commands:
        (outcome,) = commands
        text = printed(commands, outcome)
    assert isinstance(outcome.error, ItemTimeoutError)
    assert outcome.signal == signal.SIGKILL
    until(lambda: not alive(int(text)))


def test_a_deadline_hands_out_what_had_begun() -> None:
    outcomes = []
    with (
        running(scripts(["echo a; sleep 60"] * 9), deadline=0.5) as commands,
        pytest.raises(DeadlineError) as raised,
    ):
        for outcome in commands:
            outcomes.append((outcome.index, printed(commands, outcome)))
    assert sorted(outcomes) == [(0, b"a\n"), (1, b"a\n")]
    assert "9 of 9" in str(raised.value)


def test_abort_keeps_what_had_ended() -> None:
    calls = Running()
    texts = []

    def pull() -> Iterator[Command]:
        yield from scripts(["echo a", "sleep 60"])
        timer.start()

    timer = threading.Timer(0.5, calls.abort)
    with running(pull(), calls) as commands, pytest.raises(AbortedError):
        for outcome in commands:
            texts.append(printed(commands, outcome))
    timer.join()
    assert texts == [b"a\n"]


def test_output_that_is_gone_before_it_is_read_is_an_oserror(scratch_root: Path) -> None:
    with running(scripts(["echo a", "true"])) as commands:
        first, second = sorted(commands, key=lambda one: one.index)
        for path in scratch_root.glob("*/*"):
            path.unlink()
        with pytest.raises(FileNotFoundError, match="what command 0 has printed"):
            commands.output(first.index, 0)
        assert commands.output(first.index, 1) is None
        assert commands.output(second.index, 0) is None


def test_a_lost_output_fails_its_item_and_no_other(scratch_root: Path) -> None:
    texts = [f"echo a; rm {scratch_root}/*/*", "echo b"]
    with running(scripts(texts), in_processes=1) as commands:
        (first, nothing), (second, text) = in_order(commands)
    assert isinstance(first.error, FileNotFoundError)
    assert (first.exit_code, nothing) == (0, b"")
    assert (second.ok, text) == (True, b"b\n")


def test_output_can_be_had_once_and_not_behind_the_end(scratch_root: Path) -> None:
    with running(scripts(["echo a"])) as commands:
        (outcome,) = commands
        assert len(list(scratch_root.iterdir())) == 1
        assert printed(commands, outcome) == b"a\n"
        assert commands.output(outcome.index, 0) is None
        assert commands.output(77, 1) is None
    assert list(scratch_root.iterdir()) == []


def test_a_call_that_is_dropped_leaves_nothing(tmp_path: Path, scratch_root: Path) -> None:
    script = f"echo $$ > {tmp_path}/pid; exec sleep 60"
    given = Options(None, in_processes=1, on_error="finish", isolation=True)
    commands = Commands(scripts(["true", script]), given, Running())
    assert next(commands).ok
    until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    pid = int((tmp_path / "pid").read_text())
    del commands
    until(lambda: not alive(pid))
    assert list(scratch_root.iterdir()) == []


def test_a_lost_nursery_costs_what_ran(tmp_path: Path) -> None:
    script = f"echo $$ > {tmp_path}/pid; exec sleep 60"
    with running(scripts(["true", script, "echo last"]), in_processes=1) as commands:
        assert next(commands).ok
        until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
        (nursery,) = children()
        os.kill(nursery, signal.SIGKILL)
        lost, last = commands
        assert isinstance(lost.error, DeadWorkerError)
        assert printed(commands, last) == b"last\n"
    assert not alive(int((tmp_path / "pid").read_text()))


def test_few_descriptors_do_for_many_commands() -> None:
    """50 at once; what they have printed waits in files, and holds none open."""
    before = set(descriptors())
    with running(scripts(["echo a"] * 300), in_processes=50) as commands:
        outcomes = list(commands)
        (nursery,) = children_of(os.getpid())
        assert len(descriptors(nursery)) < 100 + len(before)
        assert len(set(descriptors()) - before) < 20
        assert [printed(commands, outcome) for outcome in outcomes] == [b"a\n"] * 300


def test_ungrouped_commands_print_where_this_process_does(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with running(scripts(["echo out; echo err >&2"]), grouped=False) as commands:
        (outcome,) = commands
        assert commands.output(outcome.index, 0) is None
    assert capfd.readouterr() == ("out\n", "err\n")


def test_nothing_of_python_runs_below_the_nursery() -> None:
    calls = Running()
    with running(scripts(["exec sleep 60"] * 2), calls) as commands:

        def drive() -> None:
            with pytest.raises(AbortedError):
                next(commands)

        thread = threading.Thread(target=drive)
        thread.start()
        until(lambda: len(below(os.getpid())) == 3)
        (nursery,) = children()

        def names() -> list[str]:
            return [Path(f"/proc/{pid}/comm").read_text() for pid in children_of(nursery)]

        until(lambda: names() == ["sleep\n"] * 2)
        calls.abort()
        thread.join()
