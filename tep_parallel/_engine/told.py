"""Warnings: they name the line of the caller's, however deep in here they are found."""

from __future__ import annotations

import sys
import warnings

from tep_parallel._engine.ending import overstayed
from tep_parallel._engine.results import Results


def warn(message: str) -> None:
    """Warn of `message`, at the first frame that is none of this package's."""
    level = 2
    frame = sys._getframe(1)
    while frame.f_back is not None and _is_ours(frame.f_globals.get("__name__")):
        frame = frame.f_back
        level += 1
    warnings.warn(message, RuntimeWarning, stacklevel=level)


def warn_of_overstayed(call: Results, timeout: float | None) -> None:
    """Warn of the first child of a call that was killed at its end, if there was one."""
    pid, stage = call.overstayed
    if pid != 0:
        warn(overstayed(pid, stage, timeout))


def _is_ours(module: object) -> bool:
    return isinstance(module, str) and module.partition(".")[0] == "tep_parallel"
