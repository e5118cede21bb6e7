"""Single requests: those that a server gives up, and a connection that waits for its end."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

from clients import Closed, Failed, TaskClient
from process import alive, started, until
from servers import SERVERS

QUICK = 0.05  # seconds in which a bystander hears of its connection's end
TRIES = 3  # of which the best counts: this machine may do something else meanwhile
ASKED_BY_THE_GONE = {"uvicorn", "starlette", "fastapi"}
BYSTANDERS: dict[str, list[object]] = {"gunicorn-gthread": ["--workers=1"], "starlette": []}


def given_up(name: str, how: str) -> None:
    """A request takes longer than its server allows: its children end, the service goes on."""
    with started(name, how, *(SERVERS[name].limit or [])) as service:
        client = service.client()
        options = {"time_limit": 2.0} if isinstance(client, TaskClient) else {}
        begun = time.monotonic()
        try:
            client.ask("/slow", {"word": "w"}, **options)
        except (Closed, Failed) as error:
            said = str(error)
        seconds = time.monotonic() - begun
        sleepers = service.sleepers()
        assert sleepers, "no child was asked"
        assert 1 < seconds < 10, f"given up after {seconds:.1f} s: {said}"
        until(lambda: not any(map(alive, sleepers)), "the children have gone", limit=1)
        client.close()
        client = service.client()
        found = client.ask("/fan_out", {"word": "a"})
        assert found == [f"A-{number} 3" for number in range(4)], found
        client.close()
        print(f"{service.name}: given up after {seconds:.1f} s: {said[:70]}", flush=True)


def gone(name: str, how: str) -> None:
    """A client goes away in the middle of an awaited call: its children end, at once."""
    with started(name, how) as service:
        with socket.create_connection(("127.0.0.1", service.port)) as own:
            own.sendall(b"GET /slow?word=w HTTP/1.1\r\nHost: a\r\n\r\n")
            until(service.sleepers, "children were asked")
            sleepers = service.sleepers()
        begun = time.monotonic()
        until(lambda: not any(map(alive, sleepers)), "the children have gone", limit=2)
        seconds = time.monotonic() - begun
        until(lambda: "host w ended early" in service.log(), "the call has ended", limit=2)
        client = service.client()
        found = client.ask("/fan_out", {"word": "a"})
        assert found == [f"A-{number} 3" for number in range(4)], found
        client.close()
        assert "Traceback" not in service.log(), service.log()[-2000:]
        print(f"{service.name}: its client gone, a call ends in {seconds * 1e3:.0f} ms", flush=True)


def bystander(name: str, how: str) -> None:
    """A connection that is open while another's call forks: when is its end seen?"""
    with started(name, how, *BYSTANDERS[name]) as service:
        seconds = min(_one_end(service.port) for _ in range(TRIES))
        # Outside a block the children of the other's call hold the connection, for a second.
        right = seconds < QUICK if how == "block" else seconds < 2
        assert right, f"{service.name}: a connection's end took {seconds * 1e3:.0f} ms"
        print(f"{service.name}: a bystander's end is seen after {seconds * 1e3:.1f} ms", flush=True)


def _one_end(port: int) -> float:
    """Seconds from an answer to the end of its connection, while another waits for a call."""
    other = threading.Thread(target=_pause, args=(port,))
    with socket.create_connection(("127.0.0.1", port)) as own:
        own.sendall(b"GET /fan_out?word=a HTTP/1.1\r\nHost: a\r\n")
        time.sleep(0.1)  # the server has accepted it
        other.start()
        time.sleep(0.3)  # the other's children are there
        own.sendall(b"Connection: close\r\n\r\n")
        text = b""
        while b"]" not in text:
            text += own.recv(4096)
        begun = time.perf_counter()
        while own.recv(4096):
            pass
        seconds = time.perf_counter() - begun
    other.join()
    return seconds


def _pause(port: int) -> None:
    from clients import HttpClient

    client = HttpClient(port)
    client.ask("/pause", {"word": "b"})
    client.close()


def play(name: str, *, brief: bool) -> None:
    """What this server can be asked for; with `brief` in a block only."""
    scenes: list[Callable[[str, str], None]] = []
    scenes += [given_up] if SERVERS[name].limit is not None else []
    scenes += [bystander] if name in BYSTANDERS else []
    for scene in scenes:
        for how in ["block"] if brief else ["block", "outside"]:
            scene(name, how)
    if name in ASKED_BY_THE_GONE:
        for how in ["async-block"] if brief else ["async-block", "async"]:
            gone(name, how)
