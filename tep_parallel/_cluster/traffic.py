"""The chunks of a call on their way: sent, answered, sent again."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from concurrent.futures import CancelledError
from functools import partial
from typing import Any

from tep_parallel._cluster import replies, wire
from tep_parallel._cluster.deadline import deadline_of
from tep_parallel._cluster.engine import Engine
from tep_parallel._cluster.far import ABORT, run_chunk
from tep_parallel._cluster.load import Load, Terms
from tep_parallel._cluster.sizes import Sizes
from tep_parallel._engine.bell import Bell

_SMALL = 1 << 14  # bytes of a worker that travel with each chunk


class Traffic:
    """The chunks of a call. Futures call back in threads of their own: those ring the bell.

    It does not know the call, which may be collected while chunks are under way.

    Args:
        deadline: By time.monotonic; None: there is none.

    Attributes:
        bell: Rung when something has come.
        unended: Why the workers could not be told to end the call; None: they could.
        refused: Whether a future could not be cancelled.
    """

    def __init__(self, engine: Engine, terms: Terms, sizes: Sizes, deadline: float | None) -> None:
        self.id = os.urandom(16)
        self.engine = engine
        self.sizes = sizes
        self.bell = Bell()
        self.unended: BaseException | None = None
        self.refused = False
        self._pid = os.getpid()
        self._terms = terms
        self._key = os.urandom(32)
        self._deadline = deadline
        self._number = 0
        self._again: deque[Load] = deque()
        self._flights: dict[int, tuple[Load, Any]] = {}
        self._landed: deque[tuple[int, Any, int]] = deque()
        self._begun: set[int] | None = None  # which chunks ran at the end; None: nobody has said
        self._closed = False
        # Between the look whether the bell is there and the ring nobody closes it. The collector
        # may close it in the thread that rings.
        self._bell_lock = threading.RLock()
        sizes.workers = engine.workers()

    @property
    def in_flight(self) -> int:
        """How many chunks are under way, or have to be sent again."""
        return len(self._flights) + len(self._again)

    @property
    def has_room(self) -> bool:
        """Whether another chunk may be sent now."""
        return self.in_flight < self.sizes.in_flight

    @property
    def has_landed(self) -> bool:
        """Whether something has come."""
        return bool(self._landed)

    def count(self) -> None:
        """How many workers there are, as far as that is known by now."""
        self.sizes.workers = self.engine.workers()
        self.engine.count(self._heard)

    def _heard(self, error: BaseException | None) -> None:
        if error is None:
            self._ring()

    def _ring(self) -> None:
        with self._bell_lock:
            if not self._closed:
                self.bell.ring()

    def send(self, load: Load) -> None:
        """Send a chunk.

        Raises:
            SubmitError, TypeError: See Engine.submit.
        """
        terms = self._terms
        bundle = terms.bundle
        load.with_bundle = (
            load.with_bundle
            or len(bundle.data) <= _SMALL
            or not self.engine.places.get(bundle.hash)
        )
        self._number += 1
        number = self._number
        chunk = wire.Chunk(
            call=self.id,
            number=number,
            first=load.first,
            nonce=os.urandom(16),
            key=self._key,
            worker=bundle.hash,
            bundle=bundle.data if load.with_bundle else None,
            options=terms.options,
            key_of_digests=terms.key_of_digests,
            on_error=terms.on_error,
            discard=terms.discard,
            told=terms.told or self.sizes.tells(len(load.items)),
            deadline=None if self._deadline is None else deadline_of(self._deadline),
            items=load.items,
        )
        data = wire.packed_chunk(chunk)
        load.chunk, load.sent = wire.signed(chunk, data)._replace(bundle=None), time.monotonic()
        future = self.engine.submit(run_chunk, data)
        self._flights[number] = load, future
        future.add_done_callback(partial(self._landing, number))

    def _landing(self, number: int, future: Any) -> None:
        """In any thread: a future is done."""
        self._landed.append((number, future, time.monotonic_ns()))
        self._ring()

    def next_again(self) -> Load | None:
        """What was lost, and is to be sent again."""
        return self._again.popleft() if self._again else None

    def again(self, *loads: Load) -> None:
        """Send these again, as soon as may be."""
        self._again += loads

    def landed(self) -> Any:
        """A load that has come back, and its future; None: there is none."""
        while self._landed:
            number, future, now = self._landed.popleft()
            found = self._flights.pop(number, None)
            if found is not None:
                load = found[0]
                load.landed_ns = now
                return load, future
        return None

    def answer(self, load: Load, future: Any) -> wire.Reply | BaseException:
        """What a future says: a reply, or what the engine raised."""
        assert load.chunk is not None
        try:
            error = future.exception()
            if error is not None:
                return error  # type: ignore[no-any-return]
            return replies.reply_of(future.result(), load.chunk)
        except (replies.ForgedError, wire.ForeignError, CancelledError) as error:
            return error

    def learn(self, load: Load, reply: wire.Reply) -> None:
        """What a reply tells of the engine."""
        taken = load.landed_ns / 1e9 - load.sent
        self.sizes.learn(len(load.items), reply.length, reply.spent_ns / 1e9, taken)
        self.engine.note(self._terms.bundle.hash, reply.place)

    def stop(self, behind: int) -> None:
        """Begin nothing more that is behind a serial number: what waits is cancelled, or told."""
        self._tell(behind)

    def abort(self) -> None:
        """The same, and end what runs where that is possible."""
        self._again.clear()
        self._tell(ABORT)

    def _tell(self, behind: int) -> None:
        if not self._flights or os.getpid() != self._pid:
            return
        if self.engine.can_end:
            self.engine.end(self.id, behind, partial(self._find, behind), self._told)
        if self.engine.client is None:  # what Dask says of a cancel is not so
            for load, future in list(self._flights.values()):
                if load.first > behind and (behind == ABORT or not future.running()):
                    self._cancel(future)

    def _find(self, behind: int, numbers: list[int]) -> None:
        if behind == ABORT:
            self._begun = set(numbers)

    @property
    def may_run(self) -> bool:
        """Whether workers run what is under way. Once they were told to end it, the others of its
        chunks wait in the engine, and will begin nothing."""
        return self._begun is None or not self._begun.isdisjoint(self._flights)

    def goes_on(self, behind: int) -> bool:
        """Whether workers that cannot be told begin items behind a serial number."""
        if self.engine.can_end and self.unended is None:
            return False
        loads = [load for load, _ in self._flights.values()]
        return any(load.first > behind and len(load.items) > 1 for load in loads)

    def _told(self, error: BaseException | None) -> None:
        self.unended = error
        self._ring()

    def dropped(self) -> list[Load]:
        """Give up all that is under way: what that was."""
        loads = [load for load, _ in self._flights.values()] + list(self._again)
        self._cancel_all()
        self._flights.clear()
        self._again.clear()
        return loads

    def _cancel_all(self) -> None:
        if os.getpid() == self._pid:
            for _, future in list(self._flights.values()):
                self._cancel(future)

    def _cancel(self, future: Any) -> None:
        """Cancel what waits; where cancel() ends what runs, that too."""
        try:
            cancelled = future.cancel()
        except NotImplementedError:  # Parsl cannot
            cancelled = False
        self.refused = self.refused or not cancelled

    def close(self) -> None:
        """End what is under way, and wait for nothing. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            self.abort()
            self._cancel_all()
        finally:
            self._flights.clear()
            self._landed.clear()
            with self._bell_lock:
                self.bell.close()
