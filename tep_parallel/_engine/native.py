"""The one door to the extension; importing this module loads it."""

from __future__ import annotations

import os
from typing import NoReturn

_ELSEWHERE = "tep_parallel forks from the main interpreter only, not from a subinterpreter"

try:
    from tep_parallel._sphttp import ffi, lib
except ImportError as error:
    if "subinterpreter" not in str(error):
        raise
    raise RuntimeError(_ELSEWHERE) from error

__all__ = ["fail", "ffi", "lib"]


def fail(code: int, doing: str) -> NoReturn:
    """Raise what the C core returned.

    Args:
        code: -errno, or SPHTTP_NOT_MAIN.
        doing: What was being done.
    """
    if code == lib.SPHTTP_NOT_MAIN:
        raise RuntimeError(_ELSEWHERE)
    raise OSError(-code, f"{os.strerror(-code)}, while {doing}")
