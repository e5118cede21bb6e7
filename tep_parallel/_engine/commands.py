"""Commands in place of a worker: each item is a program that the nursery executes."""

from __future__ import annotations

import os
from collections.abc import Iterator

from tep_parallel._engine.call import Call
from tep_parallel._engine.fed import Fed
from tep_parallel._engine.native import fail, lib
from tep_parallel._engine.options import Options
from tep_parallel._engine.plan import Plan
from tep_parallel._engine.running import Running
from tep_parallel._engine.source import Coming
from tep_parallel._engine.stream import Stream
from tep_parallel._errors import nursery_gone
from tep_parallel._outcome import Outcome
from tep_parallel._typing import Any

_LEAST_AHEAD, _AHEAD = 16, 4  # items that are pulled ahead: at least, and for each command


class Command(str):
    """An item: what its command is known by, as text.

    Attributes:
        words: The path of the program and its arguments, the first of which is its name, each
            with a NUL behind it.
    """

    __slots__ = ("words",)
    words: bytes

    @property
    def arguments(self) -> list[str]:
        """The arguments, with the name of the program as it was asked for."""
        return os.fsdecode(self.words).split("\0")[1:-1]

    @property
    def name(self) -> str:
        """That name."""
        return self.arguments[0]


class Commands(Stream[Outcome[None]]):
    """Runs commands: an iterator of the Outcome of each, as they end, with None for a result.

    A command that exits with another status than 0 has a DeadWorkerError, one that cannot be
    executed an OSError with the errno of exec and the program's name. One of which the output is
    lost, or may not be whole, since there was no room for more, has an OSError, too, however it
    ended: with its exit code, but never as if it had gone well. Standard input of a command
    is empty, its signals have their default actions, and it has no other descriptors than 0 to
    2. What is killed at the deadline, or since another has failed, has its Outcome too. Close the
    iterator in any case.

    Args:
        commands: Pulled as they can be begun.
        options: The caller's. If `retries` is given, a command that has failed is tried again.
        running: See run in run.py.
        grouped: Whether what a command prints is kept, for `output`. Otherwise it goes straight
            to where this process prints to.

    Raises:
        OSError, RuntimeError: See Call. From the iterator: see steps_of.

    Source: xargs, GNU parallel.
    """

    __slots__ = ("_opened", "_printed")
    _opened: Call
    _printed: dict[int, int]

    def __init__(
        self,
        commands: Iterator[Command],
        options: Options,
        running: Running,
        *,
        grouped: bool = True,
    ) -> None:
        from tep_parallel._engine.drive import advance, end
        from tep_parallel._engine.forked import opened, steps_of

        ahead = options.window or max(_LEAST_AHEAD, _AHEAD * (options.in_processes or 1))
        plan = Plan(
            no_worker,
            [None] * ahead,
            options,
            options.on_error,
            running,
            discard=True,
            numbers=[-1] * ahead,
            grouped=grouped,
        )
        call = self._opened = opened(plan)
        if isinstance(commands, Coming):
            call.source = commands
        flow = _Flow(call, plan, commands, ordered=False)
        self._printed = flow.printed
        super().__init__(call, steps_of(call, flow), advance=advance, end=end, flow=flow)

    def output(self, number: int, stream: int) -> int | None:
        """Open what a command that has ended has printed. It can be opened once.

        Args:
            number: The index in its Outcome.
            stream: 0: its standard output; 1: its standard error.

        Returns:
            A descriptor, which the caller closes; None: it has printed nothing.

        Raises:
            OSError: It cannot be read, or is gone.
        """
        printed = self._printed.pop(number, 0)
        if left := printed & ~(1 << stream):
            self._printed[number] = left
        if left == printed:
            return None
        found: int = lib.sphttp_call_output(self._opened.handle, number, stream)
        if found < 0:
            fail(found, f"reading what command {number} has printed")
        return found


class _Flow(Fed):
    """See Fed.

    Attributes:
        printed: Which files there are of a command's output, as C says it, by number.
    """

    keeps_files = True

    def __init__(self, call: Call, plan: Plan, source: Iterator[Any], *, ordered: bool) -> None:
        super().__init__(call, plan, source, ordered=ordered)
        self.printed: dict[int, int] = {}

    def prepare(self) -> None:
        """There is nothing of Python's in the children."""

    def _feed_texts(self) -> None:
        """There is no text among the items."""

    def _take(self, number: int) -> Outcome[Any]:
        cell = self._cells.get(number)
        printed = 0 if cell is None else self._finder.result(cell).printed
        if printed:
            self.printed[number] = printed
        return super()._take(number)

    def _admit(self, number: int, item: object) -> None:
        assert isinstance(item, Command)
        self._waiting = number, item, item.words

    def conclude(self) -> Iterator[list[Any]]:
        """Hand out what is left, and raise what concerns the call as a whole."""
        unended = self._settle()
        for number in (*self._late, *(self._ready or ())):
            outcome = self._take(number)
            # What was cut short has printed something; after an abort nobody wants to know.
            if outcome.attempts > 0 and (number not in unended or not self.aborted):
                self._failed = self._failed or not outcome.ok
                yield [outcome]
        if self._is_short(unended, over=self._exhausted):
            self._raise_short([], unended, self._pulled)
        if not self._exhausted and not (self._failed and self._plan.on_error != "finish"):
            raise nursery_gone(self._pulled)


def no_worker(item: Any) -> str:
    """In the place of a worker, where items are commands: nobody calls it."""
    raise NotImplementedError(item)
