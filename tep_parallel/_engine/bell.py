"""What wakes a thread that waits for descriptors."""

from __future__ import annotations

import contextlib
import os


class Bell:
    """A pipe. Any thread rings; one thread hears.

    Attributes:
        descriptor: It can be read when somebody has rung.

    Raises:
        OSError: There are no descriptors.
    """

    def __init__(self) -> None:
        self._open()

    def _open(self) -> None:
        self.descriptor, self._ring = os.pipe()
        os.set_blocking(self.descriptor, False)
        os.set_blocking(self._ring, False)

    def ring(self) -> None:
        """Wake the thread that waits."""
        with contextlib.suppress(OSError):  # full: it has been rung often enough
            os.write(self._ring, b"\0")

    def hear(self) -> None:
        """It has been rung."""
        try:
            while os.read(self.descriptor, 4096):
                pass
        except BlockingIOError:
            pass
        except OSError:  # the host has closed all that it had open, as daemons do
            self._open()

    def close(self) -> None:
        """Give the descriptors back."""
        os.close(self.descriptor)
        os.close(self._ring)
