"""Numbers that are typed."""

from __future__ import annotations

import argparse


def count(text: str) -> int:
    """A whole number, 0 or more."""
    try:
        number = int(text)
    except ValueError:
        number = -1
    if number < 0:
        msg = f"expected 0 or more, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return number
