"""One call whose items an executor's workers process.

It answers as a call of a block does, so whoever drives such a call drives this one, too. Each item
is in a cell from when it is fed until its result has been fetched. Serial numbers tell which cell:
a chunk is a run of them.
"""

from __future__ import annotations

import math
import select
import time
import weakref
from concurrent.futures import BrokenExecutor, CancelledError

from tep_parallel._cluster import replies, wire
from tep_parallel._cluster.departures import Departures
from tep_parallel._cluster.load import GivenBackError, Load, rests_of
from tep_parallel._cluster.traffic import Traffic
from tep_parallel._engine.asking import NEWS, gevents_waiter
from tep_parallel._engine.call import ABORTED
from tep_parallel._engine.native import lib
from tep_parallel._engine.plan import Plan
from tep_parallel._engine.told import warn
from tep_parallel._engine.travel import raised
from tep_parallel._engine.waits import FAREWELL, TURN, WORD, Until, Wait
from tep_parallel._errors import ParallelError

_ENDED: int = lib.SPHTTP_ENDED
_GRACE = 0.5  # seconds past the deadline in which children say what they have
_LOOK = 1.0  # seconds
# What engines raise for a chunk that they could not even begin, and for one that they never will.
_UNLOADABLE = (ImportError, AttributeError, TypeError)
_BROKEN = (BrokenExecutor, CancelledError, KeyboardInterrupt, NotImplementedError)


