"""A service that tries other people's patterns on a text. One that never ends is killed, alone.

curl http://127.0.0.1:8809/find --json '{"text": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!",
"patterns": ["a!", "(a+)+$", "("]}'
"""
# make example RUN="-m gunicorn --config service_flask.py service_flask:app"     (Ctrl-C ends it)

import contextlib
import json
import re
from typing import Any

from flask import Flask, Response, jsonify, request

from tep_parallel import Outcome, Parallel


def find(item: tuple[str, str]) -> list[str]:
    pattern, text = item
    return [match[0] for match in re.finditer(pattern, text)]


# `re` cannot be interrupted: a thread would compute until the service ends.
finder = Parallel(find, in_processes=2, timeout=0.5, codec=json)
app = Flask(__name__)


def told(outcome: Outcome) -> dict[str, Any]:
    pattern, _ = outcome.item
    if outcome.ok:
        return {"pattern": pattern, "found": outcome.result}
    return {"pattern": pattern, "error": f"{type(outcome.error).__name__}: {outcome.error}"}


@app.post("/find")
def answer() -> Response:
    asked = request.get_json()
    outcomes = finder.outcomes([(pattern, asked["text"]) for pattern in asked["patterns"]])
    return jsonify([told(outcome) for outcome in outcomes])


# From here on what gunicorn reads as its configuration: see docs/services.md.
bind = "127.0.0.1:8809"
workers, threads = 2, 8
block = contextlib.ExitStack()


def post_worker_init(_worker: object) -> None:
    """In each worker, before it has threads."""
    from service_flask import finder

    block.enter_context(finder)


def worker_exit(_server: object, _worker: object) -> None:
    block.close()
