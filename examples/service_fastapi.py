"""A service that says which others are up. One that hangs takes no answer from the others.

curl 'http://127.0.0.1:8810/up?url=https://www.python.org&url=http://127.0.0.1:8808/slow'
"""
# make example RUN="-m uvicorn service_fastapi:app --port 8810"     (Ctrl-C ends it)

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable
from typing import Annotated, TypeVar

import httpx
from fastapi import FastAPI, HTTPException, Query, Request

from tep_parallel import AsyncParallel

T = TypeVar("T")
TRUST = ssl.create_default_context()  # read once, before the fork


def probe(url: str) -> str:
    answer = httpx.get(url, follow_redirects=True, timeout=60.0, verify=TRUST)
    return f"{answer.status_code}"


# The limit holds for all of an item: also for a name that nobody looks up, or a slow body.
prober = AsyncParallel(probe, in_processes=4, timeout=2.0)


@contextlib.asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with prober:  # before the first request, when there are no threads yet
        yield


app = FastAPI(lifespan=lifespan)


async def unless_gone(request: Request, answer: Awaitable[T]) -> T:
    """The answer. If the client goes away first, its task is cancelled, and that ends the call."""
    asked = asyncio.ensure_future(answer)

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        asked.cancel()

    watcher = asyncio.create_task(watch())
    try:
        return await asked
    except asyncio.CancelledError:
        if watcher.done():
            raise HTTPException(499) from None  # nobody reads it
        raise
    finally:
        watcher.cancel()


@app.get("/up")
async def up(url: Annotated[list[str], Query()], request: Request) -> dict[str, str]:
    outcomes = await unless_gone(request, prober.outcomes(url))
    return {str(outcome.item): outcome.result or repr(outcome.error) for outcome in outcomes}