class FarCall(Departures):
    """A call whose items an executor's workers process.

    Args:
        plan: What it is to do. It gets a cell for each item that is under way.
        traffic: Its chunks.
        eager: Whether it waits for the end of all items.
        total: How many items there are; None: nobody knows.
        until: The call's deadline, by time.monotonic; None: it has none.
    """

    def __init__(
        self, plan: Plan, traffic: Traffic, *, eager: bool, total: int | None, until: float | None
    ) -> None:
        super().__init__(plan, traffic, eager=eager, total=total)
        self._until = until
        self._given_up_at: float | None = None
        self._patient_until = math.inf  # with workers that go on although it stops
        self._wait_read = gevents_waiter()
        # A call that nobody closes is closed when the collector takes it.
        self._end = weakref.finalize(self, traffic.close)
        self._end.atexit = False
        plan.running.enter(self)

    def close(self) -> None:
        """End what is under way, and wait for nothing. A second call does nothing."""
        self._end()
        self._running.leave(self)

    def part(self, *, fetched: bool) -> bool:  # noqa: ARG002
        """Nobody will ask for anything of it any more."""
        self.close()
        return False

    def abort(self) -> None:
        """End it; from any thread."""
        self.aborted = True
        self._traffic.bell.ring()

    cancel = abort

    def stop(self, behind: int = 0) -> None:
        """Let no more items start; what runs may end.

        Args:
            behind: What was sent before the item of this serial number may start, too.
        """
        if not self._stopping:
            self._stopping, self._behind = True, behind
            self._patient_until = time.monotonic() + _LOOK
            self._traffic.stop(behind)

    def _cut_short(self, seconds: float) -> None:
        """End what runs; it has so many seconds to say what became of it."""
        if self._given_up_at is None:
            self._stopping = True
            if not self._options.in_processes:  # what runs there ends by itself, or not at all
                seconds = min(seconds, _GRACE)
            self._given_up_at = time.monotonic() + seconds
            self._traffic.abort()

    def wait(self, word: Wait) -> int:
        """Wait for what the call's steps wait for, and return the answer."""
        if self._wait_read is not None:
            return self._wait_in_loop(self._wait_read, word)
        while True:
            answer = 0 if word is TURN else self.ask(word)
            if type(answer) is not Until:
                return answer  # type: ignore[return-value]
            poller = select.poll()
            poller.register(answer.descriptor, select.POLLIN)
            source = self.source
            if word is WORD and source is not None and source.awaited >= 0:
                poller.register(source.awaited, select.POLLIN)
            seconds = _LOOK if answer.seconds is None else min(answer.seconds, _LOOK)
            poller.poll(max(seconds, 0) * 1000)

    def ask(self, word: Wait) -> int | Until:
        """The same, for whoever must not wait."""
        if word is TURN:
            return self._ask_turn()
        self._traffic.bell.hear()
        if word is WORD:
            return self._look()
        self._cut_short(FAREWELL)
        until = self._ask_whether_ended()
        if until is None:
            self.close()
        return until or 0

    def _look(self) -> int | Until:
        source, traffic = self.source, self._traffic
        if source is not None and source.waits and source.ready and not self.aborted:
            return NEWS
        self._hear()
        now = time.monotonic()
        if self.aborted:
            self._cut_short(FAREWELL)
        elif self.overdue or (self._until is not None and now >= self._until):
            self._overdue = True
            self._cut_short(_GRACE)
        if self._given_up_at is not None:
            until = self._ask_whether_ended()
            if until is None:
                return ABORTED if self.aborted else _ENDED
            return until
        traffic.count()
        self._send_again()
        self._send(rest=True)
        if self._fresh:
            return NEWS
        if not traffic.in_flight and (self._stopping or (self._no_more and not self._pending)):
            return _ENDED
        if now >= self._patient_until:
            self._patient_until = math.inf
            if traffic.goes_on(self._behind):
                self._warn_once("tell its workers to begin no more items: chunks that run go on")
        soonest = min(math.inf if self._until is None else self._until, self._patient_until)
        return Until(traffic.bell.descriptor, None if soonest == math.inf else soonest - now)

    def _ask_whether_ended(self) -> Until | None:
        """How long to wait for what was told to end; None: it has, or will have to."""
        traffic = self._traffic
        self._hear()
        assert self._given_up_at is not None
        left = self._given_up_at - time.monotonic()
        can_end = traffic.engine.can_end and traffic.unended is None
        runs = traffic.may_run
        if traffic.in_flight and left > 0 and (runs if can_end else self._overdue):
            return Until(traffic.bell.descriptor, left)
        loads = traffic.dropped()
        for load in loads:
            self._lose(load)
        if loads and runs and traffic.refused and not self._broken:
            msg = "end what its workers run: that goes on until it ends by itself"
            self._warn_once(f"{msg}, or until its timeout or the call's deadline ends it")
        return None

    def _warn_once(self, what: str) -> None:
        engine = self._traffic.engine
        if what not in engine.warned:
            engine.warned.add(what)
            warn(f"{type(engine.executor).__name__} could not {what}")

    def _hear(self) -> None:
        """Take what has come."""
        traffic = self._traffic
        while True:
            landed = traffic.landed()
            if landed is None:
                return
            load, future = landed
            answer = traffic.answer(load, future)
            del landed, future  # what Dask holds for it is given back
            if isinstance(answer, wire.Reply):
                self._accept(load, answer)
            elif isinstance(answer, replies.ForgedError):
                self._tampered(load)
            elif isinstance(answer, CancelledError) and self._stopping:
                continue  # its items were not begun
            else:
                self._failed(load, answer)

    def _accept(self, load: Load, reply: wire.Reply) -> None:
        count = len(load.items)
        if reply.kind == wire.MISSING and not load.with_bundle:
            load.with_bundle = True
            self._traffic.again(load)
        elif reply.kind != wire.DONE and self._given_up_at is not None:
            self._lose(load)
        elif reply.kind != wire.DONE:
            record = reply.records.get(count, wire.Record(0))
            where = f"the executor's worker on {reply.host}"
            error = raised.unpack(
                record.said, rebuild=self._options.rebuild, where=where, elsewhere=True
            )
            raised.add_note(error, f"tep_parallel: raised by {where}, not for an item")
            raise error
        else:
            self._traffic.learn(load, reply)
            self._arrive(load, reply)
            if not self._stopping and not self._overdue:
                for rest in rests_of(load, reply):
                    self._failed(rest, GivenBackError())

    def _failed(self, load: Load, error: BaseException) -> None:
        """An engine has no reply for a chunk."""
        if self._given_up_at is not None:  # why the call ends is said already
            self._lose(load)
            return
        if isinstance(error, wire.ForeignError):
            raise RuntimeError(str(error)) from error
        if isinstance(error, _UNLOADABLE):
            msg = f"the executor's workers could not load what they were sent ({error}); what is "
            msg += "installed here must be there too: tep-parallel[cluster], and the worker's own"
            raise ParallelError(msg) from error
        if isinstance(error, _BROKEN):
            self._raise_broken(error)
        load.losses += 1
        if self._options.in_processes:
            if load.losses > self._options.retries + 1:
                self._lose(load, error)
            else:
                self._traffic.again(load)
        elif len(load.items) == 1:
            self._lose(load, error)
        else:  # one of its items may have ended the worker
            half = len(load.items) // 2
            self._traffic.again(
                Load(load.first, load.items[:half], load.losses),
                Load(load.first + half, load.items[half:], load.losses),
            )
