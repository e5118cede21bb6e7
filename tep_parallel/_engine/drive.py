"""Drive the steps of a call: wait for what they wait for, and go on."""

from __future__ import annotations

from tep_parallel._engine.call import Call
from tep_parallel._engine.forked import Steps
from tep_parallel._engine.serial import Here
from tep_parallel._engine.waits import Wait
from tep_parallel._typing import Any


class _ClosedError(BaseException):
    """Thrown into steps that are to end."""


def advance(call: Call | Here, steps: Steps) -> None:
    """Drive the steps on until they have handed something out.

    Raises:
        StopIteration: They are over; its value is what they returned.
        Exception: What they raised.
    """
    word = next(steps)
    while type(word) is Wait:
        word = _answer(call, steps, word)


def _answer(call: Any, steps: Steps, word: Wait) -> Any:
    """Wait for what the steps wait for, and let them go on."""
    try:
        answer = call.wait(word)
    except BaseException as error:  # noqa: BLE001  # the steps end with it
        return steps.throw(error)
    return steps.send(answer)


def drain(call: Call | Here, steps: Steps) -> None:
    """Drive the steps to their end. Raises what they raise."""
    try:
        while True:
            advance(call, steps)
    except StopIteration as end:
        raised = end.value
    if raised is not None:
        try:
            raise raised
        finally:
            del raised  # otherwise it keeps this frame, and this frame it


def end(call: Call | Here, steps: Steps) -> None:
    """End steps that are not over, and all that they have started."""
    try:
        word = steps.throw(_ClosedError())
        while type(word) is Wait:
            word = _answer(call, steps, word)
    except (_ClosedError, StopIteration):
        pass
    finally:
        call.close()
