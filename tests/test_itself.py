"""What a worker may do to its own process, and what becomes of a nursery in odd places."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import (
    CASES,
    FORKED,
    LIMIT,
    alive,
    case_environment,
    plain_environment,
    run_case,
    started,
    until,
)

# As arguments of a scenario.
_SHAPES = {
    name: ",".join(f"{key}={value}" for key, value in shape.items())
    for name, shape in FORKED.items()
}
_SHAPES["watched"] = "on_start=lambda index, item: None"
_SHAPES["watched pool"] = "in_processes=2, on_finish=hash"
shaped = pytest.mark.parametrize("options", _SHAPES.values(), ids=_SHAPES)
as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root may become another user")
NOBODY = 65534


def unshared(*namespaces: str) -> list[str]:
    """The command that makes such namespaces; the test is skipped where it may not."""
    command = ["unshare", *namespaces]
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare")
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no namespaces can be made here")
    return command


@pytest.mark.parametrize("which", ["all", "even", "odd"])
@pytest.mark.parametrize("kind", ["file", "folder", "memory", "pipe"])
@shaped
def test_no_file_of_a_workers_is_written_to_whatever_it_has_closed(
    options: str, kind: str, which: str, tmp_path: Path
) -> None:
    run_case("closes", which, kind, tmp_path, options)


@pytest.mark.parametrize(
    "how",
    [
        "umask0477",
        "umask0777",
        "folder",
        "session",
        "prctl",
        *(pytest.param(how, marks=as_root) for how in ("user", "group", "root")),
    ],
)
@shaped
def test_results_come_whatever_a_worker_makes_of_its_process(options: str, how: str) -> None:
    run_case("changes_itself", how, options)


@pytest.mark.parametrize("user", ["root", "another"])
@pytest.mark.parametrize("mask", ["0", "0477", "0777"])
def test_results_come_under_any_umask(mask: str, user: str, scratch_root: Path) -> None:
    if user == "another" and os.getuid() != 0:
        pytest.skip("only root may become another user")
    open_up(scratch_root)
    run_case("odd_umask", mask, NOBODY if user == "another" else os.getuid())


def open_up(folder: Path) -> None:
    """Let everybody in: pytest's folders are private."""
    folder.chmod(0o777)
    while folder != folder.parent:
        folder = folder.parent
        with contextlib.suppress(PermissionError):
            folder.chmod(folder.stat().st_mode | 0o011)


@pytest.mark.parametrize(
    "how",
    [
        "nothing",
        "prctl",
        "close",
        "prctl, close",
        *(pytest.param(how, marks=as_root) for how in ("setuid", "setuid, close")),
    ],
)
@shaped
def test_no_child_outlives_its_killed_nursery_whatever_it_has_done(
    options: str, how: str, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    open_up(marks)
    run_case("outlives", how, marks, options)


_CALLS = {"a child an item": "", "pool": "in_processes=2", "watched": "on_finish=hash"}


@pytest.mark.parametrize("one", _CALLS.values(), ids=_CALLS)
@pytest.mark.parametrize("other", _CALLS.values(), ids=_CALLS)
def test_nobody_has_anything_of_another_call(one: str, other: str) -> None:
    run_case("strangers_open", one, other)


def test_without_dev_null_a_call_fails_and_the_hosts_input_is_left_alone() -> None:
    command = unshared("-m")
    code = "import os; from tep_parallel import Parallel\n"
    code += "for shape in ({}, {'in_processes': 2}):\n"
    code += "  try: Parallel(str, **shape).map_processes([1])\n"
    code += "  except FileNotFoundError as error: print('/dev/null' in str(error))\n"
    code += "print(os.read(0, 100))"
    script = 'mount -t tmpfs none /dev || exit 77; exec "$@"'
    done = subprocess.run(
        [*command, "sh", "-c", script, "sh", sys.executable, "-c", code],
        input=b"what was typed",
        capture_output=True,
        check=False,
        timeout=LIMIT,
        env=plain_environment(),
    )
    if done.returncode == 77:
        pytest.skip("nothing can be mounted here")
    assert (done.stdout, done.stderr) == (b"True\nTrue\nb'what was typed'\n", b"")


def numbers(folder: Path) -> list[int]:
    return [int(path.name) for path in folder.iterdir() if path.name.isdigit()]


@contextlib.contextmanager
def strangers(how: str, folder: Path, options: str) -> Iterator[subprocess.Popen[bytes]]:
    """The scenario of that name, under way."""
    folder.mkdir()
    open_up(folder)
    if os.getuid() != 0:
        pytest.skip("only root may give away some of its rights")
    # To a file: who lives on would hold a pipe.
    with (folder.parent / "said").open("wb") as said:
        case = subprocess.Popen(
            [sys.executable, CASES / "stranger.py", how, folder, options],
            stdout=said,
            stderr=said,
            env=case_environment(),
        )
    try:
        yield case
    finally:
        for pid in [case.pid, *numbers(folder)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        case.wait()


@pytest.mark.parametrize("how", ["child", "grandchild"])
def test_who_may_not_be_killed_keeps_neither_port_nor_directory_of_a_killed_host(
    how: str, tmp_path: Path, scratch_root: Path
) -> None:
    open_up(scratch_root)
    folder = tmp_path / "marks"
    with strangers(how, folder, "") as case:
        until(lambda: case.poll() is not None or numbers(folder))
        until(lambda: list(scratch_root.iterdir()))
        case.kill()
        case.wait()
        if how == "grandchild":  # a child has what its host had, as after any fork
            port = int((folder / "port").read_text())
            until(lambda: is_free(port), limit=2)
        until(lambda: list(scratch_root.iterdir()) == [], limit=20)
        assert all(map(alive, numbers(folder)))


def is_free(port: int) -> bool:
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            return True
    return False


@pytest.mark.parametrize("how", ["child", "grandchild"])
@pytest.mark.parametrize("options", ["deadline=1", "deadline=1, in_processes=1"])
def test_the_deadline_holds_for_who_may_not_be_killed(
    options: str, how: str, tmp_path: Path, scratch_root: Path
) -> None:
    open_up(scratch_root)
    with strangers(how, tmp_path / "marks", options) as case:
        case.wait(LIMIT)
        assert (tmp_path / "said").read_text() == "DeadlineError\n"
        assert list(scratch_root.iterdir()) == []


def test_where_proc_is_of_another_namespace_no_stranger_is_killed(tmp_path: Path) -> None:
    command = unshared("-p", "-f")
    done = subprocess.run(
        [*command, sys.executable, CASES / "other_proc.py", tmp_path],
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
        env=case_environment(),
    )
    assert (done.stdout, done.stderr) == ("DeadlineError 0\nTrue None\n", "")


def test_a_process_that_no_handler_saw_being_forked_keeps_no_tree_alive(
    tmp_path: Path, scratch_root: Path
) -> None:
    with started("raw_fork", tmp_path) as case:
        until(lambda: (tmp_path / "raw").exists() and (tmp_path / "raw").read_text())
        raw = int((tmp_path / "raw").read_text())
        case.kill()
        until(lambda: not any(map(alive, numbers(tmp_path))), limit=20)
        assert alive(raw)
        until(lambda: list(scratch_root.iterdir()) == [], limit=20)


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "SIGHUP", "SIGTSTP", "SIGQUIT"])
def test_a_nursery_ends_with_its_host_and_by_no_signal(how: str) -> None:
    run_case("signalled_nursery", int(signal.Signals[how]))
