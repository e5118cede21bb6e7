"""What the items of scribble.py do, beside scribbling."""

from __future__ import annotations

import os
import random
import signal
import time
from typing import Any

from strays import Scribbler

from tep_parallel import Parallel, ParallelWorker

ASLEEP = 60.0  # seconds; somebody ends it


class Planned(Exception):
    """What an item raises on purpose."""


def expected(item: int) -> str:
    """The result of an item that returns one."""
    return f"{item}:" + "x" * (item % 7 * 300)


class Scribbling(ParallelWorker):
    """A worker whose items do as the plan says, which follows from the seed."""

    def __init__(self, seed: int, how: str, pids: list[int], options: dict[str, Any]) -> None:
        chance = random.Random(f"plan {seed}")
        self.seed, self.how, self.pids, self.options = seed, how, pids, options
        self.count = chance.choice([1, 2, 5, 20, 60])
        self.strays = set(chance.sample(range(self.count), min(self.count, chance.choice([1, 3]))))
        self.after = chance.choice(["", "", "", "kill", "exit", "raise", "sleep", "inner"])
        if how == "clocks":
            self.after = "sleep"
        if self.after == "sleep" and how != "clocks" and "deadline" not in options:
            self.after = "exit"  # whose word for it is there no more may run for ever

    def process(self, item: int) -> str:
        if item not in self.strays:
            time.sleep(0.002 if item % 5 == 0 else 0)
            return expected(item)
        chance = random.Random(f"item {self.seed} {item}")
        Scribbler(chance, self.pids, self.count).run(self.how)
        if self.after == "kill":
            os.kill(os.getppid(), signal.SIGKILL)
        elif self.after == "exit":
            os._exit(7)
        elif self.after == "raise":
            raise Planned(item)
        elif self.after == "inner":
            return Parallel(expected, in_processes=2).map_processes([1, item])[1]
        if self.after in ("kill", "sleep"):
            time.sleep(ASLEEP)
        return expected(item)


class WithHooks(Scribbling):
    """One that has something to do before its first and after its last item."""

    def setup(self) -> None:
        if 0 in self.strays and self.count > 2:
            Scribbler(random.Random(self.seed), self.pids, self.count).run("word")

    def teardown(self) -> None:
        if 1 in self.strays:
            Scribbler(random.Random(self.seed), self.pids, self.count).run("word")


class Bar:
    """A progress object that takes note."""

    total = 0

    def update(self, n: float) -> None:
        assert n > 0
        self.total += int(n)
