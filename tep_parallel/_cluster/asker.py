"""What is asked of an engine's scheduler, which may never answer: behind the scenes, in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

Done = Callable[[BaseException | None], None]


class Asker:
    """Asks one thing after the other, in a thread that nobody waits for.

    There is one thread at most, and only while there is something to ask. The collector may call
    `ask` in the midst of another `ask`: nothing here waits for a lock.
    """

    def __init__(self) -> None:
        self._asks: deque[tuple[Callable[[], object], Done]] = deque()
        self._busy = threading.Lock()  # held by the thread

    def ask(self, act: Callable[[], object], done: Done) -> None:
        """Act soon. `done` is called then with what was raised, or None, in any thread."""
        self._asks.append((act, done))
        if self._busy.acquire(blocking=False):
            try:
                threading.Thread(target=self._run, name="tep_parallel-engine", daemon=True).start()
            except BaseException:
                self._busy.release()
                raise

    def _run(self) -> None:
        while True:
            try:
                act, done = self._asks.popleft()
            except IndexError:
                self._busy.release()
                # What came between the look and the release has found the lock held.
                if not self._asks or not self._busy.acquire(blocking=False):
                    return
                continue
            try:
                act()
            except BaseException as error:  # noqa: BLE001  # whatever an engine raises
                done(error)
            else:
                done(None)
            del act, done
