"""A block's server, and the nests that it forks: each a nursery with its children, which serves
one call after another."""

from __future__ import annotations

import errno
from functools import partial
from typing import Any

from tep_parallel._engine.call import Call
from tep_parallel._engine.child import serve
from tep_parallel._engine.forked import flags_of
from tep_parallel._engine.native import fail, ffi, lib
from tep_parallel._engine.plan import Plan
from tep_parallel._engine.prepare import prepare
from tep_parallel._engine.running import Running
from tep_parallel._engine.under_way import UnderWay

_LEAST_CELLS = 4096  # so many items of an eager call are fed at once
_MOST_ALIVE = 512  # children, where the caller names no number
_MOST_READY = 32  # children that are used once and were forked ahead

_begin = lib.sphttp_nest_begin
_renew = lib.sphttp_nest_renew
_run = lib.py_call_run
_ON_THE_WAY = (lib.SPHTTP_STARTED, lib.SPHTTP_SIGNALS, lib.SPHTTP_NEWS)


class Mould(Call):
    """What the nests of a block are like, and the server that forks them.

    Args:
        plan: What all calls of the block have in common.
        cpus: How many there are to use.

    Raises:
        OSError: The system refused memory, descriptors or the server.
        RuntimeError: This is not the main interpreter.
    """

    def __init__(self, plan: Plan, cpus: int) -> None:
        options = plan.options
        alive = options.in_processes or _MOST_ALIVE
        how = flags_of(plan) | lib.SPHTTP_POOL | lib.SPHTTP_KEPT | lib.SPHTTP_SERVER
        super().__init__(len(plan.items), alive=alive, how=how, root="/", running=Running())
        if options.timeout or options.retries:
            self.limit(options.timeout, None, options.retries)
        if not plan.pool:
            lib.sphttp_call_quota(self.handle, 1)
            ready = min(options.in_processes or 2 * cpus, _MOST_READY)
            lib.sphttp_call_ahead(self.handle, ready)
        elif options.max_items is not None:
            lib.sphttp_call_quota(self.handle, options.max_items)

    def launch(self, plan: Plan, keep: list[int]) -> None:
        """Fork the server. It closes all that is open here, except the streams and `keep`."""
        code = lib.sphttp_server_keep(self.handle, keep, len(keep))
        if code != 0:
            fail(code, "preparing a server")
        self.serve = partial(serve, self.handle, self.event, prepare(self.handle, plan))
        self._seen(lib.py_call_start(self.handle, self.event))


def cells_of(window: int) -> int:
    """How many items can be in a nest at once."""
    return max(_LEAST_CELLS, window)


class Nest(UnderWay):
    """A nest, as its host sees it.

    Attributes:
        items: The items that are in it, by their cells.
        numbers: Their numbers in the call that runs; -1 where there is no item.
        texts: What they have returned.
        aborts: Not empty: an abort or a stop may be under way in another thread.

    Raises:
        OSError: The system refused memory or descriptors.
    """

    def __init__(self, mould: Mould, cells: int) -> None:
        error = ffi.new("int *")
        # One step for the interpreter: see Call.
        (handle,) = map(ffi.gc, map(lib.py_nest_open, [mould.handle], [error]), [lib.py_call_free])
        if error[0] != 0:
            fail(error[0], "preparing kept children")
        super().__init__(handle)
        self.event = ffi.new("sphttp_event *")
        self.aborts: list[None] = []
        self._cells = cells
        self.empty()

    def empty(self) -> None:
        """Forget which items were in it."""
        self.items: list[Any] = [None] * self._cells
        self.numbers = [-1] * self._cells
        self.texts: list[str | None] = [None] * self._cells

    def start(self) -> bool:
        """Ask the server for its nursery, and do not wait for that. Whether there is a server."""
        kind = lib.py_call_start(self.handle, self.event)
        if kind == lib.SPHTTP_FAILED and self.event.error != errno.EPIPE:
            fail(-self.event.error, "asking for kept children")
        return bool(kind == lib.SPHTTP_STARTED)

    def move(self, mould: Mould) -> None:
        """Ask another server from now on."""
        lib.sphttp_nest_move(self.handle, mould.handle)

    def begin(self, how: int, nanoseconds: int) -> bool:
        """Begin a round; whether that is possible.

        Args:
            how: Flags of enum sphttp_how.
            nanoseconds: Until the round is cut short; 0: never.
        """
        code: int = _begin(self.handle, how, nanoseconds)
        return code == 0

    def renew(self) -> bool:
        """After a round: whether it can serve another."""
        code: int = _renew(self.handle)
        return code > 0

    def dismiss(self) -> None:
        """Let its children end, as those of a call that has ended well."""
        lib.sphttp_nest_leave(self.handle)

    def leave(self) -> None:
        """The same, and wait for that."""
        try:
            self.dismiss()
            while self.run() in _ON_THE_WAY:
                pass  # Python has run the handlers on the way here
        finally:
            self.close()

    def run(self) -> int:
        """What its nursery has to say, of enum sphttp_event_kind."""
        kind: int = _run(self.handle, self.event)
        return kind

    def close(self) -> None:
        """Kill and reap what still runs below its nursery. A second call does nothing."""
        lib.py_call_close(self.handle)
