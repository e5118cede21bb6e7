"""Real servers, each on loopback under 16 connections, then stopped in the middle of calls.

python tests/services/run.py [--seconds 15] [SERVER ...]

Every answer is compared with what is right for its request, and no two requests are alike, so
that an answer on the wrong connection is seen. After the stop no process, no file in the scratch
root and no listening port may be left.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from load import Load

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
MARK = "TEP_PARALLEL_SERVICE"
CONNECTIONS = 16
PATIENCE = 60.0  # seconds; against hanging only
# No connection is closed for being idle: a client may be slow to use it again.
LIKE_GUNICORN = ["--workers=2", "--keep-alive=60", "--timeout=60", "--log-level=warning"]


def address(port: int) -> str:
    return f"127.0.0.1:{port}"


def gunicorn(port: int, *more: str) -> list[object]:
    return [BIN / "gunicorn", *LIKE_GUNICORN, "--bind", address(port), *more, "app:app"]


def uwsgi(port: int) -> list[object]:
    # What it does with SIGTERM by itself is to start anew.
    graceful = "--hook-master-start=unix_signal:15 gracefully_kill_them_all"
    # It closes the connection after each answer, but does not say so by itself.
    closes = "--add-header=Connection: close"
    where = ["--http-socket", address(port), closes, "--virtualenv", BIN.parent]
    how = ["--master", "--processes=2", "--threads=4", "--enable-threads", "--disable-logging"]
    return [BIN / "uwsgi", *where, *how, graceful, "--need-app", "--module=app:app"]


# How each is started on a port.
SERVERS: dict[str, Callable[[int], list[object]]] = {
    "flask": lambda port: [sys.executable, HERE / "app.py", port],
    "waitress": lambda port: [
        *[BIN / "waitress-serve", f"--listen={address(port)}", "--threads=8", "app:app"],
    ],
    "uwsgi": uwsgi,
    "gunicorn-sync": gunicorn,
    "gunicorn-gthread": lambda port: gunicorn(port, "--threads=8"),
    "gunicorn-gevent": lambda port: gunicorn(port, "--worker-class=gevent"),
    "uvicorn": lambda port: [
        *[BIN / "uvicorn", "--timeout-keep-alive=60", "--log-level=warning", f"--port={port}"],
        "app:asgi",
    ],
}
STOPS = {"flask": signal.SIGINT}  # the others: SIGTERM
ABRUPT = {"flask", "waitress"}  # they stop in the middle of an answer
RELOADED = {"gunicorn-sync"}  # the others close connections then that a client was about to use


def until(condition: Callable[[], object], what: str) -> None:
    """Poll until `condition` holds; fail when it does not for a long time."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"not within {PATIENCE} s: {what}")
        time.sleep(0.01)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def marked(mark: str) -> list[int]:
    """The processes that have inherited this mark in their environment, zombies left out."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and mark.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:  # it has just ended, or is another user's
            continue
    return found


def end(server: subprocess.Popen[bytes], mark: str) -> None:
    """Whatever has happened, leave nothing of ours behind."""
    if server.poll() is None:
        server.kill()
        server.wait()
    for pid in marked(mark):
        os.kill(pid, signal.SIGKILL)


def environment(mark: str, scratch: Path) -> dict[str, str]:
    """As a service has it: nothing that changes Python's streams."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**plain, MARK: mark, "TMPDIR": str(scratch)}


def serve(name: str, seconds: float, folder: Path) -> None:
    """Start the server, load it, stop it, look at what is left."""
    scratch, log = folder / "scratch", folder / "log"
    scratch.mkdir()
    mark, port = uuid.uuid4().hex, free_port()
    with log.open("ab") as output:
        server = subprocess.Popen(
            [
                os.fspath(word) if isinstance(word, Path) else str(word)
                for word in SERVERS[name](port)
            ],
            cwd=HERE,
            env=environment(mark, scratch),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        until(lambda: listens(port) or server.poll() is not None, f"{name} listens")
        with Load(port, CONNECTIONS) as load:
            load.go_on(seconds / 2)
            if name in RELOADED:
                server.send_signal(signal.SIGHUP)
            load.go_on(seconds / 2)
            load.expect_an_end(cut=name in ABRUPT)
            server.send_signal(STOPS.get(name, signal.SIGTERM))
            until(lambda: server.poll() is not None, f"{name} ends")
        until(lambda: not marked(mark), f"no process of {name} is left")
    finally:
        end(server, mark)
    faults = load.faults()
    faults += [f"left in the scratch root: {path.name}" for path in scratch.iterdir()]
    faults += ["the port is in use"] if listens(port) else []
    faults += twice(log)
    print(f"{name}: {load.summary()}, status {server.returncode}", flush=True)
    if faults:
        print(*faults[:20], "its log ends with:", log.read_text(errors="replace")[-4000:], sep="\n")
        sys.exit(f"{name}: {len(faults)} faults")


def twice(log: Path) -> list[str]:
    """Lines of the host's that children have printed again."""
    lines = Counter(log.read_text(errors="replace").splitlines())
    return [f"printed {n} times: {line}" for line, n in lines.items() if n > 1 and "host " in line]


def main() -> None:
    """Try the servers, one after another."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=15.0, help="for each server")
    parser.add_argument("server", nargs="*", help=f"of {', '.join(SERVERS)}; all")
    options = parser.parse_args()
    for name in options.server or SERVERS:
        with tempfile.TemporaryDirectory() as folder:
            serve(name, options.seconds, Path(folder))


if __name__ == "__main__":
    main()
