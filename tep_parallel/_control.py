"""Break and Kill: what `process` may raise to end the call early."""

from __future__ import annotations

from tep_parallel._typing import public


@public
class Break(BaseException):  # it is not an error, and must pass `except Exception`
    """Raise it in `process` to end the call early: no new item begins, running items may end.

    The call then returns `value`, even if items failed. If several items raise Break, the
    first by input order counts.

    Args:
        value: What the call returns in place of its results. Without a codec it is a str or
            None, since it is sent as a result is.

    Source: `Parallel::Break` of grosser/parallel, lib/parallel.rb.
    """

    def __init__(self, value: object = None) -> None:
        super().__init__(value)
        self.value = value


@public
class Kill(Break):
    """Raise it in `process` to end the call at once: like Break, but running items are killed.

    Source: `Parallel::Kill` of grosser/parallel, lib/parallel.rb.
    """
