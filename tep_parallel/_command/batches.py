"""The items of `run` on their way to commands: several to each, where that is asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from tep_parallel._command.items import Source
from tep_parallel._command.template import SEPARATOR, Template, checked, room
from tep_parallel._engine.commands import Command
from tep_parallel._engine.source import Coming


class Batches(Coming):
    """The texts of commands: each has the items of one.

    Args:
        given: The items; an iterator that may raise NothingYetError.
        most: How many items a command has at most; None: as many as fit. What fits no command
            has one of its own, and is refused alone.
        template: What they are put into.
    """

    def __init__(self, given: Iterable[str], most: int | None, template: Template) -> None:
        self._given = iter(given)
        self._most = sys.maxsize if most is None else most
        self._size_of = template.size
        self._room = room() - template.least
        self._index = 0  # of the next item
        self._batch: list[str] = []
        self._size = 0
        self._held: str | None = None  # the first of the next batch
        self._over = False

    @property
    def ready(self) -> bool:
        """Whether something can be had of it."""
        return not isinstance(self._given, Coming) or self._given.ready

    @property
    def waits(self) -> bool:  # type: ignore[override]
        """Whether the last item that was asked for had not come."""
        return isinstance(self._given, Coming) and self._given.waits

    @property
    def descriptor(self) -> int:  # type: ignore[override]
        """See Coming."""
        return self._given.descriptor if isinstance(self._given, Coming) else -1

    def stop(self) -> None:
        """Pull no more."""
        if isinstance(self._given, Coming):
            self._given.stop()

    def __next__(self) -> str:
        batch = self._batch
        while not self._over and len(batch) < self._most:
            item, self._held = self._held, None
            if item is None:
                try:
                    item = checked(next(self._given), self._index)
                except StopIteration:
                    self._over = True
                    break
                self._index += 1
            size = self._size_of(item)
            if batch and self._size + size > self._room:
                self._held = item
                break
            batch.append(item)
            self._size += size
        if not batch:
            raise StopIteration
        self._batch, self._size = [], 0
        return SEPARATOR.join(batch)


class Jobs(Coming):
    """The commands of a source.

    Args:
        source: The texts that they are known by.
        template: What they are made of.
    """

    def __init__(self, source: Source, template: Template) -> None:
        self._source = source
        self._template = template

    @property
    def ready(self) -> bool:
        """Whether something can be had of it."""
        return self._source.ready

    @property
    def waits(self) -> bool:  # type: ignore[override]
        """Whether the last item that was asked for had not come."""
        return self._source.waits

    @property
    def descriptor(self) -> int:  # type: ignore[override]
        """See Coming."""
        return self._source.descriptor

    def stop(self) -> None:
        """Pull no more."""
        self._source.stop()

    def __iter__(self) -> Iterator[Command]:
        return self

    def __next__(self) -> Command:
        text = next(self._source)
        index = self._source.place_of(self._source.begun - 1)
        return self._template.command(text, index + 1)
