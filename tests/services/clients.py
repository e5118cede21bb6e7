"""Who asks a service: over HTTP, or as a task of Celery's. Both ask one thing after another."""

from __future__ import annotations

import http.client
import json
import uuid
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

PATIENCE = 60.0  # seconds for one answer; against hanging only


class Closed(Exception):
    """There was no answer. `cut`: there was the beginning of one, or its task was given up."""

    def __init__(self, reason: object, *, cut: bool = False) -> None:
        super().__init__(repr(reason))
        self.cut = cut


class Failed(Exception):
    """The answer says that something went wrong."""


class Client(Protocol):
    """One who asks."""

    def ask(self, path: str, query: dict[str, str]) -> list[str]:
        """The answer; Closed or Failed: there was none, or no good one."""

    def part(self) -> None:
        """End the connection, but ask on: the next question makes another."""

    def close(self) -> None:
        """End the connection."""


class HttpClient:
    """A connection, which is kept between requests.

    Args:
        port: The server's, on loopback.
    """

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)

    def ask(self, path: str, query: dict[str, str]) -> list[str]:
        try:
            self._connection.request("GET", f"{path}?{urlencode(query)}")
            answer = self._connection.getresponse()
            body = answer.read()
        except (ConnectionError, http.client.IncompleteRead) as error:
            self._connection.close()
            raise Closed(error, cut=not isinstance(error, ConnectionError)) from error
        except (OSError, http.client.HTTPException) as error:
            raise Failed(repr(error)) from error
        if answer.status != 200:
            raise Failed(f"{answer.status} {body[:300]!r}")
        found: list[str] = json.loads(body)
        return found

    def part(self) -> None:
        self._connection.close()

    def close(self) -> None:
        self._connection.close()


class TaskClient:
    """One who waits for tasks; a worker that has ended answers none.

    Args:
        folder: The queue's.
    """

    def __init__(self, folder: Path) -> None:
        from folder_queue import queue_in

        self._own, self._all = folder / uuid.uuid4().hex, folder / "queue"
        self._queue: Any = queue_in(folder, self._own.name)
        self.given_up = False  # nobody answers any more

    def ask(self, path: str, query: dict[str, str], **options: float) -> list[str]:
        from billiard.exceptions import TimeLimitExceeded, WorkerLostError
        from celery.exceptions import TimeoutError as NotYet

        task = self._queue.send_task("ask", (path, query), **options)
        # A worker must not see a task that is half written.
        for written in self._own.iterdir():
            written.rename(self._all / written.name)
        for _ in range(int(PATIENCE / 0.5)):
            try:
                found: list[str] = task.get(timeout=0.5, interval=0.005)
            except NotYet as error:
                if self.given_up:
                    raise Closed(error) from error
            except (WorkerLostError, TimeLimitExceeded) as error:
                raise Closed(error, cut=True) from error
            except Exception as error:
                raise Failed(repr(error)) from error
            else:
                task.forget()
                return found
        raise Failed(f"not within {PATIENCE} s")

    def part(self) -> None:
        """There is none of a server's."""

    def close(self) -> None:
        self._queue.close()
