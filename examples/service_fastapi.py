"""A service that says which others are up. One that hangs takes no answer from the others.

curl 'http://127.0.0.1:8810/up?url=https://www.python.org&url=http://127.0.0.1:8808/slow'
"""
# make example RUN="-m uvicorn service_fastapi:app --port 8810"     (Ctrl-C ends it)

import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import Annotated

import httpx
from fastapi import FastAPI, Query

from tep_parallel import Parallel

TRUST = ssl.create_default_context()  # read once, before the fork


def probe(url: str) -> str:
    answer = httpx.get(url, follow_redirects=True, verify=TRUST)
    return f"{answer.status_code}"


# The limit holds for all of an item: also for a name that nobody looks up, or a slow body.
prober = Parallel(probe, in_processes=4, timeout=2.0)


@contextlib.asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    with prober:  # before the first request, when there are no threads yet
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/up")
def up(url: Annotated[list[str], Query()]) -> dict[str, str]:
    """A plain function: FastAPI runs it in a thread, and the loop goes on."""
    return {
        str(outcome.item): outcome.result if outcome.ok else repr(outcome.error)
        for outcome in prober.outcomes(url)
    }
