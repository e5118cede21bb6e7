"""The deadline of a call, which travels with its chunks.

A chunk may wait in its engine before it begins, so the seconds that were left when it was sent are
too many. The monotonic clock tells how many are left now, on the same machine. Elsewhere the time
of day does. Clocks of machines differ, so that one is believed only once it is a second past the
deadline: a call never ends early because of it. Whatever it says, no more is left than was when
the chunk was sent.
"""

from __future__ import annotations

import functools
import os
import time
from pathlib import Path
from typing import NamedTuple

_APART = 1.0  # seconds that the clocks of two machines may differ


class Deadline(NamedTuple):
    """When a call must be over.

    Attributes:
        seconds: That were left when it was sent.
        clock: The monotonic clock there.
        until: By that clock.
        wall: By the time of day.
    """

    seconds: float
    clock: str
    until: float
    wall: float

    def left(self) -> float:
        """The seconds that are left; not above 0: it is over."""
        if self.clock == _clock():
            return min(self.seconds, self.until - time.monotonic())
        return min(self.seconds, self.wall + _APART - time.time())


def deadline_of(until: float) -> Deadline:
    """The deadline that is `until` by time.monotonic."""
    left = until - time.monotonic()
    return Deadline(max(left, 1e-3), _clock(), until, time.time() + left)


@functools.cache
def _clock() -> str:
    """Which monotonic clock this process has: that of a boot, and of a time namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return os.urandom(16).hex()  # it is nobody else's, as far as anybody can tell
    namespace = Path("/proc/self/ns/time")
    return f"{boot} {os.readlink(namespace) if namespace.is_symlink() else ''}"
