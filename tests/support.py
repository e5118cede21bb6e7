"""What the tests share: waiting with a limit, and scenarios in fresh interpreters."""

from __future__ import annotations

import contextlib
import hmac
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CASES = Path(__file__).parent / "cases"
LIMIT = 60.0  # seconds; against hanging only

# The shapes that a call can have, as options; a parameter of tests.
FORKED: dict[str, dict[str, Any]] = {
    "a child an item": {},
    "pool": {"in_processes": 2},
    "isolated": {"in_processes": 2, "isolation": True},
}
_SHAPES = {**FORKED, "no fork": {"in_processes": 0}}
forked = pytest.mark.parametrize("shape", FORKED.values(), ids=FORKED)
every = pytest.mark.parametrize("shape", _SHAPES.values(), ids=_SHAPES)


def until(condition: Callable[[], object], limit: float = LIMIT) -> None:
    """Poll until `condition` holds; fail after `limit` seconds."""
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, f"not true within {limit} s"
        time.sleep(0.002)


def children() -> list[int]:
    """The children of this process, zombies included."""
    found: list[int] = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the thread has ended
            found += map(int, (task / "children").read_text().split())
    return found


def below(pid: int) -> list[int]:
    """The processes below `pid`, as far as they can be seen."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *below(int(child))]
    return found


def descriptors() -> dict[str, str]:
    """This process's open descriptors, and what they are."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the listing's own
            found[name] = os.readlink(f"/proc/self/fd/{name}")
    return found


def alive(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def plain_environment() -> dict[str, str]:
    """This environment, without what changes an interpreter's streams."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def case_environment() -> dict[str, str]:
    """The same for a scenario, which may use this module too."""
    return {**plain_environment(), "PYTHONPATH": str(CASES.parent)}


# The command, and the environment in which a shell finds it.
COMMAND = Path(sys.executable).parent / "tep-parallel"
COMMANDS = {
    **plain_environment(),
    "PATH": f"{COMMAND.parent}:{os.environ['PATH']}",
    "LC_ALL": "C.UTF-8",
}


def shell(script: str, place: Path | str = "/", **options: object) -> tuple[int, bytes, bytes]:
    """What a script of bash ends with and prints; no traceback is among it."""
    done = subprocess.run(  # type: ignore[call-overload]
        [b"bash", b"-c", os.fsencode(script)],
        cwd=place,
        env=COMMANDS,
        capture_output=True,
        timeout=LIMIT,
        check=False,
        **options,
    )
    assert b"Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def refused(script: str, reason: str, place: Path | str) -> None:
    """Is that wrong usage: one line that says why, and exit status 2?"""
    status, out, err = shell(script, place)
    assert (status, out) == (2, b"")
    assert err.startswith(b"tep-parallel: ")
    assert reason in err.decode()
    assert err.count(b"\n") == 1


def hmac_hex(content: bytes, key: bytes = b"") -> bytes:
    """The HMAC-SHA256, as the command prints it."""
    return hmac.new(key, content, "sha256").hexdigest().encode()


def hear_keyboard() -> None:
    """In a new process: a shell starts what it puts into the background deaf to Ctrl-C and
    Ctrl-backslash."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)


@contextlib.contextmanager
def started(name: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A scenario of tests/cases, under way; killed with its group at the end."""
    case = subprocess.Popen(
        [sys.executable, CASES / f"{name}.py", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
        env=case_environment(),
        preexec_fn=hear_keyboard,
    )
    try:
        yield case
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(case.pid, signal.SIGKILL)
        case.communicate()


def run_case(name: str, *arguments: object, limit: float = LIMIT) -> str:
    """Run a scenario to its end; what it printed. It must end well, and say no more."""
    with started(name, *arguments) as case:
        # To the end of its output: a process left over would hold the pipe.
        out, err = case.communicate(timeout=limit)
        assert (case.returncode, err) == (0, ""), f"{name}: {case.returncode}\n{out}\n{err}"
        return out


def run_case_with_stderr(name: str, *arguments: object) -> tuple[str, str]:
    """Run a scenario to its end; what it printed, and what it said on standard error."""
    with started(name, *arguments) as case:
        out, err = case.communicate(timeout=LIMIT)
        assert case.returncode == 0, err
        return out, err
