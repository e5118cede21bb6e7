"""What an executor's workers call: a chunk's bytes in, a reply's bytes out."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import uuid
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING

from tep_parallel._cluster import replies, wire
from tep_parallel._cluster.alone import Alone, Copies
from tep_parallel._cluster.found import Found, nothing_begun
from tep_parallel._cluster.wire import Chunk, Reply
from tep_parallel._engine.statuses import packed
from tep_parallel._outcome import this_host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tep_parallel._engine.call import Call

_MOST_WORKERS = 4  # whose bytes are kept
_MOST_ENDED = 1024  # calls that are remembered after they were ended

ABORT = -1  # what runs, too


class _Run:
    """A chunk that runs in this process.

    Attributes:
        call: That of its children; None: it has none, or not yet.
    """

    def __init__(self, chunk: Chunk) -> None:
        self.chunk = chunk
        self.call: Call | None = None


class Here:
    """What this process knows of the calls whose chunks it runs. A fork of it knows nothing."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.place = uuid.uuid4().bytes
        # A call that the collector takes is ended, by whatever thread that happens in.
        self._lock = threading.RLock()
        self._bundles: OrderedDict[bytes, bytes] = OrderedDict()
        # By call: from which serial number on nothing may begin; below 0: what runs ends, too.
        self._ended: OrderedDict[bytes, int] = OrderedDict()
        self._running: dict[bytes, list[_Run]] = {}
        self.copies = Copies()

    def bundle(self, chunk: Chunk) -> bytes | None:
        """The bytes of a chunk's worker; None: they are not known."""
        with self._lock:
            data = self._bundles.pop(chunk.worker, None) or chunk.bundle
            if data is not None:
                self._bundles[chunk.worker] = data
                if len(self._bundles) > _MOST_WORKERS:
                    self._bundles.popitem(last=False)
            return data

    @contextlib.contextmanager
    def running(self, chunk: Chunk) -> Iterator[Callable[[Call], None]]:
        """Let `end` find a chunk; what is handed out is called with the call of its children."""
        run = _Run(chunk)
        with self._lock:
            self._running.setdefault(chunk.call, []).append(run)

        def enter(call: Call) -> None:
            with self._lock:
                run.call = call
            self._see_end(run)

        try:
            yield enter
        finally:
            with self._lock:
                runs = self._running[chunk.call]
                runs.remove(run)
                if not runs:
                    del self._running[chunk.call]

    def end(self, call: bytes, behind: int) -> list[int]:
        """Begin nothing more of a call that is behind a serial number; with ABORT, kill all that
        runs. It waits for nothing. The numbers of the chunks of the call that run here."""
        with self._lock:
            self._ended[call] = min(behind, self._ended.get(call, behind))
            if len(self._ended) > _MOST_ENDED:
                self._ended.popitem(last=False)
            runs = list(self._running.get(call, ()))
        for run in runs:
            self._see_end(run)
        return [run.chunk.number for run in runs]

    def _see_end(self, run: _Run) -> None:
        if run.call is None or not self.is_ended(run.chunk):
            return
        if self._ended.get(run.chunk.call) == ABORT:
            run.call.cancel()
        else:
            run.call.stop()

    def is_ended(self, chunk: Chunk) -> bool:
        """Whether nothing more of a chunk may begin."""
        behind = self._ended.get(chunk.call)
        if behind is None:
            return False
        return chunk.first > behind  # with ABORT, each is


_here = Here()


def here() -> Here:
    """That of this process."""
    global _here
    if _here.pid != os.getpid():
        _here = Here()
    return _here


def run_chunk(data: bytes) -> bytes:
    """Process a chunk, and say what became of its items.

    Raises:
        KeyboardInterrupt: The executor has ended it.
    """
    try:
        chunk = wire.chunk_of(data)
    except wire.ForeignError:
        return replies.refusal()
    except wire.DamagedError:
        return replies.UNREAD
    try:
        reply = _reply(chunk)
    except KeyboardInterrupt:  # what ran has been killed
        raise
    except BaseException as error:  # noqa: BLE001  # it travels to the caller
        fate, said = packed(error, rebuild=bool(chunk.options["rebuild_exceptions"]))
        reply = Reply(
            wire.FAILED, [None] * len(chunk.items), {len(chunk.items): wire.Record(fate, said=said)}
        )
    reply = reply._replace(host=this_host(), place=here().place, now_ns=time.monotonic_ns())
    return replies.packed_reply(reply, chunk)


def _reply(chunk: Chunk) -> Reply:
    known = here()
    data = known.bundle(chunk)
    if data is None:
        return Reply(wire.MISSING)
    begun = time.monotonic_ns()
    with known.running(chunk) as enter:
        found = _found(chunk, data, known, enter)
    spent = time.monotonic_ns() - begun
    return Reply(wire.DONE, found.texts, found.records, spent_ns=spent, overdue=found.overdue)


def _found(chunk: Chunk, data: bytes, known: Here, enter: Callable[[Call], None]) -> Found:
    left = None if chunk.deadline is None else chunk.deadline.left()
    if known.is_ended(chunk):
        return nothing_begun(len(chunk.items))
    if left is not None and left <= 0:
        return nothing_begun(len(chunk.items), overdue=True)
    if not chunk.options["in_processes"]:
        copy = known.copies.get(chunk.worker, data)
        return Alone(copy, chunk, left, partial(known.is_ended, chunk)).run()
    from tep_parallel._cluster.kept import work  # where there are no children there is no extension

    return work(chunk, data, left, enter)


def end_call(call: bytes, behind: int) -> list[int]:
    """See Here.end."""
    return here().end(call, behind)


def end_soon(workers: list[bytes], options: dict[str, object]) -> None:
    """End the blocks of these workers that no chunk uses, behind the scenes."""
    from tep_parallel._cluster import kept

    kept.end_soon(workers, options)
