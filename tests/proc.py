"""Processes, as /proc shows them to the tests, the services' jobs and the benchmarks."""

from __future__ import annotations

import contextlib
from pathlib import Path


def stat(pid: int) -> list[str]:
    """What the kernel says of a process, from its state on; OSError: there is none."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def alive(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return stat(pid)[0] not in "ZX"
    return False


def children_of(pid: int) -> list[int]:
    """The children of another process, as far as they can be seen."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def below(pid: int) -> list[int]:
    """The processes below `pid`, as far as they can be seen."""
    return [one for child in children_of(pid) for one in (child, *below(child))]
