"""A service as a process: start it, look at what is below it, leave nothing of it."""

from __future__ import annotations

import contextlib
import os
import re
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

from clients import Client, HttpClient, TaskClient
from servers import HERE, SERVERS, Server

sys.path.insert(0, str(HERE.parent))

from proc import alive, children_of, stat
from proc import below as below

MARK = "TEP_PARALLEL_SERVICE"
PATIENCE = 60.0  # seconds; against hanging only
TICKS = os.sysconf("SC_CLK_TCK")


def until(condition: Callable[[], object], what: str, limit: float = PATIENCE) -> None:
    """Poll until `condition` holds; fail when it does not for a long time."""
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"not within {limit} s: {what}")
        time.sleep(0.01)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def hear_keyboard() -> None:
    """In a new process: what a shell has put into the background ignores SIGINT, and so does
    all that it starts. A server would not hear that it is to stop."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Service:
    """A server that runs.

    Args:
        name: Of SERVERS.
        how: Who does its work: see work.py.
        folder: Where it may put files.
        more: Further arguments, and variables of its environment.
    """

    def __init__(
        self, name: str, how: str, folder: Path, more: list[object], environment: dict[str, str]
    ) -> None:
        self.server: Server = SERVERS[name]
        self.name, self.folder = f"{name}, {how}", folder
        self.port, self._mark = free_port(), uuid.uuid4().hex
        self.scratch, self._log = folder / "scratch", folder / "log"
        self._queue = folder / "queue"
        for each in (folder, self.scratch, self._queue):
            each.mkdir(exist_ok=True)
            each.chmod(0o777)
        command = [*self.server.command(self.port), *more]
        plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        own = {MARK: self._mark, "TMPDIR": str(self.scratch), "QUEUE": str(self._queue)}
        with self._log.open("ab") as output:
            self.process = subprocess.Popen(
                [os.fspath(word) if isinstance(word, Path) else str(word) for word in command],
                cwd=HERE,
                # As a service has it: nothing that changes Python's streams.
                env={**plain, **own, "HOW": how, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=hear_keyboard,
            )

    def client(self) -> Client:
        """One more who asks."""
        return TaskClient(self._queue) if self.server.queue else HttpClient(self.port)

    def ready(self) -> bool:
        if self.server.queue:
            return " ready." in self.log()
        return listens(self.port)

    def ended(self) -> bool:
        return self.process.poll() is not None

    def pids(self) -> list[int]:
        """All that have inherited its mark in their environment, zombies left out."""
        found, mark = [], self._mark.encode()
        for folder in Path("/proc").iterdir():
            with contextlib.suppress(OSError):  # it has just ended, or is another user's
                if folder.name.isdigit() and mark in (folder / "environ").read_bytes():
                    found.append(int(folder.name))
        return found

    def workers(self) -> list[int]:
        """The processes that answer, where the first one only looks after them."""
        found = children_of(self.process.pid)
        names = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in found if alive(pid)}
        return [pid for pid, name in names.items() if b"resource_tracker" not in name]

    def sleepers(self) -> list[int]:
        """The children that said that they sleep."""
        return sorted(map(int, set(re.findall(r"child \S+ sleeps in (\d+)", self.log()))))

    def cpu(self) -> float:
        """Seconds of CPU that it has used, with all that it has waited for."""
        ticks = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                ticks += sum(map(int, stat(pid)[11:15]))
        return ticks / TICKS

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def said_twice(self) -> list[str]:
        """Lines of the host's that children have printed again."""
        lines = Counter(self.log().splitlines())
        return [
            f"printed {n} times: {line}" for line, n in lines.items() if n > 1 and "host " in line
        ]

    def tell(self) -> None:
        """Print where each of its threads is, and the end of its log."""
        for pid in self.pids():
            for task in Path(f"/proc/{pid}/task").iterdir():
                with contextlib.suppress(OSError):
                    waits = (task / "wchan").read_text()
                    ignored = re.findall(r"Sig(?:Blk|Ign|Cgt):.*", (task / "status").read_text())
                    state = stat(int(task.name))[0]
                    print(
                        pid, task.name, (task / "comm").read_text().strip(), state, waits, *ignored
                    )
        print("its log ends with:", self.log()[-int(os.environ.get("TAIL", "4000")) :], sep="\n")

    def end(self) -> None:
        """Whatever has happened, leave nothing of it behind."""
        if not self.ended():
            self.process.kill()
            self.process.wait()
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def started(name: str, how: str, *more: object, **environment: str) -> Iterator[Service]:
    """A server that is ready; nothing is left of it behind that."""
    with tempfile.TemporaryDirectory() as folder:
        service = Service(name, how, Path(folder), list(more), environment)
        try:
            until(lambda: service.ready() or service.ended(), f"{name} is ready")
            yield service
        except SystemExit:
            service.tell()
            raise
        finally:
            service.end()
