"""A child's end: its threads, the finalizers of multiprocessing, and the buffers of its streams.

An interpreter sees to these when it ends. A child ends in `_exit`, and has to do so itself.
"""

from __future__ import annotations

import sys
from _thread import get_ident
from collections.abc import Callable
from functools import partial

from tep_parallel._engine.native import lib
from tep_parallel._engine.streams import flush as _flush
from tep_parallel._engine.streams import refused as _refused
from tep_parallel._typing import Any

leaving: Callable[[Any, int], None] = lib.sphttp_child_leave
linger: Callable[[Any], None] = lib.sphttp_child_linger

_TEARDOWN = lib.SPHTTP_TEARDOWN
_JOINING = lib.SPHTTP_JOINING
_FINALIZING = lib.SPHTTP_FINALIZING
_FLUSHING = lib.SPHTTP_FLUSHING

# Seconds that a child may take for its end: if items have no timeout, and at least.
_LONGEST, _LEAST = 10.0, 0.1
_LEAVING = {
    _TEARDOWN: "its teardown",
    _JOINING: "a thread of its worker's",
    _FINALIZING: "a finalizer of multiprocessing's",
    _FLUSHING: "the flush of its output",
}

# With one of these modules a child has something to do at its end, even if it has one thread:
# finalizers of multiprocessing, or threads that are greenlets.
_FINALIZERS = "multiprocessing.util"
_GREEN_THREADS = "gevent.threading"

# The modules and names in which concurrent.futures keeps its threads.
_KEPT = (
    ("concurrent.futures.thread", "_threads_queues"),
    ("concurrent.futures.process", "_threads_wakeups"),
)


def before_last(handle: object) -> None:
    """Flush before an item is committed that may be the last. If there is more to do at the
    end, let the commit return. Raises as flush."""
    if _FINALIZERS in sys.modules or _GREEN_THREADS in sys.modules:
        linger(handle)
    _flush((sys.stdout, sys.stderr), _refused)


def end(handle: object, teardown: Callable[[], object] | None) -> None:
    """End this child, apart from `_exit`, after its last item was committed.

    Raises:
        Exception: What teardown raised; or what a flush raised: then output is lost.
    """
    try:
        if teardown is not None:
            leaving(handle, _TEARDOWN)
            teardown()
    finally:
        settle(partial(leaving, handle))
    leaving(handle, _FLUSHING)
    _flush((sys.stdout, sys.stderr), _refused)


def settle(tell: Callable[[int], None] | None = None) -> None:
    """Join the worker's threads, and run multiprocessing's finalizers.

    Args:
        tell: Called with what is done next, of enum sphttp_leaving. None: the last item is
            not committed, and its timeout still counts.
    """
    if not lib.sphttp_is_alone() or _GREEN_THREADS in sys.modules:
        threads = _threads()
        if threads:
            if tell is not None:
                tell(_JOINING)
            _end_executors()
        while threads:
            for thread in threads:
                thread.join()
            threads = _threads()
    if _FINALIZERS in sys.modules:
        from tep_parallel._engine import multiprocessing

        if tell is not None:
            tell(_FINALIZING)
        multiprocessing.finish()


def _threads() -> list[Any]:
    """The threads that Python would join: all except daemons and this one."""
    threading = sys.modules.get("threading")
    if threading is None:
        return []
    return [
        thread
        for thread in threading.enumerate()
        if not thread.daemon and thread.ident not in (None, get_ident())
    ]


def _end_executors() -> None:
    """Let executors end their idle threads, as Python does before it joins threads: otherwise
    the join would never return."""
    threading: Any = sys.modules["threading"]
    here = threading.current_thread()
    for name, where in _KEPT:
        kept: Any = getattr(sys.modules.get(name), where, {})
        for thread in list(kept):
            # The threads of the host's executors are not in this process, but a wake-up would
            # reach them in the host. And one of them may have made this call.
            if thread is here or not thread.is_alive():
                del kept[thread]
    for call in reversed(list(getattr(threading, "_threading_atexits", ()))):
        call()


def after_failure(handle: object) -> None:
    """As before_last, for an item that failed: if the flush fails too, the first failure is the
    one that the caller gets."""
    try:
        before_last(handle)
    except Exception as error:  # noqa: BLE001  # a worker may have put anything there
        print(f"tep_parallel: output of a failed child was lost: {error}", file=sys.__stderr__)


def overstayed(pid: int, stage: int, timeout: float | None) -> str:
    """The host's warning of a child that was killed at its end.

    Args:
        pid: The child's.
        stage: What the child was doing, of enum sphttp_leaving.
        timeout: Seconds that an item may run; None: for ever.
    """
    limit = max(timeout or _LONGEST, _LEAST)
    what = _LEAVING.get(stage, "its end")
    msg = f"child {pid} was killed {limit:g} s after its last item, whose result is kept"
    return f"{msg}: {what} had not ended"
