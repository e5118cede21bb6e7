"""One call of a block: for as long as it runs it has a nest."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections import deque
from collections.abc import Collection

from tep_parallel._engine.asking import gevents_waiter
from tep_parallel._engine.call import Call
from tep_parallel._engine.home import Home
from tep_parallel._engine.leaving import Leaving
from tep_parallel._engine.native import lib
from tep_parallel._engine.nest import Nest
from tep_parallel._engine.options import Options
from tep_parallel._engine.running import Running
from tep_parallel._engine.turns import Permit
from tep_parallel._engine.waits import END, LEFT, TURN, WORD, Until, Wait
from tep_parallel._errors import AbortedError, DeadlineError
from tep_parallel._typing import Any, NoReturn

_STOP: int = lib.SPHTTP_STOP
_CUT_SHORT: int = lib.SPHTTP_CUT_SHORT
_DISCARD: int = lib.SPHTTP_DISCARD
_PATIENT: int = lib.SPHTTP_PATIENT
_REAPED: int = lib.SPHTTP_REAPED


def how_of(options: Options, on_error: str, *, eager: bool, discard: bool, whole: bool) -> int:
    """The flags of enum sphttp_how for one call of a block.

    Args:
        eager: Whether it waits for the end of all items.
        discard: See run.
        whole: Whether the caller is handed an Outcome of each item.
    """
    how = _CUT_SHORT if on_error == "kill" else 0
    if eager:
        how |= _STOP if on_error == "stop" else 0
        how |= 0 if options.watched else _PATIENT
    if discard:
        how |= _DISCARD
    if not options.pool and (whole or options.deadline or options.on_finish is not None):
        how |= _REAPED
    return how


class ServerGoneError(BrokenPipeError):
    """The nursery of a call was killed, and the server, which was to fork another."""


class Lease(Call):
    """One call of a block. It owns a nest from `begin` to its end; and so a call that nobody
    closes has its nest ended by the nest's handle.

    Args:
        home: Where it gets the nest.
        running: Where it is entered until its end.
        deadline: Seconds that it may take from now on; None: any time.
    """

    kept = True

    def __init__(self, home: Home, running: Running, deadline: float | None) -> None:
        # It opens no call, and so Call.__init__ is not called.
        self.aborted = self._stopped = False
        self.home = home
        self.out: deque[Any] = deque()
        self._begun = True
        self._wait_read = gevents_waiter()
        self._until = None if deadline is None else time.monotonic() + deadline
        self._deadline = deadline
        self._permit: Permit | None = None
        self._nest: Nest | None = None
        self._past: list[Nest] = []  # those that serve no other call, and have not ended
        self._leaving: list[Leaving] | None = None
        self._well = True
        self._running = running
        running.enter(self)

    def begin(self, how: int, items: Collection[Any] | None) -> Nest:
        """Wait for a turn, and begin a round in a nest.

        Args:
            how: See how_of.
            items: All items of the call; None: nobody knows how many there are.

        Raises:
            DeadlineError: The deadline came first.
            AbortedError: The call was aborted first.
            OSError: There is no nest, and the system refused what it takes to make one.
        """
        elsewhere = self._elsewhere or self._wait_read is not None
        self._permit = self.home.turns.take(self._until, self._is_aborted, wait=not self._elsewhere)
        left = 0
        if self._until is not None:
            left = int((self._until - time.monotonic()) * 1e9)
        late = self._until is not None and left <= 0
        if self._permit is None or late or self.aborted:
            self.close()
            self._raise_unbegun(0 if items is None else len(items))
        nest = self.home.begun(how, left, self._past if elsewhere else None)
        lib.sphttp_call_elsewhere(nest.handle, elsewhere)
        self.handle, self.event, self.found = nest.handle, nest.event, nest.found
        self._nest = nest
        if self.aborted:  # in the last moment before
            lib.py_call_abort(nest.handle)
        if self._stopped:
            lib.sphttp_call_stop(nest.handle)
        return nest

    def _raise_unbegun(self, count: int) -> NoReturn:
        counts = f"{count} of {count} items had not ended"
        if self.aborted:
            msg = f"the call was aborted: {counts}"
            raise AbortedError(msg, outcomes=[])
        msg = f"the call was not over after {self._deadline} s: {counts}"
        raise DeadlineError(msg, outcomes=[])

    def _is_aborted(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        """End what still runs of it; from any thread. Then run returns ABORTED."""
        self.aborted = True
        self.home.turns.wake()
        nest = self._nest
        if nest is None:
            return
        # From now on no other call gets it; and one that had it before has taken it from here.
        nest.aborts.append(None)
        if self._nest is nest:
            lib.py_call_abort(nest.handle)

    def cancel(self) -> None:
        """The same, but wait for nothing: who drives it sees to its end."""
        self.aborted = True
        self.home.turns.wake()
        nest = self._nest
        if nest is not None:
            nest.aborts.append(None)
            if self._nest is nest:
                lib.sphttp_call_cancel(nest.handle)

    def stop(self) -> None:
        """Let no more items start; what runs may end. From any thread, and before it begins."""
        self._stopped = True
        nest = self._nest
        if nest is None:
            return
        nest.aborts.append(None)  # as in abort: another call of this nest must not be stopped
        try:
            if self._nest is nest:
                lib.sphttp_call_stop(nest.handle)
        finally:
            nest.aborts.pop()

    def wait(self, word: Wait) -> int:
        """Wait for what the call's steps wait for, and return the answer."""
        if self._wait_read is not None:
            return self._wait_in_loop(self._wait_read, word)
        if word is END:
            self.close()
            return 0
        if word is TURN:
            return 0
        if word is LEFT:
            self._part_from_past(leave=True)
            return 0
        if self._permit is not None:
            self._permit.thread = threading.get_ident()  # an iterator may be handed on
        while True:
            try:
                return self.run()
            except ServerGoneError:
                if self._nest is None:
                    raise
                self.home.start_again(self._nest)

    def ask(self, word: Wait) -> int | Until:
        """As that of a call outside a block."""
        if word is WORD:
            while True:
                try:
                    return self._ask_word()
                except ServerGoneError:
                    if self._nest is None:
                        raise
                    self.home.start_again(self._nest)
        if word is TURN:
            return self._ask_turn()
        well = word is LEFT
        if self._leaving is None or self._well != well:
            nests = self._past if self._nest is None else [*self._past, self._nest]
            self._leaving = [Leaving(nest, well=well) for nest in nests]
            self._well = well
        while self._leaving:
            until = self._leaving[-1].ask()
            if until is not None:
                return until
            self._leaving.pop()
        self.close()
        return 0

    def _fail(self, error: int) -> NoReturn:
        if error == errno.EPIPE:
            raise ServerGoneError(error, os.strerror(error))
        super()._fail(error)

    def close(self) -> None:
        """Kill and reap what still runs of it. A second call does nothing."""
        try:
            nest = self._nest
            if nest is not None:
                self.home.retire(nest, nest.close)
                self._nest = None  # not before: who aborts it meanwhile waits for its end too
        finally:
            self._part_from_past(leave=False)

    def part(self, *, fetched: bool) -> bool:
        """It has ended well, and nobody will ask for anything of it any more."""
        nest, self._nest = self._nest, None
        if nest is not None:
            if not fetched:
                nest.empty()
            if not self.home.takes_back(nest):
                self._past.append(nest)
        if self._past:
            return True
        self._leave()
        return False

    def _part_from_past(self, *, leave: bool) -> None:
        """End the nests that serve no other call."""
        try:
            while self._past:
                nest = self._past[-1]
                self.home.retire(nest, nest.leave if leave else nest.close)
                self._past.pop()
        finally:
            self._leave()

    def _leave(self) -> None:
        if self._permit is not None:
            self.home.turns.leave(self._permit)
            self._permit = None
        self._running.leave(self)
