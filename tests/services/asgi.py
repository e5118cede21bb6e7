"""The service for ASGI: without a framework, by Starlette, and by FastAPI.

The loop must not be kept waiting. Where HOW is `async` or `async-block` a call is awaited, and
ends when its client goes away. Else it is made in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import work
from fastapi import FastAPI
from fastapi import Request as FastRequest
from fastapi.responses import Response as FastResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tep_parallel import AsyncParallel

Receive = Callable[[], Awaitable[Any]]
AWAITED = work.HOW.startswith("async")
awaited = AsyncParallel(
    work.work,
    in_processes=work.WORKERS if work.HOW == "async-block" else None,
    max_calls=work.CALLS,
)


async def _awaited(path: str, query: Mapping[str, str]) -> bytes:
    word = query["word"]
    work.say(f"host {word}")
    if path == "/digest":
        return json.dumps(await awaited.digest_files(work.FILES, key=query["key"])).encode()
    word = f"{work.PREFIXES[path]}{word}"
    return json.dumps(await awaited.map_processes([f"{word}-{n}" for n in range(4)])).encode()


async def _unless_gone(receive: Receive, answer: Awaitable[bytes]) -> bytes | None:
    """The answer. None: the client went away first, and the answer's task was cancelled."""
    asked = asyncio.ensure_future(answer)

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        asked.cancel()

    watcher = asyncio.create_task(watch())
    try:
        return await asked
    except asyncio.CancelledError:
        if watcher.done():
            return None
        raise
    finally:
        watcher.cancel()


async def _answer(path: str, query: Mapping[str, str], receive: Receive) -> bytes:
    if not AWAITED:
        return await asyncio.to_thread(work.answer, path, query)
    body = await _unless_gone(receive, _awaited(path, query))
    if body is None:
        work.say(f"host {query['word']} ended early")
    return body or b""  # which nobody reads


@contextlib.asynccontextmanager
async def _block(app: object) -> AsyncIterator[None]:
    async with contextlib.AsyncExitStack() as block:
        if work.HOW == "async-block":
            await block.enter_async_context(awaited)
        work.enter()
        yield
        work.leave()


async def plain(
    scope: dict[str, Any], receive: Receive, send: Callable[[dict[str, Any]], Awaitable[None]]
) -> None:
    """No framework at all."""
    if scope["type"] == "lifespan":
        await receive()
        async with _block(None):
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    assert scope["type"] == "http"
    query = dict(parse_qsl(scope["query_string"].decode()))
    body = await _answer(scope["path"], query, receive)
    length = str(len(body)).encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]}
    )
    await send({"type": "http.response.body", "body": body})


async def _starlette(request: Request) -> Response:
    return Response(await _answer(request.url.path, request.query_params, request.receive))


def _fastapi(request: FastRequest) -> FastResponse:
    return FastResponse(work.answer(request.url.path, request.query_params))


async def _fastapi_awaits(request: FastRequest) -> FastResponse:
    return FastResponse(await _answer(request.url.path, request.query_params, request.receive))


starlette = Starlette(routes=[Route(kind, _starlette) for kind in work.KINDS], lifespan=_block)
fastapi = FastAPI(lifespan=_block)
for _kind in work.KINDS:
    fastapi.add_api_route(_kind, _fastapi_awaits if AWAITED else _fastapi)
