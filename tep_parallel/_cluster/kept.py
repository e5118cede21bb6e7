"""The blocks that a worker of an executor keeps for its chunks."""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from tep_parallel._cluster.found import Found
from tep_parallel._cluster.relay import Kept, outside
from tep_parallel._cluster.shipping import unbundled
from tep_parallel._cluster.wire import Chunk
from tep_parallel._engine.call import Call
from tep_parallel._engine.digest_job import Job, joined, wanted_kernel
from tep_parallel._engine.options import Options
from tep_parallel._engine.running import Running
from tep_parallel._worker import setup_and_teardown_of

IDLE = 5.0  # seconds without a chunk, after which a block ends

_Key = tuple[bytes, tuple[tuple[str, object], ...]]


class _Entry:
    """A block, and who uses it.

    Attributes:
        users: How many chunks run in it.
        pinned: Whether it was entered early, and stays until it is told to end.
        left: Whether it was told to, and no other chunk finds it.
        since: When the last chunk left, by time.monotonic.
    """

    def __init__(self, data: bytes, options: dict[str, Any]) -> None:
        self.worker, codec = unbundled(data)
        # The executor says how many chunks run at once: see Kept.work.
        self.options = Options(codec, max_calls=1, **options)
        self.has_teardown = setup_and_teardown_of(self.worker)[1] is not None
        self.block: Kept | None = None
        self.users = 0
        self.pinned = False
        self.left = False
        self.since = time.monotonic()

    def entered(self) -> Kept:
        """The block."""
        if self.block is None:
            self.block = Kept(self.worker, self.options, Running())
        return self.block

    def close(self, *, failed: bool) -> None:
        """End the block, if there is one.

        Args:
            failed: Whether what its hooks have raised was said already.

        Raises:
            Exception: What they have raised, if it was not.
        """
        if self.block is not None:
            self.block.close(well=True, failed=failed)


class _Blocks:
    """Those of one process. A fork of it has none."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.entries: dict[_Key, _Entry] = {}
        self.ends: threading.Thread | None = None
        self.soon = threading.Event()  # set: look at once which may be ended


_blocks = _Blocks()


def _of_this_process() -> _Blocks:
    global _blocks
    if _blocks.pid != os.getpid():
        _blocks = _Blocks()
    return _blocks


def _key(worker: bytes, options: dict[str, Any]) -> _Key:
    return worker, tuple(sorted(options.items()))


def work(chunk: Chunk, data: bytes, left: float | None, enter: Callable[[Call], None]) -> Found:
    """Process a chunk with children.

    Args:
        data: The bytes of its worker.
        left: Seconds to the call's deadline; None: it has none.
        enter: Called with the call that may be aborted, or stopped, from now on.
    """
    blocks = _of_this_process()
    key = _key(chunk.worker, chunk.options)
    with blocks.lock:
        entry = blocks.entries.get(key)
        if entry is None:
            entry = blocks.entries[key] = _Entry(data, chunk.options)
        entry.users += 1
    try:
        return _worked(entry, chunk, left, enter, blocks)
    finally:
        with blocks.lock:
            entry.users -= 1
            entry.since = time.monotonic()
            over = entry.left and entry.users == 0
        if over:
            entry.close(failed=False)
        _end_idle_later(blocks)


def _worked(
    entry: _Entry,
    chunk: Chunk,
    left: float | None,
    enter: Callable[[Call], None],
    blocks: _Blocks,
) -> Found:
    job, items = _job(chunk)
    if job is not None or (entry.has_teardown and not entry.pinned):
        # A teardown that fails fails the call: the children are those of the chunk alone.
        given = entry.worker, items, entry.options, chunk.on_error, left, enter
        return outside(*given, discard=chunk.discard, told=chunk.told, job=job)
    with blocks.lock:
        block = entry.entered()
        block.allow(entry.users)
    return block.work(items, chunk.on_error, left, enter, discard=chunk.discard, told=chunk.told)


def _job(chunk: Chunk) -> tuple[Job | None, list[Any]]:
    """What C does, and with which items; None: nothing."""
    items: list[Any] = chunk.items
    key = chunk.key_of_digests
    if not isinstance(key, bool):
        paths = [item if isinstance(item, str) else pickle.loads(item) for item in items]  # noqa: S301  # the caller's
        names = joined(paths)
        if names is not None:
            return Job(names, key, wanted_kernel()), paths
    return None, items


def enter(worker: bytes, data: bytes, options: dict[str, Any]) -> None:
    """Enter a block early, for the chunks of this worker and these options."""
    blocks = _of_this_process()
    with blocks.lock:
        entry = blocks.entries.get(_key(worker, options))
        if entry is None:
            entry = blocks.entries[_key(worker, options)] = _Entry(data, options)
        entry.pinned = True
        entry.entered()


def leave(worker: bytes, options: dict[str, Any]) -> None:
    """End it. If chunks run in it, the last of them does, and waits for that.

    Raises:
        Exception: What a teardown has raised.
    """
    blocks = _of_this_process()
    with blocks.lock:
        entry = blocks.entries.pop(_key(worker, options), None)
        if entry is None:
            return
        entry.left = True
        over = entry.users == 0
    if over:
        entry.close(failed=False)


def end_soon(workers: list[bytes], options: dict[str, Any]) -> None:
    """Let blocks end as if they had been idle for long, those that no chunk uses."""
    blocks = _of_this_process()
    with blocks.lock:
        for worker in workers:
            entry = blocks.entries.get(_key(worker, options))
            if entry is not None:
                entry.since = -IDLE
    blocks.soon.set()


def end_idle(after: float = 0.0) -> float | None:
    """End the blocks that no chunk has used for `after` seconds. The seconds until the next may
    be ended; None: there is none."""
    blocks = _of_this_process()
    ended, soonest = [], None
    with blocks.lock:
        now = time.monotonic()
        for key, entry in list(blocks.entries.items()):
            if entry.pinned:
                continue
            left = entry.since + after - now
            if entry.users == 0 and left <= 0:
                ended.append(blocks.entries.pop(key))
            else:
                left = max(left, 0.0) if entry.users == 0 else after
                soonest = left if soonest is None else min(soonest, left)
    with contextlib.ExitStack() as stack:
        for entry in ended:
            # What a setup has raised there was said to the call; teardowns are not run in these.
            stack.callback(entry.close, failed=True)
    return soonest


def _end_idle_later(blocks: _Blocks) -> None:
    with blocks.lock:
        if blocks.ends is None:
            blocks.ends = threading.Thread(
                target=_end_idle_blocks, args=(blocks,), name="tep_parallel-idle", daemon=True
            )
            blocks.ends.start()


def _end_idle_blocks(blocks: _Blocks) -> None:
    """In a thread of its own: end blocks until there is none that may be ended."""
    while True:
        left = None
        try:
            left = end_idle(IDLE)
        except Exception:  # noqa: BLE001  # it is shown, and other blocks are to end all the same
            found = (*sys.exc_info(), threading.current_thread())
            threading.excepthook(threading.ExceptHookArgs(found))
            del found
        with blocks.lock:
            if all(one.pinned for one in blocks.entries.values()):
                blocks.ends = None
                return
        blocks.soon.wait(IDLE if left is None else max(left, 0.01))
        blocks.soon.clear()
