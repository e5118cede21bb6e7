"""The examples that are services, under the servers that their first comments name."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import LIMIT, hear_keyboard, plain_environment, until

EXAMPLES = Path(__file__).parent.parent / "examples"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def served(name: str, log: Path, *more: str) -> Iterator[int]:
    """The port of an example that serves; it ends at Ctrl-C, quietly."""
    text = (EXAMPLES / name).read_text()
    (run,) = re.findall(r'^# make example RUN="([^"]+)"', text, re.MULTILINE)
    port = free_port()
    words = [word.format(port=port) for word in (*run.split(), *more)]
    with log.open("w") as file:
        server = subprocess.Popen(
            [sys.executable, *words],
            cwd=EXAMPLES,
            env={**plain_environment(), "NO_PROXY": "*"},
            stdout=file,
            stderr=file,
            preexec_fn=hear_keyboard,
            start_new_session=True,
        )
    try:
        until(lambda: listens(port) or server.poll() is not None)
        yield port
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=LIMIT) == 0, log.read_text()
        assert "Traceback" not in log.read_text()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def ask(port: int, path: str, body: object = None) -> Any:
    """What it answers."""
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", data, {"Content-Type": "application/json"}
    )
    with urllib.request.build_opener().open(asked, timeout=LIMIT) as answer:
        return json.loads(answer.read())


def test_a_pattern_that_never_ends_costs_its_own_answer_under_gunicorn(tmp_path: Path) -> None:
    asked = {"text": "a" * 40 + "!", "patterns": ["a!", "(a+)+$", "("]}
    with served("service_flask.py", tmp_path / "log", "--bind=127.0.0.1:{port}") as port:
        for _ in range(3):  # the children that were killed have others in their places
            well, endless, wrong = ask(port, "/find", asked)
            assert well == {"pattern": "a!", "found": ["a!"]}
            assert endless["error"].startswith("ItemTimeoutError: ")
            assert wrong["error"].startswith("error: ") or "PatternError" in wrong["error"]


def test_a_service_that_hangs_costs_its_own_answer_under_uvicorn(tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    log = tmp_path / "other"
    with log.open("w") as file:
        other = subprocess.Popen([sys.executable, EXAMPLES / "server.py", "0"], stdout=file)
    try:
        until(lambda: log.read_text().endswith("\n"))
        there = log.read_text().split()[-1]
        more = ("--port", "{port}", "--log-level", "warning")
        with served("service_fastapi.py", tmp_path / "log", *more) as port:
            names = ["/a", "/gone", "/slow"]
            found = ask(port, "/up?" + "&".join(f"url={there}{name}" for name in names))
            assert [found[there + name][:3] for name in names[:2]] == ["200", "410"]
            assert found[f"{there}/slow"].startswith("ItemTimeoutError")
    finally:
        other.kill()
        other.wait()
