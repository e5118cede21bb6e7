"""What counts as a number in an argument."""

from __future__ import annotations

import sys
from operator import index

from tep_parallel._typing import Any


def whole(value: Any) -> int | None:
    """The int that `value` is, or stands for, as numpy's ints do; None if it is no such thing."""
    if isinstance(value, bool):
        return None
    try:
        return index(value)
    except TypeError:
        return None


def real(value: Any) -> Any:
    """The number that `value` is, of any kind that can be compared; None if it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return value
    count = whole(value)
    if count is not None:
        return count
    from numbers import Real  # few calls need it

    # Decimal is not registered as Real, since it cannot be added to a float.
    decimal = sys.modules.get("decimal")
    if isinstance(value, Real) or (decimal is not None and isinstance(value, decimal.Decimal)):
        return value
    return None
