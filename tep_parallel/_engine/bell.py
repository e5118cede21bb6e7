"""What wakes a thread that waits for descriptors."""

from __future__ import annotations

import contextlib
import os
import select
import time
from fcntl import F_DUPFD_CLOEXEC, fcntl

from tep_parallel._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tep_parallel._engine.task import Task

_LOOK = 1.0  # seconds


class Bell:
    """A pipe. Any thread rings; one thread hears.

    The host may close it with all that it has open, as daemons do, and the numbers may then be
    those of other files. Those are left alone.

    Attributes:
        descriptor: It can be read when somebody has rung.
        in_doubt: Whether there is a reason to ask is_lost, which is not free.
        look_at: When there is one in any case, by time.monotonic.

    Raises:
        OSError: There are no descriptors.
    """

    def __init__(self) -> None:
        self.descriptor, self._ring = map(_above_streams, os.pipe())
        self.in_doubt = False
        self.look_at = 0.0
        self._file = _file_of(self.descriptor)  # it is that of both ends
        os.set_blocking(self.descriptor, False)
        os.set_blocking(self._ring, False)

    @property
    def is_lost(self) -> bool:
        """Whether the host has closed an end."""
        self.look_at = time.monotonic() + _LOOK
        return not (self._holds(self.descriptor) and self._holds(self._ring))

    def ring(self) -> None:
        """Wake the thread that waits. If the bell is lost, the thread has woken up by itself."""
        if self._holds(self._ring):
            with contextlib.suppress(OSError):  # full: it has been rung often enough
                os.write(self._ring, b"\0")

    def hear(self) -> None:
        """It has been rung."""
        if self._holds(self.descriptor):
            with contextlib.suppress(OSError):  # empty
                os.read(self.descriptor, 1 << 16)  # as much as it can hold
        else:
            self.in_doubt = True

    def close(self) -> None:
        """Give the descriptors back."""
        for end in (self.descriptor, self._ring):
            if self._holds(end):
                os.close(end)

    def _holds(self, end: int) -> bool:
        return _file_of(end) == self._file


def _above_streams(descriptor: int) -> int:
    """It, or a copy that leaves 0, 1 and 2 to the streams where the host has closed those."""
    if descriptor > 2:
        return descriptor
    try:
        return fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(descriptor)


def _file_of(descriptor: int) -> tuple[int, int] | None:
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def woken(bell: Bell, running: list[Task]) -> list[Task]:
    """Wait until somebody rings, or a task can go on; those that can."""
    if not running and bell.is_lost:
        bell.in_doubt = True
        return []
    poller = select.poll()
    now = time.monotonic()
    # If the host closes the bell, children may still hold it: then it does not ring.
    most = _LOOK
    tasks: dict[int, Task] = {}
    for task in running:
        if task.descriptor >= 0:
            tasks[task.descriptor] = task
            poller.register(task.descriptor, select.POLLIN)
        if task.at is not None:
            most = min(most, task.at - now)
    poller.register(bell.descriptor, select.POLLIN)
    ready = []
    events = poller.poll(max(0, most * 1000) if running else None)
    bell.in_doubt = now >= bell.look_at
    for fd, event in events:
        if fd != bell.descriptor:
            ready.append(tasks[fd])
        elif event == select.POLLIN:
            bell.hear()
        else:
            bell.in_doubt = True
    late = [task for task in running if task.is_late()]
    return ready + [task for task in late if task not in ready]
