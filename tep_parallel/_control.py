"""What `process` may raise to end the call early."""

from __future__ import annotations


class Break(BaseException):  # no error, and `except Exception` lets it through
    """Raised in `process`: begin no new item, and return `value` when those that run have ended.

    It wins over any failure. Where several items raise it, the first by input order counts.

    Args:
        value: What the call returns in place of its results; it crosses as a result does,
            so without a codec it is a str, or None.

    Source: `Parallel::Break` of grosser/parallel, lib/parallel.rb.
    """

    def __init__(self, value: object = None) -> None:
        super().__init__(value)
        self.value = value


class Kill(Break):
    """Raised in `process`: as Break, but what runs is killed at once.

    Source: `Parallel::Kill` of grosser/parallel, lib/parallel.rb.
    """
