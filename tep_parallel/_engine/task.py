"""One call of an executor: a function and its arguments, for one child of its own."""

from __future__ import annotations

import errno
import logging
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import InvalidStateError
from contextlib import suppress
from pathlib import Path

from tep_parallel._engine.call import Call
from tep_parallel._engine.flow import Eager
from tep_parallel._engine.forked import opened, steps_of
from tep_parallel._engine.function import Function
from tep_parallel._engine.native import lib
from tep_parallel._engine.options import Options
from tep_parallel._engine.plan import Plan
from tep_parallel._engine.promise import TaskFuture, end_cancelled
from tep_parallel._engine.running import Running
from tep_parallel._engine.stepper import Stepper
from tep_parallel._engine.told import warn_of_overstayed
from tep_parallel._engine.waits import NOW, Until
from tep_parallel._errors import ParallelError, shown
from tep_parallel._typing import Any

_LOGGER = logging.getLogger("concurrent.futures")
# The system has no more of what a call takes, but will have when another call has ended.
_STARVED = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)


class InitializerError(Exception):
    """The initializer of an executor has failed in a child."""


class _Flow(Eager):
    def _raise_call_error(self) -> None:
        try:
            super()._raise_call_error()
        except Exception as error:
            raise InitializerError from error


class Task:
    """A call on its way. Only one thread drives it.

    Args:
        worker: What the child calls.
        name: What messages call it.
        options: The executor's.
        wake: Called by any thread when there is something to do for the task.

    Attributes:
        descriptor: What can be read when there is something to do for it; -1: nothing.
        at: When there is, by time.monotonic; None: at no time.
    """

    def __init__(
        self, worker: Function, name: str, options: Options, wake: Callable[[Task], None]
    ) -> None:
        self.future = TaskFuture()
        self.name = name
        self.descriptor = -1
        self.at: float | None = 0.0
        self._plan = Plan(worker, [name], options, "finish", Running(), known=[name])
        self._wake = wake
        self._call: Call | None = None
        self._flow: _Flow | None = None
        self._stepper: Stepper | None = None
        self._cancelled = False
        self._cut: BaseException | None = None  # what is raised in any case
        self._settled = False

    def cancel(self) -> bool:
        """The future's lock is held: end it, unless it has a result. Whether that is done."""
        if self._settled:
            return False
        if not self._cancelled:
            call = self._call
            if self._cut or (call is not None and call.committed(0)):
                return False
            self._cancelled = True
            self._wake(self)
        return True

    def admit(self) -> bool:
        """It is its turn; whether nobody has cancelled it."""
        self.future._task = self
        if self.future.set_running_or_notify_cancel():
            return True
        self.future._task = None
        return False

    def cut(self, error: BaseException) -> None:
        """End it, with this error."""
        self._cut = self._cut or error
        self._wake(self)

    def until(self, until: Until) -> None:
        """There is something to do for it then."""
        self.descriptor = until.descriptor
        self.at = None if until.seconds is None else time.monotonic() + until.seconds

    def is_late(self) -> bool:
        """Whether the time has come."""
        return self.at is not None and self.at <= time.monotonic()

    @property
    def starved(self) -> bool:
        """Whether it waits for another call to end."""
        return self.descriptor < 0 and self.at is None

    def terminate(self) -> bool:
        """Send its child a SIGTERM, and let none be tried again; whether there is one."""
        if self._call is None:
            return False
        self._call.stop()
        pid = int(self._call.result(0).pid)
        nursery = lib.sphttp_nest_pid(self._call.handle)
        return pid > 0 and _terminated(pid, nursery)

    def step(self, *, others: bool) -> bool:
        """Go on as far as possible now. Whether it is over, and its future done.

        Args:
            others: Whether other calls run. Then this one may wait until one of them has ended,
                if the system refuses what it takes.

        Raises:
            InitializerError: The initializer has failed.
        """
        try:
            until = self._ended() if self._cancelled or self._cut else self._stepped()
        except BaseException as error:
            if others and self._may_wait(error):
                self._drop()
                self.until(Until(-1))
                return False
            if type(error) is InitializerError and not self._cancelled:
                raise
            self.settle(None, error)
            return True
        if until is not None:
            self.until(until)
            return False
        self.settle(*self._result())
        return True

    def _stepped(self) -> Until | None:
        if self._stepper is None:
            call = opened(self._plan)
            flow = self._flow = _Flow(call, self._plan)
            self._call = call
            self._stepper = Stepper(call, steps_of(call, flow))
        until = self._stepper.step()
        return None if self._stepper.over else until or NOW

    def _ended(self) -> Until | None:
        if self._stepper is None:
            return None
        until = self._stepper.end()
        return None if self._stepper.over else until or NOW

    def _may_wait(self, error: BaseException) -> bool:
        """Whether the system has refused it what it takes, and no child has begun it."""
        refused = isinstance(error, OSError) and error.errno in _STARVED
        return refused and (self._call is None or self._call.result(0).attempts == 0)

    def _result(self) -> tuple[Any, BaseException | None]:
        if self._flow is None or self._call is None or self._cancelled or self._cut:
            return None, self._cut
        with suppress(RuntimeWarning):
            warn_of_overstayed(self._call, self._plan.options.timeout)
        values, failures = self._flow.result.results()
        breaks = self._flow.result.break_values
        if breaks:
            return breaks[0], None
        if not failures:
            return values[0], None
        error = failures[0][2]
        failures.clear()
        prefix = f"item 0 ({shown(self.name)})"
        if isinstance(error, ParallelError) and str(error).startswith(prefix):
            error.args = (f"{self.name}{str(error)[len(prefix) :]}", *error.args[1:])
        return None, error

    def _drop(self) -> None:
        """Nothing of the call is needed any more; what still runs of it is killed."""
        self._stepper = self._flow = self._call = None

    def settle(self, value: Any, error: BaseException | None) -> None:
        """Let its future be done: with this, unless it was cancelled."""
        self._drop()
        future = self.future
        with future._condition:
            self._settled = True
            future._task = None
            cancelled = self._cancelled
        try:
            if cancelled:
                end_cancelled(future)
            elif error is not None:
                future.set_exception(error)
            else:
                future.set_result(value)
        except InvalidStateError:  # somebody else has set it
            pass
        except BaseException:  # sys.exit, say: it must not end the calls of others
            _LOGGER.exception("exception calling callback for %r", future)
        del error  # otherwise it keeps this frame, and this frame it


def _terminated(pid: int, parent: int) -> bool:
    """Send a SIGTERM to a process that is a child of `parent`: the number may be another's."""
    try:
        fd = os.pidfd_open(pid)
    except AttributeError:  # not on this system
        os.kill(pid, signal.SIGTERM)
        return True
    except OSError:
        return False
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        if int(stat.rpartition(")")[2].split()[1]) != parent:
            return False
        signal.pidfd_send_signal(fd, signal.SIGTERM)
    except (OSError, ValueError):
        return False
    finally:
        os.close(fd)
    return True
