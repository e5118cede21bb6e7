"""Real servers, each on loopback under 16 connections, then stopped in the middle of calls.

python tests/services/run.py [--seconds 15] [--only outside|block|cpu] [SERVER ...]

Each server is tried twice: its calls make their own children, or are in a block. In the end
`cpu` compares what a request costs in a block and in an executor.

Every answer is compared with what is right for its request, and no two requests are alike, so
that an answer on the wrong connection is seen. After the stop no process, no file in the scratch
root and no listening port may be left.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from load import Load

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
MARK = "TEP_PARALLEL_SERVICE"
CONNECTIONS = 16
PATIENCE = 60.0  # seconds; against hanging only
# No connection is closed for being idle: a client may be slow to use it again.
HOOKS = ["--config", HERE / "gunicorn_hooks.py", "app:app"]
NOBODY = ["--user=65534", "--group=65534"]
LIKE_GUNICORN = ["--workers=2", "--keep-alive=60", "--timeout=60", "--log-level=warning"]


def address(port: int) -> str:
    return f"127.0.0.1:{port}"


def gunicorn(port: int, *more: str) -> list[object]:
    return [BIN / "gunicorn", *LIKE_GUNICORN, "--bind", address(port), *more, *HOOKS]


def uwsgi(port: int) -> list[object]:
    # What it does with SIGTERM by itself is to start anew.
    graceful = "--hook-master-start=unix_signal:15 gracefully_kill_them_all"
    # It closes the connection after each answer, but does not say so by itself.
    closes = "--add-header=Connection: close"
    where = ["--http-socket", address(port), closes, "--virtualenv", BIN.parent]
    how = ["--master", "--processes=2", "--threads=4", "--enable-threads", "--disable-logging"]
    return [BIN / "uwsgi", *where, *how, graceful, "--need-app", "--module=uwsgi_hooks:application"]


# How each is started on a port.
SERVERS: dict[str, Callable[[int], list[object]]] = {
    "flask": lambda port: [sys.executable, HERE / "app.py", port],
    "waitress": lambda port: [
        *[BIN / "waitress-serve", f"--listen={address(port)}", "--threads=8"],
        "waitress_hooks:application",
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
if os.getuid() == 0:  # its workers become another user before they enter their blocks
    SERVERS["gunicorn-user"] = lambda port: gunicorn(port, *NOBODY, "--threads=8")
STOPS = {"flask": signal.SIGINT}  # the others: SIGTERM
ABRUPT = {"flask", "waitress"}  # they stop in the middle of an answer
MEASURED = {"gunicorn-gthread", "uvicorn"}
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


def environment(mark: str, scratch: Path, how: str) -> dict[str, str]:
    """As a service has it: nothing that changes Python's streams."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**plain, MARK: mark, "TMPDIR": str(scratch), "FAN_OUT": how}


