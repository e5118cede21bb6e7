"""A Dask cluster on loopback: a scheduler and its workers, as a user starts them from a shell."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from support import alive, children_of, plain_environment, until

HERE = Path(__file__).parent
LOCAL = ("--host", "127.0.0.1", "--no-dashboard")


def at_work_in(folder: Path) -> set[int]:
    """The processes whose current directory is this one, as all inherit it; zombies left out.
    (A mark in the environment is lost where a process sets its title, as Dask's do.)"""
    found = set()
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):  # it has just ended, or is another user's
            if process.name.isdigit() and os.readlink(process / "cwd") == str(folder):
                found.add(int(process.name))
    return set(filter(alive, found))


def end_all_in(folder: Path) -> None:
    """Kill what a test of this folder has left, and wait until it has gone."""
    for pid in at_work_in(folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until(lambda: not at_work_in(folder))


class Cluster:
    """One of them. What it prints is in `folder`.

    Args:
        folder: Where it may put files.
        security: Options of the commands, for TLS.
        python: The scheduler's.
    """

    def __init__(
        self, folder: Path, security: Sequence[object] = (), python: str = sys.executable
    ) -> None:
        self.folder = folder
        self.scratch = folder / "scratch"
        self.scratch.mkdir(parents=True)
        self._security = security
        self._file = folder / "scheduler.json"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.workers: list[subprocess.Popen[bytes]] = []
        words = ("scheduler", "--port", "0", *self._named())
        self.scheduler = self._start("scheduler", *words, python=python)
        until(lambda: self._file.exists() and self._file.read_text().endswith("}"))
        self.address = str(json.loads(self._file.read_text())["address"])

    def _named(self) -> list[object]:
        return [*LOCAL, "--scheduler-file", self._file, *self._security]

    def _start(
        self, name: str, *words: object, python: str = sys.executable
    ) -> subprocess.Popen[bytes]:
        own = {"TMPDIR": str(self.scratch)}
        code = "import sys; from dask.__main__ import main; sys.exit(main())"
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [python, "-c", code, *map(str, words)],
                cwd=self.folder,
                env={**environment(), **own},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def add_worker(self, threads: int = 2, *, python: str = sys.executable) -> int:
        """Start one more worker, with the nanny that a user's has. Returns the worker's pid."""
        name = f"worker-{len(self.workers)}"
        options = ("--nthreads", threads, "--local-directory", self.folder / "dask")
        nanny = self._start(name, "worker", *self._named(), *options, python=python)
        self.workers.append(nanny)
        until(lambda: "Registered to:" in self.log(name) or nanny.poll() is not None)
        assert nanny.poll() is None, self.log(name)
        return self.worker_of(nanny)

    def worker_of(self, nanny: subprocess.Popen[bytes]) -> int:
        """The pid of the worker that a nanny looks after."""
        until(lambda: _spawned(nanny.pid))
        return _spawned(nanny.pid)[0]

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def kill(self) -> None:
        """Leave nothing of it behind."""
        for process in self.processes:
            process.kill()
            process.wait()
        end_all_in(self.folder)

    def tell(self, to: IO[str]) -> None:
        """Print the end of what it has printed."""
        for log in sorted(self.folder.glob("*.log")):
            print(f"--- {log.name}", log.read_text(errors="replace")[-3000:], sep="\n", file=to)


def _spawned(nanny: int) -> list[int]:
    """The worker below a nanny; the other child is a tracker of multiprocessing's."""
    found = []
    for pid in children_of(nanny):
        with contextlib.suppress(OSError):
            if b"resource_tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def environment() -> dict[str, str]:
    """Of cluster and scenarios: all can import what is beside this file, and the examples."""
    paths = [HERE, HERE.parent, HERE.parent.parent / "examples"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**plain_environment(), "PATH": path, "PYTHONPATH": os.pathsep.join(map(str, paths))}


@contextlib.contextmanager
def cluster_of(
    folder: Path,
    workers: int = 2,
    threads: int = 2,
    security: Sequence[object] = (),
    scheduler: str = sys.executable,
) -> Iterator[Cluster]:
    """A cluster that is ready; nothing is left of it behind that."""
    cluster = Cluster(folder, security, scheduler)
    try:
        for _ in range(workers):
            cluster.add_worker(threads)
        yield cluster
    except BaseException:
        cluster.tell(sys.stderr)
        raise
    finally:
        cluster.kill()
