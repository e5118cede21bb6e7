"""The thread that drives all calls of an executor."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import BrokenExecutor

from tep_parallel._engine import exits
from tep_parallel._engine.bell import Bell, woken
from tep_parallel._engine.function import function_of, name_of
from tep_parallel._engine.options import Options
from tep_parallel._engine.promise import TaskFuture
from tep_parallel._engine.task import InitializerError, Task
from tep_parallel._engine.waits import NOW
from tep_parallel._errors import DeadWorkerError
from tep_parallel._typing import Any

_LOGGER = logging.getLogger("concurrent.futures")
_GLANCE = 0.2  # seconds
_BROKEN = "the initializer of this executor failed in a child"


class Driver:
    """Runs calls, each in a child of its own, in a thread that begins with the first of them.

    Args:
        most: How many may run at once.
        options: What all have in common.
        initializer: What each child calls first; None: nothing.

    Attributes:
        broken: Why no more can be submitted: the initializer failed.
    """

    def __init__(
        self, most: int, options: Options, initializer: Callable[[], object] | None
    ) -> None:
        self.broken: str | None = None
        self.pid = os.getpid()
        self._most = most
        self._options = options
        self._initializer = initializer
        # A signal handler may submit, too.
        self._lock = threading.RLock()
        self._pending: deque[Task] = deque()
        self._running: list[Task] = []
        self._woken: deque[Task] = deque()
        self._endings: deque[signal.Signals] = deque()
        self._closed = ""  # why nothing can be submitted
        self._thread: threading.Thread | None = None
        self._over = threading.Event()  # the thread has done all
        self._heirs: dict[int, Driver] = {}  # by their processes, which were forked from this
        self._bell: Bell | None = None

    def submit(self, fn: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> TaskFuture:
        """Have a function called.

        Raises:
            BrokenExecutor, RuntimeError: Nothing can be submitted.
            OSError: There are no descriptors.
        """
        worker = function_of(self._initializer, fn, args, kwargs)
        task = Task(worker, name_of(fn), self._options, self._wake)
        with self._lock:
            if self.broken is not None:
                raise BrokenExecutor(self.broken)
            if self._closed or exits.ends():
                why = self._closed or "interpreter shutdown"
                msg = f"cannot schedule new futures after {why}"
                raise RuntimeError(msg)
            self._start()
            self._pending.append(task)
            self._ring()
        return task.future

    def _start(self) -> None:
        if self._thread is not None:
            return
        bell = Bell()
        thread = threading.Thread(target=self._run, args=(bell,), name="tep-executor")
        self._bell = bell
        try:
            thread.start()
        except BaseException:  # a Ctrl-C, too: then it may run, and sees that it is not wanted
            self._bell = None
            bell.close()
            raise
        self._thread = thread
        exits.enter(self)

    def _wake(self, task: Task) -> None:
        self._woken.append(task)
        self._ring()

    def _ring(self) -> None:
        if self.pid != os.getpid():
            return  # it is the parent's, and its lock may be held there
        with self._lock:
            if self._bell is not None:
                self._bell.ring()

    def anew(self) -> Driver:
        """The one for this process, which was forked from that of this one."""
        other = Driver(self._most, self._options, self._initializer)
        other.broken, other._closed = self.broken, self._closed
        return self._heirs.setdefault(os.getpid(), other)  # another thread may have been here

    def close(
        self, why: str = "", *, cancel: bool = False, end: signal.Signals | None = None
    ) -> None:
        """Let nothing more be submitted; what was is done first.

        Args:
            why: What messages say. Nothing: the interpreter ends, and not that of a child.
            cancel: Whether what must wait for its turn is cancelled.
            end: How all that runs is ended: SIGTERM goes to each child, which may do something
                else. Then all that does not run yet is cancelled, too.
        """
        if self.pid != os.getpid():
            return  # it is the parent's, and its lock may be held there
        with self._lock:
            self._closed = self._closed or why
            left = list(self._pending) if cancel or end is not None else []
            if end is None:
                # The turn of these has come, and the thread is on its way.
                left = left[max(0, self._most - len(self._running)) :]
            else:
                self._endings.append(end)
            self._ring()
        for task in left:  # not under the lock: they have callbacks
            task.future.cancel()

    def join(self) -> None:
        """Wait until all is done that was submitted."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            # Not in one wait: a Ctrl-C just before one is seen at its end. And not in a join:
            # before Python 3.13 one that a Ctrl-C interrupts takes the thread for ended.
            while not self._over.wait(_GLANCE):
                pass
            thread.join()

    def _run(self, bell: Bell) -> None:
        with self._lock:
            if self._bell is not bell:
                return
        try:
            while self._take_in():
                assert self._bell is not None
                ready = woken(self._bell, self._running)
                self._mend_bell()
                while ready:
                    self._step(ready.pop())
        except BaseException as error:
            self._break("the thread of this executor failed", error, list(self._running))
            raise
        finally:
            with self._lock:
                last, self._bell = self._bell, None
            if last is not None:
                last.close()
            self._over.set()

    def _take_in(self) -> bool:
        """Take in what other threads want; whether there is, or will be, something to do."""
        while self._endings:
            self._end_running(self._endings.popleft())
        while self._woken:
            self._woken.popleft().until(NOW)
        while self._admit():
            pass
        with self._lock:
            more = not (self._closed or self.broken or exits.ends())
            return more or bool(self._running or self._pending)

    def _mend_bell(self) -> None:
        with self._lock:
            bell = self._bell
            assert bell is not None
            if not (bell.in_doubt and bell.is_lost):
                return
            bell.close()
            self._bell = Bell()
        for task in self._running:  # what it waits for has been closed, too
            msg = f"{task.name}: this process has closed the descriptors of its call"
            task.cut(DeadWorkerError(msg, item=task.name))

    def _admit(self) -> bool:
        """Let the next one run; whether its turn has come."""
        with self._lock:
            if len(self._running) >= self._most or not self._pending:
                return False
            task = self._pending.popleft()
            self._running.append(task)
        if not task.admit():
            self._running.remove(task)
        return True

    def _end_running(self, how: signal.Signals) -> None:
        for task in self._running:
            if how == signal.SIGKILL or not task.terminate():
                msg = f"{task.name}: its child was killed with all workers of the executor"
                task.cut(DeadWorkerError(msg, item=task.name, signal=signal.SIGKILL))

    def _step(self, task: Task) -> None:
        others = any(other is not task and not other.starved for other in self._running)
        try:
            over = task.step(others=others)
        except InitializerError as error:
            self._running.remove(task)
            self._break(_BROKEN, error.__cause__, [task])
            return
        if over:
            self._running.remove(task)
            for other in self._running:
                if other.starved:
                    other.until(NOW)

    def _break(self, why: str, error: BaseException | None, tasks: list[Task]) -> None:
        """Nothing can be run any more; tell those that wait for it, and these."""
        with self._lock:
            before, self.broken = self.broken, why
            waiting, self._pending = list(self._pending), deque()
        if before is None:
            kind = "Exception in initializer:" if why == _BROKEN else f"{why}:"
            _LOGGER.critical(kind, exc_info=error)
        for task in tasks + [task for task in waiting if task.admit()]:
            broken = BrokenExecutor(why)
            broken.__cause__ = error
            task.settle(None, broken)
