"""A question about a library, put to a host process of its own that may hang, die or be killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

LIMIT = 8.0  # seconds for an answer


class Keyed(Exception):  # noqa: N818
    """Can be pickled, and cannot be unpickled: two arguments, one in args."""

    def __init__(self, key: str, value: str) -> None:
        super().__init__(f"{key}={value}")


def result(get: Callable[[], Any]) -> Any:
    """What it returns, or raises."""
    try:
        return get()
    except Exception as error:  # noqa: BLE001  # it is what is asked for
        return error


def start(case: str, name: str) -> subprocess.Popen[str]:
    """A host process: this script again, with CASE NAME as its arguments."""
    return subprocess.Popen(
        [sys.executable, sys.argv[0], case, name],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        env={**os.environ, "TRIAL": str(os.getpid())},
        # A shell may have started us in the background, deaf to it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def lingering(host: subprocess.Popen[str]) -> list[int]:
    """What the host has started, wherever it is now."""
    mark = f"TRIAL={os.getpid()}\0".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            ours = mark in (folder / "environ").read_bytes()
            if ours and int(folder.name) != host.pid:
                found.append(int(folder.name))
        except OSError:
            continue  # it has ended, or is not ours to look at
    return found


def wait_for_children(host: subprocess.Popen[str]) -> None:
    """Until two of them run, and have started something themselves."""
    end = time.monotonic() + LIMIT
    while len(lingering(host)) < 4:  # two children, and a sleep below each
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.05)


def sweep(host: subprocess.Popen[str]) -> None:
    """Kill it, and whatever it has left behind."""
    host.kill()  # first: a pool replaces workers that die
    while left := lingering(host):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    host.communicate()


def answer(case: str, name: str) -> str:
    """What a host prints that asks a question of a contender."""
    host = start(case, name)
    try:
        return host.communicate(timeout=LIMIT)[0].strip() or "the host dies"
    except subprocess.TimeoutExpired:
        return "the call never returns"
    finally:
        sweep(host)
