"""multiprocessing's own objects in a child: its queues, managers and locks work there as in a
process of its own making.

Imported only where the host, or the worker, has imported multiprocessing itself.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from multiprocessing import process, util
from typing import Any

# Not in the stubs.
_process: Any = process
_util: Any = util


def enter(host: int, slot: int) -> None:
    """In a child: be a process of multiprocessing's, with nothing of the host's to end.

    Source: BaseProcess._bootstrap in CPython's multiprocessing/process.py.

    Args:
        host: Its pid.
        slot: This child's place among those alive.
    """
    _drop(host, slot)
    _util._run_after_forkers()


def _drop(host: int, slot: int) -> None:
    """Forget what is the host's: its finalizers first, for they would run as what they
    belong to goes."""
    _util._finalizer_registry.clear()
    _util._exiting = False
    _process._children = set()
    name = _process._current_process.name
    _process._process_counter = itertools.count(slot + 1)
    itself = process.BaseProcess(name=f"ParallelProcess-{slot + 1}")
    itself._parent_pid = host  # type: ignore[attr-defined]
    _process._process_counter = itertools.count(1)
    _process._current_process = itself
    _process._parent_process = None
    with contextlib.suppress(OSError):  # where there is no pidfd_open, it stays as if it had none
        # It can be read when the host has ended; the child closes it by ending.
        _process._parent_process = _process._ParentProcess(name, host, os.pidfd_open(host))


def finish() -> None:
    """At a child's end: what multiprocessing does at that of a process."""
    # Another thread of the host's may have imported it just before the fork: its processes
    # are not for this one to end.
    here = os.getpid()
    _process._children = {one for one in _process._children if one._parent_pid == here}
    _util._exit_function()
