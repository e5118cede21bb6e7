"""The one module that imports the extension. Importing it loads the extension."""

from __future__ import annotations

import errno
import os

from tep_parallel._typing import NoReturn

_ELSEWHERE = "tep_parallel forks from the main interpreter only, not from a subinterpreter"

try:
    from tep_parallel._sphttp import ffi, lib
except ImportError as error:
    if "subinterpreter" not in str(error):
        raise
    raise RuntimeError(_ELSEWHERE) from error

__all__ = ["fail", "ffi", "file_error", "lib"]


def fail(code: int, doing: str) -> NoReturn:
    """Raise the exception for an error that the C core returned.

    Args:
        code: -errno, or SPHTTP_NOT_MAIN.
        doing: What was being done; it ends the message.
    """
    if code == lib.SPHTTP_NOT_MAIN:
        raise RuntimeError(_ELSEWHERE)
    raise OSError(-code, f"{os.strerror(-code)}, while {doing}")


def file_error(code: int, path: object) -> OSError:
    """The exception for what the C core returned of a file: -errno, or SPHTTP_NOT_A_FILE."""
    if code == lib.SPHTTP_NOT_A_FILE:
        return OSError(errno.EINVAL, "not a regular file", path)
    return OSError(-code, os.strerror(-code), path)
