"""Real servers, each on loopback under 16 connections: reloaded, killed, stopped in it.

python tests/services/run.py [--seconds 15] [--brief] [SERVER ...]

Each server is tried twice: its calls make their own children, or are in a block. On asyncio it is
tried four times, for calls are made in a thread, or are awaited. With --brief most are tried once.
Every answer is compared with what is right for its request, and no two requests of a client are
alike, so that an answer on the wrong connection is seen. Half-way new workers take the place of
the old, and one of them is killed, where the server can do that. After the stop no process, no
file in the scratch root and no listening port may be left.

Then requests that are given up: by the server, because they take too long, and by a client.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import scenes
from clients import TaskClient
from load import Load
from process import Service, alive, below, listens, started, until
from servers import SERVERS

CONNECTIONS = 16
# Django runs under the first, and two workers of the others are as good as one.
NOT_IN_BRIEF = {"gunicorn-gthread", "starlette", "fastapi"}


def make_files(folder: Path) -> list[Path]:
    """What the services digest: twenty files of 256 KiB."""
    folder.chmod(0o755)
    paths = [folder / f"{number:02}.bin" for number in range(20)]
    for path in paths:
        path.write_bytes(os.urandom(256 << 10))
    return paths


def reload(service: Service, load: Load) -> None:
    """Have new workers take the place of the old; connections may be closed, no answer cut."""
    old = service.workers()
    load.tolerate(cut=False)
    service.process.send_signal(signal.SIGHUP)
    until(
        lambda: len(service.workers()) == len(old) and not {*old} & {*service.workers()},
        f"{service.name} has new workers",
    )
    load.go_on(0.3)
    load.insist()


def stopped_in_a_call(pid: int) -> bool:
    """Stop a worker; let it go on if it has no children.

    One that is killed while it answers may take a lock with it, for which Celery's other workers
    then wait for ever.
    """
    os.kill(pid, signal.SIGSTOP)
    if below(pid):
        return True
    os.kill(pid, signal.SIGCONT)
    return False


def kill_worker(service: Service, load: Load) -> None:
    """Kill a worker in the middle of its calls: its children are gone, another takes its place."""
    workers = service.workers()
    load.tolerate(cut=True)
    until(lambda: stopped_in_a_call(workers[0]), f"a worker of {service.name} has children")
    victims = below(workers[0])
    os.kill(workers[0], signal.SIGKILL)
    until(lambda: not any(map(alive, victims)), f"children of {service.name} have gone", limit=1)
    until(
        lambda: len(service.workers()) == len(workers) and workers[0] not in service.workers(),
        f"{service.name} has another worker",
    )
    load.go_on(0.3)
    load.insist()


def serve(name: str, how: str, seconds: float, files: list[Path]) -> None:
    """Start the server, load it, stop it, look at what is left."""
    begun = time.monotonic()
    with started(name, how, FILES=str(files[0].parent)) as service:
        server = service.server
        turns: list[Callable[[Service, Load], None]] = []
        turns += [reload] if server.reload else []
        turns += [kill_worker] if server.workers else []
        with Load(service.client, CONNECTIONS, files) as load:
            for turn in turns:
                load.go_on(seconds / (len(turns) + 1))
                turn(service, load)
            load.go_on(seconds / (len(turns) + 1))
            load.tolerate(cut=server.abrupt)
            service.process.send_signal(server.stop)
            until(service.ended, f"{service.name} ends")
            for client in load.clients:
                if isinstance(client, TaskClient):
                    client.given_up = True
        until(lambda: not service.pids(), f"no process of {service.name} is left")
        faults = load.faults() + service.said_twice()
        faults += [f"left in the scratch root: {path.name}" for path in service.scratch.iterdir()]
        faults += ["the port is in use"] if listens(service.port) else []
        if service.process.returncode not in (0, -server.stop):
            faults.append(f"it ended with {service.process.returncode}")
        ending = f"status {service.process.returncode} after {time.monotonic() - begun:.0f} s"
        print(f"{service.name}: {load.summary()}, {ending}", flush=True)
        if faults:
            sys.exit("\n".join([f"{service.name}: {len(faults)} faults", *faults[:20]]))


def is_open_to_nobody() -> bool:
    """Whether the application can be loaded with the rights of nobody."""
    command = [sys.executable, "-c", "import app"]
    try:
        done = subprocess.run(
            command,
            cwd=Path(__file__).parent,
            user=65534,
            group=65534,
            capture_output=True,
            check=False,
        )
    except PermissionError:
        return False
    return done.returncode == 0


def main() -> None:
    """Try the servers, one after another."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=15.0, help="of load, for each server")
    parser.add_argument("--brief", action="store_true", help="each outside a block, or in one")
    parser.add_argument("server", nargs="*", help=f"of {', '.join(SERVERS)}; all")
    options = parser.parse_args()
    names = options.server or list(SERVERS)
    if "gunicorn-user" in names and not is_open_to_nobody():
        print("gunicorn-user: left out, this Python is not open to other users")
        names.remove("gunicorn-user")
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        files = make_files(Path(folder))
        for number, name in enumerate(names):
            if options.brief and name in NOT_IN_BRIEF:
                continue
            ways = SERVERS[name].ways
            for how in [ways[number % len(ways)]] if options.brief else ways:
                serve(name, how, options.seconds, files)
    for name in names:
        scenes.play(name, brief=options.brief)
    print(f"all well after {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
