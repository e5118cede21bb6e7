"""The exceptions of the library.

ParallelError
├── WorkerError          process() raised what cannot be raised here as itself
├── DeadWorkerError      the child ended without a result
├── ItemTimeoutError     the item was killed at its timeout (also a TimeoutError)
├── DeadlineError        the call was killed at its deadline (also a TimeoutError)
├── AbortedError         the call was ended by Parallel.abort
└── TamperedResultError  a record is not the one that the child wrote
"""

from __future__ import annotations

import os

from tep_parallel._typing import TYPE_CHECKING, Any, public

if TYPE_CHECKING:
    from tep_parallel._outcome import Outcome


@public
class ParallelError(Exception):
    """An item failed, and not with an exception of its worker.

    Args:
        message: What happened.
        index: The item's place in the input, from 0.
        item: The item.
    """

    def __init__(self, message: str, *, index: int | None = None, item: object = None) -> None:
        super().__init__(message)
        self.index = index
        self.item = item

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive BaseException's own __reduce__.
        return (_rebuild, (type(self), self.args, self.__dict__))


def _rebuild(
    kind: type[ParallelError], args: tuple[str, ...], state: dict[str, object]
) -> ParallelError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


@public
class WorkerError(ParallelError):
    """`process` raised what cannot be raised in this process as itself.

    This process has no such class, or rebuild_exceptions=False was given, or the exception
    would mean something else here: StopIteration, StopAsyncIteration, and what is not an
    Exception.

    Args:
        remote_type: The name of its type, with the module's name unless that is builtins.
        remote_traceback: The traceback, as the child would have printed it.
    """

    def __init__(
        self,
        message: str,
        *,
        index: int | None = None,
        item: object = None,
        remote_type: str = "",
        remote_traceback: str = "",
    ) -> None:
        super().__init__(message, index=index, item=item)
        self.remote_type = remote_type
        self.remote_traceback = remote_traceback


@public
class DeadWorkerError(ParallelError):
    """The child ended without a result: a signal killed it, or it ended by itself.

    Args:
        pid: The child's; None if there was no child.
        exit_code: 0 to 255 if the child ended by itself; otherwise None.
        signal: The signal that killed the child; otherwise None.

    Exit code and signal are None if nobody saw the end: the nursery, which is the process
    between the host and its children, had been killed too.
    Source: WIFEXITED and WIFSIGNALED, POSIX waitpid().
    """

    def __init__(
        self,
        message: str,
        *,
        index: int | None = None,
        item: object = None,
        pid: int | None = None,
        exit_code: int | None = None,
        signal: int | None = None,
    ) -> None:
        super().__init__(message, index=index, item=item)
        self.pid = pid
        self.exit_code = exit_code
        self.signal = signal


@public
class ItemTimeoutError(ParallelError, TimeoutError):
    """The item was still running at its `timeout`, and its child was killed."""


@public
class DeadlineError(ParallelError, TimeoutError):
    """The call was not over at its `deadline`, and everything was killed.

    Args:
        outcomes: The Outcome of each item that had ended by then, in input order. If the call
            is an iterator, those that it had not handed out.
    """

    def __init__(self, message: str, *, outcomes: list[Outcome[Any]]) -> None:
        super().__init__(message)
        self.outcomes = outcomes


@public
class AbortedError(ParallelError):
    """Parallel.abort ended the call, and everything was killed.

    Args:
        outcomes: The Outcome of each item that had ended by then, in input order. If the call
            is an iterator, those that it had not handed out.
    """

    def __init__(self, message: str, *, outcomes: list[Outcome[Any]]) -> None:
        super().__init__(message)
        self.outcomes = outcomes


@public
class TamperedResultError(ParallelError):
    """The record of a result is not the one that its child wrote: its MAC is wrong, or its
    header makes no sense. Somebody else wrote to it."""


def shown(item: object) -> str:
    """The item as messages show it: its repr, shortened if it is long."""
    if isinstance(item, str | bytes) and len(item) > 100:
        return f"{item[:80]!r}..."
    try:
        text = repr(item)
    except Exception as broken:  # noqa: BLE001  # a __repr__ may raise anything
        return f"<{type(item).__name__}, whose __repr__ raised {type(broken).__name__}>"
    return text if len(text) <= 100 else f"{text[:80]}...{text[-16:]}"


def message_of(error: BaseException) -> str:
    """The text of an exception, also if its __str__ raises."""
    try:
        return str(error)
    except KeyboardInterrupt:
        raise
    except BaseException as broken:  # noqa: BLE001  # a __str__ may raise anything
        return f"<its __str__ raised {type(broken).__name__}>"


_SIGKILL = 9  # importing signal takes long

# An item that failed: its index, the item, and what is raised for it.
Failure = tuple[int, object, BaseException]


def cut_short(index: int, item: object, pid: int | None) -> DeadWorkerError:
    """The error for a child that was killed because the whole call was cut short."""
    what = "it was given up" if pid is None else f"child {pid} was killed"
    message = f"item {index} ({shown(item)}): {what}: the call was cut short"
    return DeadWorkerError(message, index=index, item=item, pid=pid, signal=_SIGKILL)


def not_begun(index: int, item: object, *, stopped: bool) -> DeadWorkerError:
    """The error for an item that no child had begun when the call was over."""
    why = "the call was stopped" if stopped else "its nursery was killed"
    message = f"item {index} ({shown(item)}) was not begun: {why}"
    return DeadWorkerError(message, index=index, item=item)


def nursery_gone(pulled: int) -> DeadWorkerError:
    """The error of an iterating call whose nurseries were killed before they began anything."""
    return DeadWorkerError(f"no more than {pulled} items were pulled: the nursery was killed")


def dead_in_setup(pid: int | None, wait_status: int, *, by: str = "setup") -> DeadWorkerError:
    """The error of a call whose worker ended a child in `by`, with `wait_status`."""
    return _dead(f"{by} ended its child", pid, wait_status)


def dead(index: int, item: object, pid: int | None, wait_status: int) -> DeadWorkerError:
    """The error for a child that ended with `wait_status`; below 0: nobody saw its end."""
    error = _dead(f"item {index} ({shown(item)})", pid, wait_status)
    error.index, error.item = index, item
    return error


def _dead(where: str, pid: int | None, wait_status: int) -> DeadWorkerError:
    if wait_status < 0:
        who = "its child" if pid is None else f"child {pid}"
        return DeadWorkerError(f"{where}: {who} was killed with its nursery", pid=pid)
    if os.WIFSIGNALED(wait_status):
        number = os.WTERMSIG(wait_status)
        from signal import strsignal  # it takes long to load, and few calls need it

        name = strsignal(number) or "unknown"
        message = f"{where}: child {pid} was killed by signal {number} ({name})"
        return DeadWorkerError(message, pid=pid, signal=number)
    code = os.WEXITSTATUS(wait_status)
    message = f"{where}: child {pid} ended without a result, exit code {code}"
    return DeadWorkerError(message, pid=pid, exit_code=code)
