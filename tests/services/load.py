"""Clients that never rest: a connection each, and every answer is checked."""

from __future__ import annotations

import hmac
import http.client
import json
import threading
import time
from collections import Counter
from pathlib import Path
from types import TracebackType

FILES = sorted(Path(__file__).parent.glob("*.py"))
PATIENCE = 60.0  # seconds for one answer; against hanging only


class Load:
    """Clients that ask a server on loopback, from the block's beginning to its end.

    Args:
        port: The server's.
        connections: How many of them.
        digests: One of so many requests asks for digests, the others for words; 0: none.
    """

    def __init__(self, port: int, connections: int, *, digests: int = 3) -> None:
        self._port = port
        self._every = digests
        self._ending = self._cut = self._over = False
        self._seen: Counter[str] = Counter()
        self._faults: list[str] = []
        self._contents = [path.read_bytes() for path in FILES]
        self._clients = [
            threading.Thread(target=self._client, args=(number,)) for number in range(connections)
        ]

    def __enter__(self) -> Load:
        for client in self._clients:
            client.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        self._over = True
        for client in self._clients:
            client.join()

    def go_on(self, seconds: float) -> None:
        """Wait, but no longer than nothing is wrong."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self._faults:
            time.sleep(0.05)

    def expect_an_end(self, *, cut: bool) -> None:
        """From now on a connection may be closed or refused; what is answered must be right.

        Args:
            cut: Whether an answer may end in the middle.
        """
        self._cut, self._ending = cut, True

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

    def _client(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        turn = 0
        while not self._over and not self._faults:
            turn += 1
            name = f"c{number}t{turn}"
            path, right = (
                self._digests if self._every and turn % self._every == 0 else self._words
            )(name)
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                body = answer.read()
            except (ConnectionError, http.client.IncompleteRead) as error:
                connection.close()
                closed = isinstance(error, ConnectionError)
                if self._ending and (closed or self._cut):
                    self._seen["closed at the end"] += 1
                    time.sleep(0.02)
                else:
                    self._fault("failed", f"{path}: {error!r}")
            except (OSError, http.client.HTTPException) as error:
                self._fault("failed", f"{path}: {error!r}")
            else:
                if answer.status != 200:
                    self._fault("failed", f"{path}: {answer.status} {body[:300]!r}")
                elif json.loads(body) != right:
                    self._fault("wrong", f"{path}: {body!r}")
                else:
                    self._seen["right"] += 1
        connection.close()

    def _fault(self, kind: str, what: str) -> None:
        self._seen[kind] += 1
        self._faults.append(what)

    def _words(self, name: str) -> tuple[str, list[str]]:
        words = [f"{name}-{number}" for number in range(4)]
        return f"/fan_out?word={name}", [f"{word.upper()} {len(word)}" for word in words]

    def _digests(self, name: str) -> tuple[str, list[str]]:
        key = name.encode()
        return f"/digest?key={name}", [
            hmac.new(key, content, "sha256").hexdigest() for content in self._contents
        ]
