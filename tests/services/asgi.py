"""The service for ASGI: without a framework, by Starlette, and by FastAPI.

The loop must not be kept waiting, so each call is made in a thread. In Starlette the handler
asks for it, in FastAPI a handler that is a plain function runs in a thread by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

from fastapi import FastAPI
from fastapi import Request as FastRequest
from fastapi.responses import Response as FastResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from work import KINDS, answer, enter, leave


async def _lifespan(
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """From before the first request until after the last."""
    for turn in (enter, leave):
        said = (await receive())["type"]
        turn()
        await send({"type": f"{said}.complete"})


async def plain(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """No framework at all."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    assert scope["type"] == "http"
    query = dict(parse_qsl(scope["query_string"].decode()))
    body = await asyncio.to_thread(answer, scope["path"], query)
    length = str(len(body)).encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]}
    )
    await send({"type": "http.response.body", "body": body})


@contextlib.asynccontextmanager
async def _block(app: object) -> AsyncIterator[None]:
    enter()
    yield
    leave()


async def _starlette(request: Request) -> Response:
    return Response(await asyncio.to_thread(answer, request.url.path, request.query_params))


def _fastapi(request: FastRequest) -> FastResponse:
    return FastResponse(answer(request.url.path, request.query_params))


starlette = Starlette(routes=[Route(kind, _starlette) for kind in KINDS], lifespan=_block)
fastapi = FastAPI(lifespan=_block)
for _kind in KINDS:
    fastapi.add_api_route(_kind, _fastapi)
