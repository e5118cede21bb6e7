"""What the steps of a call may wait for, and what that comes to for who must not wait."""

from __future__ import annotations

from tep_parallel._typing import NamedTuple


class Wait:
    """What the steps of a call may wait for; see forked.py."""


WORD = Wait()  # what the call has to say: the answer is what `run` returned
TURN = Wait()  # nothing: there is more to do, and others may go on before
END = Wait()  # the end of its nursery
LEFT = Wait()  # the end of kept children that no other call may have


class Until(NamedTuple):
    """When to ask again: as soon as `descriptor` can be read, or so many seconds have passed.

    Attributes:
        descriptor: -1: there is none.
        seconds: None: any time.
    """

    descriptor: int
    seconds: float | None = None


FAREWELL = 3.0  # seconds that what was told to end has for it
MOST_NS = 5_000_000  # that whoever must not wait takes of its thread at a time
NOW = Until(-1, 0.0)  # there is more to do, and whoever else wants to go on may do so before
