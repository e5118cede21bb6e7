"""Drive the steps of a call: wait for what they wait for, and go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tep_parallel._engine.call import Call, Wait
from tep_parallel._engine.forked import Steps
from tep_parallel._engine.serial import Here


class _ClosedError(BaseException):
    """Thrown into steps that are to end."""


def advance(call: Call | Here, steps: Steps) -> Sequence[Any]:
    """Drive the steps on until they hand something out, and return that, at least one value.

    Raises:
        StopIteration: They are over; its value is what they returned.
        Exception: What they raised.
    """
    if isinstance(call, Here):
        return [next(steps)]  # in no variable: an item's exception may have this frame in reach
    word = next(steps)
    while type(word) is Wait:
        word = _answer(call, steps, word)
    return word  # type: ignore[no-any-return]


def _answer(call: Any, steps: Steps, word: Wait) -> Any:
    """Wait for what the steps wait for, and let them go on."""
    try:
        answer = call.wait(word)
    except BaseException as error:  # noqa: BLE001  # the steps end with it
        return steps.throw(error)
    return steps.send(answer)


def drain(call: Call | Here, steps: Steps, keep: Callable[[Sequence[Any]], object]) -> None:
    """Drive the steps to their end, and keep all that they hand out. Raises what they raise."""
    try:
        while True:
            keep(advance(call, steps))
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
