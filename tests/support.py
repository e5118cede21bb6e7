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
from proc import alive as alive  # handed on: what most tests look for
from proc import below as below
from proc import children_of as children_of

CASES = Path(__file__).parent / "cases"
LIMIT = 60.0  # seconds; against hanging only

# The shapes that a call can have, as options; a parameter of tests.
FORKED: dict[str, dict[str, Any]] = {
    "a child an item": {},
    "pool": {"in_processes": 2},
    "isolated": {"in_processes": 2, "isolation": True},
}
# The same in a block, for the Parallel of kept.py.
KEPT: dict[str, dict[str, Any]] = {
    "kept fresh": {"kept": True},
    "kept pool": {"in_processes": 2, "kept": True},
}
_NO_FORK: dict[str, dict[str, Any]] = {"no fork": {"in_processes": 0}}


def _shapes(*kinds: dict[str, dict[str, Any]]) -> pytest.MarkDecorator:
    shapes = {name: shape for kind in kinds for name, shape in kind.items()}
    return pytest.mark.parametrize("shape", shapes.values(), ids=shapes)


forked_outside, every_outside = _shapes(FORKED), _shapes(FORKED, _NO_FORK)
forked, every = _shapes(FORKED, KEPT), _shapes(FORKED, KEPT, _NO_FORK)
in_block = _shapes(KEPT)
# For what comes at a child's end, which is not that of the call if the child is a warm one.
forked_and_ended = _shapes(FORKED, {"kept fresh": KEPT["kept fresh"]})
# For a test without other shapes: a child an item, outside and in a block.
in_and_out = _shapes({"outside": {}, "in a block": {"kept": True}})
# For a scenario: its Parallel works in a block, or does not.
both = pytest.mark.parametrize("kept", [False, True], ids=["outside", "in a block"])


def until(condition: Callable[[], object], limit: float = LIMIT) -> None:
    """Poll until `condition` holds; fail after `limit` seconds."""
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, f"not true within {limit} s"
        time.sleep(0.002)


def children(*, servers: bool = False) -> list[int]:
    """The children of this process, zombies included; the servers of blocks only if asked for."""
    found: list[int] = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the thread has ended
            found += map(int, (task / "children").read_text().split())
    return [pid for pid in found if servers or name_of(pid) != "tep-server"]


def name_of(pid: int) -> str:
    """What the process calls itself; of one that has ended nothing."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def descriptors(pid: int | str = "self") -> dict[str, str]:
    """The open descriptors of a process, of this one if none is named, and what they are."""
    found = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # the listing's own
            found[name] = os.readlink(f"/proc/{pid}/fd/{name}")
    return found


def plain_environment() -> dict[str, str]:
    """This environment, without what changes an interpreter's streams."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def case_environment(*, kept: bool = False) -> dict[str, str]:
    """The same for a scenario, which may use this module too, and kept.py."""
    block = {"TEP_PARALLEL_KEPT": "1"} if kept else {}
    return {**plain_environment(), "PYTHONPATH": str(CASES.parent), **block}


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


@contextlib.contextmanager
def _killed_at_the_end(case: subprocess.Popen[Any]) -> Iterator[None]:
    """With its group, of which it is the first."""
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(case.pid, signal.SIGKILL)
        case.communicate()


@contextlib.contextmanager
def under_way(
    subcommand: str,
    arguments: str,
    place: Path,
    stdin: int = subprocess.PIPE,
    environment: dict[str, str] = COMMANDS,
) -> Iterator[subprocess.Popen[bytes]]:
    """The command, begun by a shell; killed at the end."""
    case = subprocess.Popen(
        ["bash", "-c", f"exec {COMMAND} {subcommand} {arguments}"],
        cwd=place,
        env=environment,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        preexec_fn=hear_keyboard,
        start_new_session=True,
    )
    with _killed_at_the_end(case):
        yield case


def hmac_hex(content: bytes, key: bytes = b"") -> bytes:
    """The HMAC-SHA256, as the command prints it."""
    return hmac.new(key, content, "sha256").hexdigest().encode()


def hear_keyboard() -> None:
    """In a new process: a shell starts what it puts into the background deaf to Ctrl-C and
    Ctrl-backslash."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)


@contextlib.contextmanager
def started(name: str, *arguments: object, kept: bool = False) -> Iterator[subprocess.Popen[str]]:
    """A scenario of tests/cases, under way; killed with its group at the end.

    Where it takes its Parallel from kept.py, `kept` has each of them work in a block.
    """
    case = subprocess.Popen(
        [sys.executable, CASES / f"{name}.py", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
        env=case_environment(kept=kept),
        preexec_fn=hear_keyboard,
    )
    with _killed_at_the_end(case):
        yield case


def run_case(name: str, *arguments: object, limit: float = LIMIT, kept: bool = False) -> str:
    """Run a scenario to its end; what it printed. It must end well, and say no more."""
    with started(name, *arguments, kept=kept) as case:
        # To the end of its output: a process left over would hold the pipe.
        out, err = case.communicate(timeout=limit)
        assert (case.returncode, err) == (0, ""), f"{name}: {case.returncode}\n{out}\n{err}"
        return out


def run_case_with_stderr(name: str, *arguments: object, kept: bool = False) -> tuple[str, str]:
    """Run a scenario to its end; what it printed, and what it said on standard error."""
    with started(name, *arguments, kept=kept) as case:
        out, err = case.communicate(timeout=LIMIT)
        assert case.returncode == 0, err
        return out, err