@contextlib.contextmanager
def started(
    name: str, how: str, folder: Path
) -> Iterator[tuple[subprocess.Popen[bytes], str, int]]:
    """A server that listens, with its mark and its port; nothing is left of it behind that."""
    (folder / "scratch").mkdir()
    for each in (folder, folder / "scratch"):
        each.chmod(0o777)
    mark, port = uuid.uuid4().hex, free_port()
    with (folder / "log").open("ab") as output:
        server = subprocess.Popen(
            [
                os.fspath(word) if isinstance(word, Path) else str(word)
                for word in SERVERS[name](port)
            ],
            cwd=HERE,
            env=environment(mark, folder / "scratch", how),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        until(lambda: listens(port) or server.poll() is not None, f"{name} listens")
        yield server, mark, port
    except SystemExit:
        for pid in marked(mark):
            states = [
                path.read_text().split()[1:3] for path in Path(f"/proc/{pid}/task").glob("*/stat")
            ]
            waits = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/wchan")]
            print(pid, states, waits)
        print("its log ends with:", (folder / "log").read_text(errors="replace")[-4000:], sep="\n")
        raise
    finally:
        end(server, mark)


def serve(name: str, how: str, seconds: float, folder: Path) -> None:
    """Start the server, load it, stop it, look at what is left."""
    with started(name, how, folder) as (server, mark, port):
        with Load(port, CONNECTIONS) as load:
            load.go_on(seconds / 2)
            if name in RELOADED:
                server.send_signal(signal.SIGHUP)
            load.go_on(seconds / 2)
            load.expect_an_end(cut=name in ABRUPT)
            server.send_signal(STOPS.get(name, signal.SIGTERM))
            until(lambda: server.poll() is not None, f"{name} ends")
        until(lambda: not marked(mark), f"no process of {name} is left")
    faults = load.faults()
    scratch, log = folder / "scratch", folder / "log"
    faults += [f"left in the scratch root: {path.name}" for path in scratch.iterdir()]
    faults += ["the port is in use"] if listens(port) else []
    faults += twice(log)
    print(f"{name}, {how}: {load.summary()}, status {server.returncode}", flush=True)
    if faults:
        print(*faults[:20], "its log ends with:", log.read_text(errors="replace")[-4000:], sep="\n")
        sys.exit(f"{name}, {how}: {len(faults)} faults")


def cpu_of(mark: str) -> float:
    """Seconds of CPU that the server has used, with all that it has waited for."""
    ticks = 0
    for pid in marked(mark):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def cost(name: str, how: str, seconds: float, folder: Path) -> float:
    """Milliseconds of CPU that a request to fan out costs; say so."""
    with started(name, how, folder) as (_, mark, port), Load(port, CONNECTIONS, digests=0) as load:
        load.go_on(1)  # all is warm by then
        before, answered = cpu_of(mark), load.answers()
        load.go_on(seconds)
        used, answered = cpu_of(mark) - before, load.answers() - answered
        if load.faults():
            sys.exit("\n".join(load.faults()[:20]))
        load.expect_an_end(cut=True)
    print(
        f"{name}, {how}: {used / answered * 1e3:.2f} ms of CPU a request, "
        f"{answered / seconds:.0f} requests a second",
        flush=True,
    )
    return used / answered * 1e3


def twice(log: Path) -> list[str]:
    """Lines of the host's that children have printed again."""
    lines = Counter(log.read_text(errors="replace").splitlines())
    return [f"printed {n} times: {line}" for line, n in lines.items() if n > 1 and "host " in line]


def is_open_to_nobody() -> bool:
    """Whether the application can be loaded with the rights of nobody."""
    command = [sys.executable, "-c", "import app"]
    try:
        done = subprocess.run(
            command, cwd=HERE, user=65534, group=65534, capture_output=True, check=False
        )
    except PermissionError:
        return False
    return done.returncode == 0


def main() -> None:
    """Try the servers, one after another."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=15.0, help="for each server")
    parser.add_argument("--only", choices=["outside", "block", "cpu"])
    parser.add_argument("server", nargs="*", help=f"of {', '.join(SERVERS)}; all")
    options = parser.parse_args()
    # A shell starts what it runs in the background deaf to Ctrl-C, and so would a server be.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    names = options.server or list(SERVERS)
    for name in names:
        if name == "gunicorn-user" and not is_open_to_nobody():
            print(f"{name}: left out, this Python is not open to other users")
            continue
        for how in ("outside", "block"):
            if options.only in (None, how):
                with tempfile.TemporaryDirectory() as folder:
                    serve(name, how, options.seconds, Path(folder))
    if options.only in (None, "cpu"):
        for name in [name for name in names if name in MEASURED]:
            costs = {}
            for how in ("block", "executor", "outside"):
                with tempfile.TemporaryDirectory() as folder:
                    costs[how] = cost(name, how, options.seconds, Path(folder))
            ratio = costs["block"] / costs["executor"]
            print(f"{name}: a block costs {ratio:.2f} of an executor (wanted: 2 at most)")


if __name__ == "__main__":
    main()
