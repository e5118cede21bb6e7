"""How a call is asked by who must not wait in C: a loop, of gevent's or any other."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from tep_parallel._engine.native import lib
from tep_parallel._engine.under_way import UnderWay
from tep_parallel._engine.waits import FAREWELL, NOW, TURN, WORD, Until, Wait
from tep_parallel._typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tep_parallel._engine.source import Coming

_MOMENT = 0.001  # where the kernel has no descriptor for that
_A_LOOK = 0.02  # where one descriptor alone can be waited for
NEWS: int = lib.SPHTTP_NEWS
_STARTED = lib.SPHTTP_STARTED
_SIGNALS = lib.SPHTTP_SIGNALS


class Asking(UnderWay):
    """A call that can be asked instead of waited for."""

    event: Any
    source: Coming | None = None  # of items that may not have come
    aborted = False
    _begun = False
    _turns = False  # whether others have had a turn
    _elsewhere = False  # whether who drives it calls `ask`, and never `wait`
    _wait_read: Callable[..., None] | None = None  # gevent's
    _given_up: float | None = None  # when its nursery must have ended

    def close(self) -> None:
        """End whatever still runs."""
        raise NotImplementedError

    def _begin(self) -> None:
        raise NotImplementedError

    def _seen(self, kind: int) -> int:
        raise NotImplementedError

    def _wait_in_loop(self, wait: Callable[[int, float | None], None], word: Wait) -> int:
        while True:
            answer = self.ask(word)
            if type(answer) is int:
                return answer
            wait(*answer)  # type: ignore[misc]

    def wait_elsewhere(self) -> None:
        """Before the first step: whoever drives it calls `ask`, and never `wait`."""
        self._elsewhere = True

    def ask(self, word: Wait) -> int | Until:
        """The answer to what the call's steps wait for; or how long to wait before this is
        called again. It waits for nothing itself."""
        if word is WORD:
            return self._ask_word()
        if word is TURN:
            return self._ask_turn()
        handle = self.handle
        until = self._ask_end(handle)
        if until is None and lib.sphttp_call_empty(handle, 1):
            until = NOW
        if until is not None:
            return until
        self.close()
        return 0

    def _ask_turn(self) -> int | Until:
        self._turns = not self._turns
        return NOW if self._turns else 0

    def _ask_word(self) -> int | Until:
        source = self.source
        if source is not None and source.waits and not self.aborted:
            if source.ready:
                return NEWS
            if not self._begun:
                return Until(-1)  # there is nothing to fork for
        if not self._begun:
            self._begin()
        kind: int = lib.py_call_run(self.handle, self.event)
        if self._elsewhere:
            self._wait_read = None  # who drives it may wait now: see gevent.py
        if kind == _SIGNALS:
            return NOW
        if kind != _STARTED:
            return self._seen(kind)
        descriptor = self.descriptor()
        return NOW if descriptor < 0 else Until(descriptor, self._patience())

    def _patience(self) -> float | None:
        """Seconds after which to look, although nothing is heard."""
        source = self.source
        return _A_LOOK if source is not None and source.waits and source.descriptor >= 0 else None

    def _ask_end(self, handle: Any) -> Until | None:
        """Tell a nursery to end. None: it has, or will have to."""
        now = time.monotonic()
        if self._given_up is None:
            self._given_up = now + FAREWELL
            lib.sphttp_call_dismiss(handle)
        return ending(handle, self._given_up - now)


def ending(handle: Any, seconds: float) -> Until | None:
    """How long to wait for the end of a nursery that was told to end; None: not any longer.

    Args:
        seconds: What it has left.
    """
    descriptor: int = lib.sphttp_call_ending(handle)
    if descriptor == -1 or seconds <= 0:
        return None
    return Until(descriptor, seconds) if descriptor >= 0 else Until(-1, _MOMENT)


def gevents_waiter() -> Callable[..., None] | None:
    """How to wait for a descriptor with gevent; None if gevent has not patched the host."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None or not monkey.is_module_patched("select"):
        return None  # the caller expects to block
    from tep_parallel._engine.gevent import Waiter

    return Waiter()
