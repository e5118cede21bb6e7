"""Drive the steps of a call: wait for what they wait for, and go on."""

from __future__ import annotations

from typing import Any

from tep_parallel._engine.call import Call, Wait
from tep_parallel._engine.forked import Steps


def advance(call: Call, steps: Steps) -> Any:
    """Drive the steps on until they hand something out, and return that.

    Raises:
        StopIteration: They are over.
        Exception: See steps.
    """
    word = next(steps)
    while type(word) is Wait:
        try:
            answer = call.wait(word)
        except BaseException as error:  # noqa: BLE001  # the steps end with it
            word = steps.throw(error)
        else:
            word = steps.send(answer)
    return word
