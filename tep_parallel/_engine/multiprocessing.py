"""A child as a process of multiprocessing: its queues, managers and locks work in children.

This module is imported only if the host or the worker has imported multiprocessing.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from multiprocessing import process, util

from tep_parallel._typing import Any

# Not in the stubs.
_process: Any = process
_util: Any = util


def enter(host: int, slot: int) -> None:
    """In a child: become a process of multiprocessing that has nothing of the host to end.

    The finalizers are dropped first: they would run when the objects go to which they belong.

    Source: BaseProcess._bootstrap in CPython's multiprocessing/process.py.

    Args:
        host: The host's pid.
        slot: This child's number among the living children.
    """
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
    with contextlib.suppress(OSError):  # no pidfd_open: the child then has no parent process
        # The descriptor is readable when the host has ended. The child's end closes it.
        _process._parent_process = _process._ParentProcess(name, host, os.pidfd_open(host))
    _util._run_after_forkers()


def finish() -> None:
    """At a child's end: what multiprocessing does at the end of a process."""
    # Another thread of the host may have imported multiprocessing just before the fork, and
    # started processes: they are not this child's to end.
    here = os.getpid()
    _process._children = {one for one in _process._children if one._parent_pid == here}
    _util._exit_function()
