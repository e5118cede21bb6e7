"""The future of a call that can be killed."""

from __future__ import annotations

from concurrent.futures import Future

from tep_parallel._typing import Any, Protocol


class Cancellable(Protocol):
    """A call that runs."""

    def cancel(self) -> bool:
        """The future's lock is held: end it, unless it has a result. Whether that is done."""


class TaskFuture(Future[Any]):
    """The future of a call. It can be cancelled while the call runs."""

    _task: Cancellable | None = None

    def cancel(self) -> bool:
        """Cancel the call; kill what runs of it. Whether it is, or will be, cancelled.

        The state of a call that runs stays as it is until all of it has ended. A result that
        comes in the meantime is dropped.
        """
        if super().cancel():
            return True
        with self._condition:
            return self._task is not None and self._task.cancel()


def end_cancelled(future: TaskFuture) -> None:
    """Let a future that runs be cancelled, as if it had not run yet."""
    with future._condition:
        future._state = "CANCELLED"
        future._condition.notify_all()
    future._invoke_callbacks()  # type: ignore[attr-defined]
    future.set_running_or_notify_cancel()
