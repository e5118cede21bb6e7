"""The thread that drives all calls of an executor."""

from __future__ import annotations

import logging
import os
import select
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from contextlib import suppress
from typing import Any
from weakref import WeakSet

from tep_parallel._engine.options import Options
from tep_parallel._engine.task import (
    AfterInitializer,
    Function,
    InitializerError,
    Task,
    TaskFuture,
    name_of,
)
from tep_parallel._engine.waits import NOW
from tep_parallel._errors import DeadWorkerError

_LOGGER = logging.getLogger("concurrent.futures")
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
        self._pipe: tuple[int, int] | None = None

    def submit(self, fn: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> TaskFuture:
        """Have a function called.

        Raises:
            BrokenExecutor, RuntimeError: Nothing can be submitted.
            OSError: There are no descriptors.
        """
        worker = Function(fn, args, kwargs)
        if self._initializer is not None:
            worker = AfterInitializer(fn, args, kwargs)
            worker.initializer = self._initializer
        task = Task(worker, name_of(fn), self._options, self._wake)
        with self._lock:
            if self.broken is not None:
                raise BrokenExecutor(self.broken)
            if self._closed or _exits:
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
        self._pipe = _pipe()
        thread = threading.Thread(target=self._run, name="tep-executor")
        try:
            thread.start()
        except BaseException:
            self._close_pipe()
            raise
        self._thread = thread
        _drivers.add(self)

    def _wake(self, task: Task) -> None:
        self._woken.append(task)
        self._ring()

    def _ring(self) -> None:
        with self._lock:
            if self._pipe is not None and self.pid == os.getpid():
                with suppress(BlockingIOError):  # it has been rung often enough
                    os.write(self._pipe[1], b"\0")

    def _close_pipe(self) -> None:
        if self._pipe is not None:
            for fd in self._pipe:
                os.close(fd)
            self._pipe = None

    def anew(self) -> Driver:
        """Another for this process, which was forked from that of this one."""
        driver = Driver(self._most, self._options, self._initializer)
        driver.broken, driver._closed = self.broken, self._closed
        return driver

    def close(self, why: str, *, cancel: bool = False, end: signal.Signals | None = None) -> None:
        """Let nothing more be submitted; what was is done first.

        Args:
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
            thread.join()

    # --- In the thread ---

    def _run(self) -> None:
        try:
            while self._take_in():
                self._step_all(self._ready())
        except BaseException as error:
            self._break("the thread of this executor failed", error, list(self._running))
            raise
        finally:
            with self._lock:
                self._close_pipe()

    def _take_in(self) -> bool:
        """Take in what other threads want; whether there is, or will be, something to do."""
        while self._endings:
            self._end_running(self._endings.popleft())
        while self._woken:
            self._woken.popleft().until(NOW)
        while self._admit():
            pass
        with self._lock:
            over = bool(self._closed or self.broken or _exits)
            return not over or bool(self._running or self._pending)

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

    def _ready(self) -> list[Task]:
        """Wait until there is something to do; those tasks that can go on."""
        poller = select.poll()
        now = time.monotonic()
        most: float | None = None
        tasks: dict[int, Task] = {}
        ready: list[Task] = []
        for task in self._running:
            if task.descriptor >= 0:
                tasks[task.descriptor] = task
                poller.register(task.descriptor, select.POLLIN)
            if task.at is not None:
                most = min(task.at - now, most if most is not None else task.at - now)
        assert self._pipe is not None
        bell = self._pipe[0]
        poller.register(bell, select.POLLIN)
        for fd, _ in poller.poll(None if most is None else max(0, most * 1000)):
            if fd == bell:
                self._hear()
            else:
                ready.append(tasks[fd])
        now = time.monotonic()
        late = [task for task in self._running if task.at is not None and task.at <= now]
        return ready + [task for task in late if task not in ready]

    def _hear(self) -> None:
        assert self._pipe is not None
        try:
            while os.read(self._pipe[0], 4096):
                pass
        except BlockingIOError:
            pass
        except OSError:  # the host has closed all that it had open
            with self._lock:
                self._pipe = _pipe()

    def _step_all(self, tasks: list[Task]) -> None:
        while tasks:
            self._step(tasks.pop())

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


def _pipe() -> tuple[int, int]:
    ends = os.pipe()
    for fd in ends:
        os.set_blocking(fd, False)
    return ends


_drivers: WeakSet[Driver] = WeakSet()  # whose thread has begun
_exits: list[None] = []  # not empty: the interpreter ends


def _at_exit() -> None:
    """Before Python joins its threads: let each end when it has done what was submitted."""
    _exits.append(None)
    own = [driver for driver in list(_drivers) if driver.pid == os.getpid()]
    for driver in own:
        driver.close("interpreter shutdown")
    for driver in own:
        driver.join()


with suppress(AttributeError, RuntimeError):  # RuntimeError: it ends already
    threading._register_atexit(_at_exit)  # type: ignore[attr-defined]
