"""What the command is given to work on: files, standard input; and its errors."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Iterator

from tep_parallel._command.report import failure

STANDARD_INPUT = "-"  # the name by which a command line has it


class WrongUsageError(Exception):
    """What was typed cannot be done. The message says why."""


class RefusedError(Exception):
    """The system refused what a call needs. The message says what."""


@contextlib.contextmanager
def asking_the_system() -> Iterator[None]:
    """A block with a call of the library in it. Ctrl-C raises KeyboardInterrupt there.

    Raises:
        RefusedError: The block raised OSError.
    """
    deadly = signal.getsignal(signal.SIGINT) is signal.SIG_DFL  # see __main__
    if deadly:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    except OSError as error:
        raise RefusedError(str(error)) from error
    finally:
        if deadly:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


def content(path: str) -> bytes:
    """Every byte of a file."""
    with open(path, "rb") as file:
        return file.read()


def content_for(option: str, path: str) -> bytes:
    """Every byte of the file that an option names.

    Raises:
        WrongUsageError: The file cannot be read.
    """
    try:
        return content(path)
    except OSError as error:
        msg = f"{option}: {failure(path, error)}"
        raise WrongUsageError(msg) from error


def standard_input() -> Iterator[bytes]:
    """Every byte of standard input, piece by piece, also if it is in non-blocking mode.

    Raises:
        OSError: Standard input is closed, or cannot be read.
    """
    if sys.stdin is None:  # the shell's <&-
        raise OSError(errno.EBADF, "closed")
    while True:
        try:
            piece = os.read(sys.stdin.fileno(), 1 << 18)
        except BlockingIOError:
            import select  # few need it

            select.select([sys.stdin.fileno()], [], [])
            continue
        if not piece:
            return
        yield piece


def all_of_standard_input(what: str) -> bytes:
    """Every byte of standard input.

    Args:
        what: What it is read for; the message begins with this.

    Raises:
        WrongUsageError: Standard input cannot be read.
    """
    try:
        return b"".join(standard_input())
    except OSError as error:
        msg = f"{what}: standard input: {error.strerror}"
        raise WrongUsageError(msg) from error


def split(content: bytes, *, nul: bool = False) -> list[str]:
    """The items, each ended by a newline or a NUL. The last one need not be."""
    return [os.fsdecode(item) for item in pieces(content, nul=nul)]


def pieces(content: bytes, *, nul: bool = False) -> list[bytes]:
    """The same as bytes."""
    items = content.split(b"\0" if nul else b"\n")
    if not items[-1]:
        items.pop()
    return items
