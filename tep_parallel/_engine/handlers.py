"""Tell whether an exception came out of a signal handler."""

from __future__ import annotations

import signal
from functools import partial
from types import CodeType


def raised_by_handler(error: BaseException) -> bool:
    """Whether a signal handler of this process raised `error`.

    Python calls handlers between any two instructions. So a `try` may catch an exception that
    has nothing to do with the code in it. A handler that this code calls itself counts too.
    """
    if isinstance(error, KeyboardInterrupt):
        return True  # the interpreter's own handler has no frame
    codes = {_code_of(signal.getsignal(number)) for number in signal.valid_signals()}
    frames = error.__traceback__
    while frames is not None:
        if frames.tb_frame.f_code in codes:
            return True
        frames = frames.tb_next
    return False


def _code_of(handler: object) -> CodeType | None:
    while isinstance(handler, partial):
        handler = handler.func
    function = getattr(handler, "__func__", handler)  # of a method
    if callable(function) and not hasattr(function, "__code__"):
        function = getattr(type(function), "__call__", None)  # noqa: B004  # an object's
    code = getattr(function, "__code__", None)
    return code if isinstance(code, CodeType) else None
