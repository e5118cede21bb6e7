"""What each server of run.py serves, as WSGI (Flask) and as ASGI (no framework at all).

/fan_out?word=W answers what four children have made of W; /digest?key=K the digests of a few
files under K. Host and children print and log on the way. `python app.py PORT` is Flask's own
server.

FAN_OUT of the environment says who serves /fan_out: `outside` (a call makes its own children),
`block` (they are kept), or `executor` (a ProcessPoolExecutor). Each server calls enter() in the
process that answers requests, before that has threads: see docs/services.md.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import logging
import multiprocessing
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from flask import Flask, request

from tep_parallel import Parallel, digest_files

FILES = sorted(Path(__file__).parent.glob("*.py"))

app = Flask(__name__)
app.logger.setLevel(logging.INFO)


def say(line: str) -> None:
    """Print in one piece, whoever else prints, and log."""
    print(f"{line}\n", end="")
    app.logger.info(line)


def shout(word: str) -> str:
    """In a child."""
    say(f"child {word}")
    return f"{word.upper()} {len(word)}"


WORKERS, CALLS = 2, 4
HOW = os.environ.get("FAN_OUT", "outside")
kept = Parallel(shout, in_processes=WORKERS, max_calls=CALLS)
executor: concurrent.futures.ProcessPoolExecutor | None = None


def enter() -> None:
    """Make ready what serves /fan_out."""
    global executor
    if HOW == "block":
        kept.__enter__()
    elif HOW == "executor":
        context = multiprocessing.get_context("fork")
        executor = concurrent.futures.ProcessPoolExecutor(WORKERS, mp_context=context)
        list(executor.map(str, range(WORKERS)))  # its processes are forked now


def leave() -> None:
    """End it."""
    if HOW == "block":
        kept.__exit__(None, None, None)
    elif executor is not None:
        executor.shutdown()


def fan_out(word: str) -> bytes:
    """What four items, or children, make of the word."""
    say(f"host {word}")
    words = [f"{word}-{number}" for number in range(4)]
    if executor is not None:
        found = list(executor.map(shout, words))
    else:
        found = (kept if HOW == "block" else Parallel(shout)).map_processes(words)
    return json.dumps(found).encode()


def digests(key: str) -> bytes:
    """The digests of the files."""
    say(f"host {key}")
    return json.dumps(digest_files(FILES, key=key.encode())).encode()


@app.get("/fan_out")
def _fan_out() -> bytes:
    return fan_out(request.args["word"])


@app.get("/digest")
def _digest() -> bytes:
    return digests(request.args["key"])


async def _lifespan(
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """From before the first request until after the last."""
    for turn in (enter, leave):
        said = (await receive())["type"]
        turn()
        await send({"type": f"{said}.complete"})


async def asgi(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """The same for ASGI, whose loop must not be kept waiting: each call in a thread."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    assert scope["type"] == "http"
    query = parse_qs(scope["query_string"].decode())
    if scope["path"] == "/fan_out":
        body = await asyncio.to_thread(fan_out, query["word"][0])
    else:
        body = await asyncio.to_thread(digests, query["key"][0])
    length = str(len(body)).encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]}
    )
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    enter()
    app.run("127.0.0.1", int(sys.argv[1]), threaded=True)
