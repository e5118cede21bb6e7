"""Clients that never rest: every answer is checked, and timed."""

from __future__ import annotations

import hmac
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import TracebackType

from clients import Client, Closed, Failed


class Load:
    """Clients that ask a service, from the block's beginning to its end.

    Args:
        clients: Makes one of them.
        connections: How many there are.
        files: What the service digests.
        digests: One of so many requests asks for digests, the others for words; 0: none.
    """

    def __init__(
        self,
        clients: Callable[[], Client],
        connections: int,
        files: list[Path],
        *,
        digests: int = 3,
    ) -> None:
        self._every = digests
        self._tolerated = self._cut = self._over = False
        self._seen: Counter[str] = Counter()
        self._faults: list[str] = []
        self._contents = [path.read_bytes() for path in files]
        self.seconds: list[float] = []  # that each right answer took
        self.clients = [clients() for _ in range(connections)]
        self._threads = [
            threading.Thread(target=self._ask, args=(number, client))
            for number, client in enumerate(self.clients)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        self._over = True
        for thread in self._threads:
            thread.join()

    def go_on(self, seconds: float) -> None:
        """Wait, but no longer than nothing is wrong."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self._faults:
            time.sleep(0.05)

    def tolerate(self, *, cut: bool) -> None:
        """From now on a connection may be closed or refused; what is answered must be right.

        Args:
            cut: Whether an answer may end in the middle.
        """
        self._cut, self._tolerated = cut, True

    def insist(self) -> None:
        """From now on it may not."""
        self._tolerated = False

    def answers(self) -> int:
        """How many there were so far."""
        return self._seen["right"]

    def faults(self) -> list[str]:
        """What went wrong; one fault is that nothing was asked."""
        asked = [] if self._seen["right"] else ["no request was answered"]
        return self._faults + asked

    def summary(self) -> str:
        """How many answers were right, and so on."""
        return ", ".join(f"{count} {what}" for what, count in sorted(self._seen.items()))

    def _ask(self, number: int, client: Client) -> None:
        digests = cache(self._digests)
        turn = 0
        while not self._over and not self._faults:
            turn += 1
            word = f"c{number}t{turn}"
            if self._every and turn % self._every == 0:
                key = f"c{number}k{turn // self._every % 4}"
                path, query, right = "/digest", {"key": key, "word": word}, digests(key)
            else:
                words = [f"{word}-{number}" for number in range(4)]
                right = [f"{word.upper()} {len(word)}" for word in words]
                path, query = "/fan_out", {"word": word}
            begun = time.perf_counter()
            try:
                found = client.ask(path, query)
            except Closed as error:
                if self._tolerated and (self._cut or not error.cut):
                    self._seen["closed"] += 1
                    time.sleep(0.02)
                else:
                    self._fault("failed", f"{path} {query}: {error}")
            except Failed as error:
                self._fault("failed", f"{path} {query}: {error}")
            else:
                if found != right:
                    self._fault("wrong", f"{path} {query}: {found!r}")
                else:
                    self._seen["right"] += 1
                    self.seconds.append(time.perf_counter() - begun)
                    # uvicorn never ends where it has accepted a connection in the moment in which
                    # it was stopped, and that asks without a pause.
                    if self._tolerated:
                        client.part()
        client.close()

    def _fault(self, kind: str, what: str) -> None:
        self._seen[kind] += 1
        self._faults.append(what)

    def _digests(self, key: str) -> list[str]:
        return [hmac.digest(key.encode(), one, "sha256").hex() for one in self._contents]
