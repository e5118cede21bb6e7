"""Side by side: every contender once a round, in turn, and the median of the ratios."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Row:
    """One contender's figures.

    Attributes:
        name: The contender.
        seconds: The median of its rounds.
        ratio: The median, round by round, of our time over its time.
    """

    name: str
    seconds: float
    ratio: float


def compare(
    ours: str, contenders: dict[str, Callable[[], object]], *, rounds: int, calls: int = 1
) -> list[Row]:
    """Time each contender `calls` times a round, for `rounds` rounds after one warm-up.

    The order is turned by one place each round, so that none always runs after the same one.
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    for turn in range(rounds + 1):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            gc.collect()
            begun = time.perf_counter()
            for _ in range(calls):
                contenders[name]()
            if turn > 0:
                times[name].append((time.perf_counter() - begun) / calls)
    return [
        Row(
            name,
            statistics.median(taken),
            statistics.median(a / b for a, b in zip(times[ours], taken, strict=True)),
        )
        for name, taken in times.items()
    ]


def show(title: str, rows: list[Row]) -> None:
    """Print the rows as a table."""
    print(f"\n{title}")
    print(f"  {'':28}{'ms a call':>12}{'ours / this':>14}")
    for row in rows:
        print(f"  {row.name:28}{row.seconds * 1e3:>12.2f}{row.ratio:>14.3f}", flush=True)
