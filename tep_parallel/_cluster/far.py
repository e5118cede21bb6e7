"""What an executor's workers call: a chunk's bytes in, a reply's bytes out."""

from __future__ import annotations

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
    from tep_parallel._engine.call import Call

_MOST_WORKERS = 4  # whose bytes are kept
_MOST_ENDED = 1024  # calls that are remembered after they were ended

ABORT = -1  # what runs, too


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
        self._running: dict[bytes, list[Call]] = {}
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

    def enter(self, chunk: Chunk, call: Call) -> None:
        """Let `end` find what runs."""
        with self._lock:
            self._running.setdefault(chunk.call, []).append(call)
            aborted = self._ended.get(chunk.call, 0) < 0
        if aborted:
            call.cancel()

    def leave(self, chunk: Chunk, calls: list[Call]) -> None:
        """They have ended."""
        with self._lock:
            left = [one for one in self._running.pop(chunk.call, []) if one not in calls]
            if left:
                self._running[chunk.call] = left

    def end(self, call: bytes, behind: int) -> None:
        """Begin nothing more of a call that is behind a serial number; with ABORT, kill all that
        runs. It waits for nothing."""
        with self._lock:
            self._ended[call] = min(behind, self._ended.get(call, behind))
            if len(self._ended) > _MOST_ENDED:
                self._ended.popitem(last=False)
            running = list(self._running.get(call, ())) if behind == ABORT else []
        for one in running:
            one.cancel()

    def is_ended(self, chunk: Chunk) -> bool:
        """Whether nothing more of a chunk may begin."""
        behind = self._ended.get(chunk.call)
        if behind is None:
            return False
        return behind == ABORT or (chunk.first > behind and not chunk.lost)


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
    if known.is_ended(chunk):
        found = nothing_begun(len(chunk.items))
    elif chunk.options["in_processes"]:
        found = _with_children(chunk, data, known)
    else:
        copy = known.copies.get(chunk.worker, data)
        found = Alone(copy, chunk, partial(known.is_ended, chunk)).run()
    spent = time.monotonic_ns() - begun
    return Reply(wire.DONE, found.texts, found.records, spent_ns=spent, overdue=found.overdue)


def _with_children(chunk: Chunk, data: bytes, known: Here) -> Found:
    from tep_parallel._cluster.kept import work  # where there are no children there is no extension

    calls: list[Call] = []

    def enter(call: Call) -> None:
        calls.append(call)
        known.enter(chunk, call)

    try:
        return work(chunk, data, enter)
    finally:
        known.leave(chunk, calls)


def end_call(call: bytes, behind: int) -> None:
    """See Here.end."""
    here().end(call, behind)


def end_soon(workers: list[bytes], options: dict[str, object]) -> None:
    """End the blocks of these workers that no chunk uses, behind the scenes."""
    from tep_parallel._cluster import kept

    kept.end_soon(workers, options)
