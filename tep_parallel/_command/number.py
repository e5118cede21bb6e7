"""Numbers that are typed."""

from __future__ import annotations

import argparse

_MOST = (1 << 31) - 1
_MOST_PROCESSES = 10_000


def count(text: str, most: int = _MOST) -> int:
    """A whole number, 0 or more.

    Args:
        text: What was typed.
        most: The largest that is accepted.
    """
    try:
        number = int(text)
    except ValueError:
        number = -1
    if not 0 <= number <= most:
        expected = "0 or more" if number < 0 else f"{most} at most"
        msg = f"expected {expected}, got {text[:40]!r}"
        raise argparse.ArgumentTypeError(msg)
    return number


def processes(text: str) -> int:
    """How many there may be at once."""
    return count(text, _MOST_PROCESSES)
