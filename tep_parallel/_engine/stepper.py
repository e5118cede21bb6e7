"""Drive the steps of a call from a loop that waits for many things: nothing here waits."""

from __future__ import annotations

import time

from tep_parallel._engine.call import Call
from tep_parallel._engine.forked import Steps
from tep_parallel._engine.waits import END, MOST_NS, NOW, Until, Wait


class _ClosedError(BaseException):
    """Thrown into steps that are to end."""


class Stepper:
    """A call that is driven without waiting.

    Args:
        call: The call; no step of it was taken.
        steps: Its steps.

    Attributes:
        over: Whether the steps are over, and nothing of the call runs any more.
    """

    def __init__(self, call: Call, steps: Steps) -> None:
        call.wait_elsewhere()
        self.over = False
        self._call = call
        self._steps: Steps | None = steps
        self._word: Wait | None = None  # what is waited for
        self._ends = False  # whether it ends early, and was told so
        self._error: BaseException | None = None  # what is raised once nothing runs any more

    def step(self) -> Until | None:
        """Go on as far as possible now, for some milliseconds. When to call this again; None:
        something was put into `out` of the call, or it is over.

        Raises:
            RuntimeError: A function of the caller's raised StopIteration.
            Exception: What the steps raise, once nothing of the call runs any more. See steps_of.
        """
        until: Until | None = None
        end = time.monotonic_ns() + MOST_NS
        while not self.over and until is None:
            try:
                answer = 0 if self._word is None else self._call.ask(self._word)
            except BaseException as error:  # noqa: BLE001  # the steps end with it
                self._throw(error)
            else:
                if type(answer) is Until:
                    until = answer
                elif self._steps is None:
                    self._finish()
                else:
                    self._advance(self._steps, answer)  # type: ignore[arg-type]
                    if self._word is None:
                        break
                    if time.monotonic_ns() >= end:
                        return NOW
        return until

    def throw(self, error: BaseException) -> Until | None:
        """End the call early: kill what runs, and go on as with step, which raises the error once
        all has ended. Of several errors the first is raised, and no other disturbs the end."""
        try:
            if self._steps is None:
                self._error = self._error or error
            elif not self._ends:
                self._throw(error)
            return self.step()
        finally:
            del error  # otherwise it keeps this frame, and this frame it

    def end(self) -> Until | None:
        """The same without an error: in the end nothing is raised."""
        return self.throw(_ClosedError())

    def _advance(self, steps: Steps, answer: int) -> None:
        """Let the steps go on."""
        try:
            self._word = next(steps) if self._word is None else steps.send(answer)
        except BaseException as error:  # noqa: BLE001  # it is raised once nothing runs any more
            self._stop(error)

    def _throw(self, error: BaseException) -> None:
        """Let the steps end with an error."""
        self._ends = True
        try:
            if self._steps is None:  # what ends here has been tried, and raised that
                self._error = self._error or error
                self._finish()
            else:
                self._word = self._steps.throw(error)
        except BaseException as raised:
            if self._steps is None:
                raise
            self._stop(raised)  # it is raised once nothing runs any more
        finally:
            del error  # otherwise it keeps this frame, and this frame it

    def _stop(self, error: BaseException) -> None:
        """The steps are over. They may have left something that runs."""
        self._steps, self._word = None, END
        if type(error) is not StopIteration:
            self._error = error
        elif error.value is not None:
            msg = "a function of the caller's raised StopIteration"
            self._error = RuntimeError(msg)
            self._error.__cause__ = error.value

    def _finish(self) -> None:
        """Nothing of the call runs any more."""
        self.over = True
        error, self._error = self._error, None
        try:
            if error is not None and type(error) is not _ClosedError:
                raise error
        finally:
            del error  # otherwise it keeps this frame, and this frame it
