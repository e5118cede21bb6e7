"""The service as an application of Flask. `python app.py PORT` is Flask's own server."""

from __future__ import annotations

import logging
import sys

import work
from flask import Flask, request
from work import KINDS, answer, enter

app = Flask(__name__)
app.logger.setLevel(logging.INFO)
work.log = app.logger  # the stream of its handler is a proxy


def _answer() -> bytes:
    return answer(request.path, request.args)


for _path in KINDS:
    app.add_url_rule(_path, view_func=_answer)


if __name__ == "__main__":
    enter()
    app.run("127.0.0.1", int(sys.argv[1]), threaded=True)
