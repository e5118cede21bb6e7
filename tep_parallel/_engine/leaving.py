"""The end of a nest, for whoever must not wait for it."""

from __future__ import annotations

import time

from tep_parallel._engine.asking import ending
from tep_parallel._engine.native import lib
from tep_parallel._engine.nest import Nest
from tep_parallel._engine.waits import FAREWELL, NOW, Until

_LOOK = 1.0  # seconds; the nursery of a nest that leaves rings so often
_SILENT = 10.0  # seconds after which it is no good any more: somebody may have stopped it


class Leaving:
    """A nest that serves no other call, from now on until it has ended.

    Args:
        well: Whether its children may run `teardown`; otherwise they are killed.
    """

    def __init__(self, nest: Nest, *, well: bool) -> None:
        lib.sphttp_call_elsewhere(nest.handle, 1)
        self.nest = nest
        self._well = well
        self._heard = time.monotonic()
        if well:
            nest.dismiss()
        else:
            self._kill()

    def _kill(self) -> None:
        self._well = False
        self._given_up = time.monotonic() + FAREWELL
        lib.sphttp_call_dismiss(self.nest.handle)

    def ask(self) -> Until | None:
        """When to ask again. None: nothing runs any more; close the nest."""
        while self._well:
            kind = self.nest.run()
            now = time.monotonic()
            if kind == lib.SPHTTP_SIGNALS:
                return NOW
            if kind == lib.SPHTTP_NEWS:
                self._heard = now
            elif kind != lib.SPHTTP_STARTED or now - self._heard > _SILENT:
                self._kill()  # it has ended, or does not any more
            else:
                descriptor = self.nest.descriptor()
                return NOW if descriptor < 0 else Until(descriptor, _LOOK)
        return ending(self.nest.handle, self._given_up - time.monotonic())
