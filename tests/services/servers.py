"""How each server is started, reloaded and stopped, and what may be seen of that."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
# No connection is closed for being idle: a client may be slow to use it again.
LIKE_GUNICORN = ["--workers=2", "--keep-alive=60", "--timeout=60", "--log-level=warning"]
# A worker may take longer than the usual five seconds to answer the process that looks after it, on
# a busy machine. One that is killed before it answers is missed only after this time.
LIKE_UVICORN = [
    "--timeout-keep-alive=60",
    "--timeout-worker-healthcheck=20",
    "--log-level=warning",
]
NOBODY = ["--user=65534", "--group=65534"]
Words = list[object]


class Server(NamedTuple):
    """One of them.

    Attributes:
        command: What starts it on a port.
        stop: The signal that ends it in good order.
        abrupt: Whether it stops in the middle of an answer even so.
        reload: Whether SIGHUP has new workers take the place of the old.
        workers: Whether another worker takes the place of one that has died.
        queue: Whether it is asked through a queue, not through a port.
        limit: What gives up a request after two seconds, and its worker with it.
        ways: Who does the work, in turn: see work.py.
    """

    command: Callable[[int], Words]
    stop: signal.Signals = signal.SIGTERM
    abrupt: bool = False
    reload: bool = False
    workers: bool = False
    queue: bool = False
    limit: Words | None = None
    ways: tuple[str, ...] = ("outside", "block")


def address(port: int) -> str:
    return f"127.0.0.1:{port}"


def gunicorn(*more: object, app: str = "app:app", limit: Words | None = None) -> Server:
    def command(port: int) -> Words:
        hooks = ["--config", HERE / "gunicorn_hooks.py", *more, app]
        return [BIN / "gunicorn", *LIKE_GUNICORN, "--bind", address(port), *hooks]

    return Server(command, reload=True, workers=True, limit=limit)


def uvicorn(app: str, *more: object, workers: int = 1) -> Server:
    def command(port: int) -> Words:
        shape = [f"--port={port}", f"--workers={workers}", *more]
        return [BIN / "uvicorn", *LIKE_UVICORN, *shape, f"asgi:{app}"]

    ways = ("outside", "block", "async", "async-block")
    return Server(command, reload=workers > 1, workers=workers > 1, ways=ways)


def celery(pool: str) -> Server:
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=INFO"]
    command: Words = [BIN / "celery", "--app=tasks", "worker", f"--pool={pool}", "--concurrency=2"]
    forks = pool == "prefork"
    return Server(
        lambda _: [*command, *quiet], queue=True, workers=forks, limit=[] if forks else None
    )


def uwsgi(port: int) -> Words:
    # What it does with SIGTERM by itself is to start anew.
    graceful = "--hook-master-start=unix_signal:15 gracefully_kill_them_all"
    # It closes the connection after each answer, but does not say so by itself.
    closes = "--add-header=Connection: close"
    where = ["--http-socket", address(port), closes, "--virtualenv", BIN.parent]
    how = ["--master", "--processes=2", "--threads=4", "--enable-threads", "--disable-logging"]
    return [BIN / "uwsgi", *where, *how, graceful, "--need-app", "--module=uwsgi_hooks:application"]


def waitress(port: int) -> Words:
    serve = [BIN / "waitress-serve", f"--listen={address(port)}", "--threads=8"]
    return [*serve, "waitress_hooks:application"]


SERVERS = {
    "flask": Server(
        lambda port: [sys.executable, HERE / "app.py", port], signal.SIGINT, abrupt=True
    ),
    "waitress": Server(waitress, abrupt=True),
    # Not reloaded: a worker with threads that answer sometimes never ends then, whoever does
    # the work (once in twelve with a pool of threads and no fork at all).
    "uwsgi": Server(uwsgi, workers=True, limit=["--harakiri=2"]),
    "gunicorn-sync": gunicorn(limit=["--timeout=2"]),
    "gunicorn-gthread": gunicorn("--threads=8"),
    "gunicorn-gevent": gunicorn("--worker-class=gevent"),
    "gunicorn-user": gunicorn(*NOBODY, "--threads=8"),
    "django": gunicorn("--threads=8", app="django_app:app"),
    "uvicorn": uvicorn("plain", "--loop=asyncio", "--http=h11"),
    "starlette": uvicorn("starlette", "--loop=uvloop"),
    "starlette-2": uvicorn("starlette", "--loop=asyncio", workers=2),
    "fastapi": uvicorn("fastapi", "--loop=asyncio"),
    "fastapi-2": uvicorn("fastapi", "--loop=uvloop", workers=2),
    "celery-prefork": celery("prefork"),
    "celery-threads": celery("threads"),
}
if os.getuid() != 0:  # its workers become another user before they enter their blocks
    del SERVERS["gunicorn-user"]
