"""How many processors there are to use, and which of its fellows a child is."""

from __future__ import annotations

import contextlib
import math
import os
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_OVERRIDE = "TEP_PARALLEL_PROCESSOR_COUNT"

# In a child: the handle of the call that forked it.
forked_by: object = None
# While items are processed without a child; of this thread.
without_child: ContextVar[bool] = ContextVar("without_child", default=False)


def worker_number() -> int | None:
    """Return, in a child, its place among those alive, from 0; elsewhere None.

    A child that takes the place of one that has ended has its number. With in_processes=0
    it is 0 while items are processed.

    Source: `Parallel.worker_number` of grosser/parallel, lib/parallel.rb.
    """
    if without_child.get():
        return 0
    if forked_by is None:
        return None
    from tep_parallel._engine.native import lib

    number: int = lib.sphttp_child_slot(forked_by)
    return number


def processor_count() -> int:
    """Return how many CPUs this process may use, at least 1.

    The fewest of what its affinity and the CPU quotas of its control groups (v1 and v2)
    allow; a part of a CPU counts as one. The environment's TEP_PARALLEL_PROCESSOR_COUNT
    overrides it.

    Raises:
        ValueError: That is no whole number above 0.

    Source: sched_getaffinity(2), cgroups(7); `Parallel.processor_count` of grosser/parallel.
    """
    override = os.environ.get(_OVERRIDE)
    if override is not None:
        if not override.isascii() or not override.isdigit() or int(override) == 0:
            msg = f"{_OVERRIDE}: expected a whole number above 0, got {override!r}"
            raise ValueError(msg)
        return int(override)
    from pathlib import Path  # importing this package must stay cheap

    usable = float(len(os.sched_getaffinity(0)))
    return max(
        1, math.ceil(min(usable, *_quotas(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))))
    )


def _quotas(groups: Path, mounted: Path) -> list[float]:
    """CPUs that each control group of this process may use; infinite where there is no quota.

    Args:
        groups: Of this process: a line `hierarchy:controllers:path` each.
        mounted: Where the file systems of control groups are.
    """
    found = [math.inf]
    try:
        lines = groups.read_text().splitlines()
    except OSError:
        return found  # no control groups here
    for line in lines:
        hierarchy, controllers, path = line.split(":", 2)
        if hierarchy == "0":
            root = mounted
        elif "cpu" in controllers.split(","):
            root = mounted / controllers
        else:
            continue
        folder = root / path.lstrip("/")
        # In a container the path is often the host's, and what is mounted is its own group.
        for each in (root, *reversed([folder, *folder.parents])):
            if each == root or root in each.parents:
                found.append(_quota(each))
    return found


def _quota(group: Path) -> float:
    """CPUs that one control group may use."""
    with contextlib.suppress(OSError):
        quota, period = (group / "cpu.max").read_text().split()
        return math.inf if quota == "max" else int(quota) / int(period)
    with contextlib.suppress(OSError):
        microseconds = int((group / "cpu.cfs_quota_us").read_text())
        whole = int((group / "cpu.cfs_period_us").read_text())
        return math.inf if microseconds < 0 else microseconds / whole
    return math.inf
