"""What a block has in one process: a server, nests that are free, and turns."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable

from tep_parallel._engine.counting import processor_count
from tep_parallel._engine.found import Finder
from tep_parallel._engine.nest import Mould, Nest
from tep_parallel._engine.plan import Plan
from tep_parallel._engine.told import warn, warn_of_overstayed
from tep_parallel._engine.turns import Turns

_TRIES = 3  # to begin a call in a nest that was just made


class Home:
    """The server, the nests and the turns of a block in one process.

    Args:
        plan: What all calls of the block have in common.
        kept: Finds the descriptors that the server shall not close.

    Raises:
        OSError, RuntimeError: See Mould.
    """

    def __init__(self, plan: Plan, kept: Callable[[], list[int]]) -> None:
        cpus = processor_count()
        self.pid = os.getpid()
        self.turns = Turns(plan.options.max_calls or cpus)
        self._plan = plan
        self._kept = kept
        self._cpus = cpus
        self._free: deque[Nest] = deque()
        self._closed = False
        self._mould = self._launched()
        self._free.append(self._asked())

    def _launched(self) -> Mould:
        mould = Mould(self._plan, self._cpus)
        mould.launch(self._plan, self._kept())
        return mould

    def _asked(self) -> Nest:
        """A nest, whose nursery may still be under way."""
        cells = len(self._plan.items)
        nest = Nest(self._mould, cells)
        self.start(nest)
        return nest

    def start_again(self, nest: Nest) -> None:
        """Have another nursery forked for a nest whose own server may be gone."""
        nest.move(self._mould)
        self.start(nest)

    def start(self, nest: Nest) -> None:
        """Have a nursery forked for a nest, by another server if this one is gone."""
        if not nest.start():
            if self._closed:
                msg = "the block of this Parallel has ended"
                raise RuntimeError(msg)
            self._mould = self._launched()
            nest.move(self._mould)
            if not nest.start():
                msg = "the server of a block was killed as soon as it was forked"
                raise BrokenPipeError(msg)
            msg = (
                "the server of a block was gone: another was forked, from this process as it is now"
            )
            warn(msg)  # it may raise: then the next call finds that server

    def begun(self, how: int, nanoseconds: int, past: list[Nest] | None) -> Nest:
        """A nest in which a round has begun; see Nest.begin.

        Args:
            past: Where those are put that serve no other call; None: they leave here.
        """
        tries = _TRIES
        while tries > 0:
            try:
                nest = self._free.pop()
            except IndexError:
                nest = self._asked()
                tries -= 1
            if nest.begin(how, nanoseconds):
                break
            if past is None:
                nest.leave()
            else:
                past.append(nest)
        else:
            msg = "each nursery of a block was killed as soon as it was forked"
            raise BrokenPipeError(msg)
        if not self._free and self.turns.taken < self.turns.most:
            self._ask()
        return nest

    def _ask(self) -> None:
        """Have another nest made behind the scenes. If that fails, a call will say so that has
        none."""
        with contextlib.suppress(OSError, RuntimeError):
            self._free.append(self._asked())

    def takes_back(self, nest: Nest) -> bool:
        """A call has ended well: whether its nest serves another. Otherwise it is to leave."""
        if not nest.renew() or nest.aborts or self._closed or len(self._free) >= self.turns.most:
            return False
        self._free.append(nest)
        if self._closed:  # it was, just now
            self.close()
        return True

    def retire(self, nest: Nest, end: Callable[[], None]) -> None:
        """End a nest that serves no other call."""
        try:
            if not self._free and not self._closed:
                self._ask()
        finally:
            end()
        warn_of_overstayed(nest, self._plan.options.timeout)

    def drained(self) -> list[Nest]:
        """Serve no more calls. The nests that are free, which are to leave."""
        self._closed = True
        nests = list(self._free)
        self._free.clear()
        return nests

    def see_off(self, nest: Nest) -> Exception | None:
        """A nest has left: close it. What its teardown has raised."""
        nest.close()
        warn_of_overstayed(nest, self._plan.options.timeout)
        return Finder(nest, self._plan).call_error()

    @property
    def server(self) -> Mould:
        """The server, as its host sees it."""
        return self._mould

    def close(self) -> list[Exception]:
        """Let all nests that are free end, and then the server. What teardowns have raised."""
        self._closed = True
        nests: list[Nest] = []
        errors: list[Exception] = []
        try:
            while self._free:
                nests.append(self._free.pop())
                nests[-1].dismiss()
            for nest in nests:
                nest.leave()
                error = self.see_off(nest)
                if error is not None:
                    errors.append(error)
        finally:
            for nest in nests:
                nest.close()
            self._mould.close()
        return errors

    def forget(self) -> None:
        """Kill all that is left."""
        self._closed = True
        while self._free:
            self._free.pop().close()
        self._mould.close()
