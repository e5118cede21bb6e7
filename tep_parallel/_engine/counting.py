"""processor_count: how many CPUs this process may use. worker_number: which child this is."""

from __future__ import annotations

import contextlib
import math
import os
from contextvars import ContextVar

from tep_parallel._typing import public

_OVERRIDE = "TEP_PARALLEL_PROCESSOR_COUNT"

# In a child: the handle of the call that forked it. Elsewhere None.
forked_by: object = None
# True while this thread processes items without a child.
without_child: ContextVar[bool] = ContextVar("without_child", default=False)


@public
def worker_number() -> int | None:
    """Return the number of this child among the living children, from 0. Elsewhere None.

    A child that replaces an ended child gets the number of that child. With in_processes=0
    the number is 0 while items are processed.

    Source: `Parallel.worker_number` of grosser/parallel, lib/parallel.rb.
    """
    if without_child.get():
        return 0
    if forked_by is None:
        return None
    from tep_parallel._engine.native import lib

    number: int = lib.sphttp_child_slot(forked_by)
    return number


@public
def processor_count() -> int:
    """Return how many CPUs this process may use, at least 1.

    This is the smallest number among its CPU affinity and the CPU quotas of its control
    groups (v1 and v2). A part of a CPU counts as one. TEP_PARALLEL_PROCESSOR_COUNT in the
    environment overrides all of them.

    Raises:
        ValueError: TEP_PARALLEL_PROCESSOR_COUNT is not a whole number above 0.

    Source: sched_getaffinity(2), cgroups(7); `Parallel.processor_count` of grosser/parallel.
    """
    override = os.environ.get(_OVERRIDE)
    if override is not None:
        if not override.isascii() or not override.isdigit() or int(override) == 0:
            msg = f"{_OVERRIDE}: expected a whole number above 0, got {override!r}"
            raise ValueError(msg)
        return int(override)
    usable = float(len(os.sched_getaffinity(0)))
    return max(1, math.ceil(min(usable, *_quotas("/proc/self/cgroup", "/sys/fs/cgroup"))))


def _quotas(groups: str | os.PathLike[str], mounted: str | os.PathLike[str]) -> list[float]:
    """How many CPUs each control group of this process may use; infinite if it has no quota.

    Args:
        groups: The file that lists the groups, a line `hierarchy:controllers:path` each.
        mounted: The directory in which the file systems of control groups are mounted.
    """
    found = [math.inf]
    try:
        with open(groups, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError:
        return found  # no control groups here
    for line in lines:
        hierarchy, controllers, path = line.split(":", 2)
        if hierarchy == "0":
            folder = os.fspath(mounted)
        elif "cpu" in controllers.split(","):
            folder = os.path.join(mounted, controllers)
        else:
            continue
        # In a container the path is often that of the machine, while only the container's own
        # group is mounted.
        found.append(_quota(folder))
        for name in filter(None, path.split("/")):
            folder = os.path.join(folder, name)
            found.append(_quota(folder))
    return found


def _quota(group: str) -> float:
    """How many CPUs one control group may use."""
    with contextlib.suppress(OSError):
        quota, period = _first_line(group, "cpu.max").split()
        return math.inf if quota == "max" else int(quota) / int(period)
    with contextlib.suppress(OSError):
        microseconds = int(_first_line(group, "cpu.cfs_quota_us"))
        whole = int(_first_line(group, "cpu.cfs_period_us"))
        return math.inf if microseconds < 0 else microseconds / whole
    return math.inf


def _first_line(group: str, name: str) -> str:
    with open(os.path.join(group, name), encoding="ascii") as file:
        return file.readline()
