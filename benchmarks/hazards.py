"""What threads and size of the host do to a fork: children that hang, and what a call costs.

    python benchmarks/hazards.py

A child that is not through after 1 s is killed by its own alarm, and counted as hung.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import mmap
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

from tep_parallel import DeadWorkerError, Parallel

A_CALL = 4  # children
ALARM = 1  # seconds
LIMIT = 60  # seconds for a host
GIB = 1 << 30

Work = Callable[[], object]


def by_hand(work: Work, children: int) -> int:
    """How many children of os.fork hang."""
    hung = 0
    for _ in range(children):
        pid = os.fork()
        if pid == 0:
            try:
                signal.alarm(ALARM)
                work()
                sys.stdout.flush()
            finally:
                os._exit(0)
        status = os.waitpid(pid, 0)[1]
        hung += os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM
    return hung


def by_tep_parallel(work: Work, children: int) -> int:
    """The same, of children of tep_parallel, some in each call."""

    def process(_: object) -> str:
        signal.alarm(ALARM)
        work()
        return ""

    hung = 0
    for _ in range(children // A_CALL):
        for outcome in Parallel(process).outcomes(range(A_CALL)):
            error = outcome.error
            if isinstance(error, DeadWorkerError) and error.signal == signal.SIGALRM:
                hung += 1
            elif error is not None:
                raise error
    return hung


own_lock = threading.Lock()
WAYS = {"os.fork": by_hand, "tep_parallel": by_tep_parallel}


# --- What threads of the host do, and the child too --------------------------------


def prints() -> None:
    """print"""
    print("x" * 200)


def logs() -> None:
    """log to a file"""
    logging.warning("x" * 200)


def locks() -> None:
    """take a lock of the program's own"""
    with own_lock:
        time.sleep(0.001)


def imports() -> None:
    """import the same module"""
    importlib.import_module("slow_module")


def multiplies() -> None:
    """multiply matrices, OpenBLAS with threads of its own"""
    import numpy as np

    matrix = np.ones((300, 300))
    assert (matrix @ matrix)[0, 0] == 300


HAZARDS = {prints: 40, logs: 40, locks: 20, imports: 20, multiplies: 20}  # children


@contextlib.contextmanager
def threads_that(work: Work) -> Iterator[None]:
    """Three threads that do nothing else; of imports one, which takes as long as it takes."""
    over = threading.Event()

    def go_on() -> None:
        while not over.is_set():
            work()

    threads = [threading.Thread(target=go_on) for _ in range(3)]
    if work is imports:
        threads = [threading.Thread(target=work, daemon=True)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    try:
        yield
    finally:
        over.set()
        if work is not imports:
            for thread in threads:
                thread.join()


def hang(hazard: str, way: str) -> None:
    """In a process of its own: count, and say on standard error."""
    work = globals()[hazard]
    logging.basicConfig(filename=os.environ["LOG"])
    with threads_that(work):
        sys.stderr.write(f"{WAYS[way](work, HAZARDS[work])}\n")
    sys.stderr.flush()
    os._exit(0)  # an import may still be under way


# --- How large the host is -----------------------------------------------------------


def grow(gibibytes: str, pages: str) -> None:
    """In a process of its own: the median time of a call of one item, on standard error."""
    size = int(gibibytes) * GIB
    if size > 0:
        memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        memory.madvise(mmap.MADV_HUGEPAGE if pages == "huge" else mmap.MADV_NOHUGEPAGE)
        for start in range(0, size, mmap.PAGESIZE):
            memory[start] = 1
    seconds = []
    for _ in range(11):
        begun = time.perf_counter()
        Parallel(str).map_processes(["1"])
        seconds.append(time.perf_counter() - begun)
    sys.stderr.write(f"{statistics.median(seconds) * 1000:.0f}\n")


def run(*arguments: str) -> str:
    """What such a process says; nothing, where it hangs itself."""
    # Not PYTHONUNBUFFERED: what is buffered, and under which lock, is the question.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with tempfile.TemporaryDirectory() as root:
        Path(root, "slow_module.py").write_text("import time; time.sleep(3600)")
        with open(f"{root}/printed", "w") as printed:
            host = subprocess.Popen(
                [sys.executable, "-W", "ignore", __file__, *arguments],
                stdout=printed,
                stderr=subprocess.PIPE,
                text=True,
                env={**plain, "PYTHONPATH": root, "TMPDIR": root, "LOG": f"{root}/log"},
                start_new_session=True,
            )
            try:
                said = host.communicate(timeout=LIMIT)[1].strip()
            except subprocess.TimeoutExpired:
                return ""
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(host.pid, signal.SIGKILL)
                host.communicate()
    if host.returncode != 0:
        raise RuntimeError(said)
    return said


def _count(answer: str, children: int) -> str:
    return f"{answer} of {children} hang" if answer else "the host hangs"


def main() -> None:
    if len(sys.argv) == 4:
        globals()[sys.argv[1]](*sys.argv[2:])
        return
    version = ".".join(map(str, sys.version_info[:3]))
    print(f"CPython {version}, {os.cpu_count()} CPUs\n")
    print(f"| threads of the host, and the child, | {' | '.join(f'`{way}`' for way in WAYS)} |")
    print("| --- " * (1 + len(WAYS)) + "|")
    for hazard, children in HAZARDS.items():
        if hazard is multiplies and find_spec("numpy") is None:
            continue  # no OpenBLAS here to try
        counts = [_count(run("hang", hazard.__name__, way), children) for way in WAYS]
        print(f"| {hazard.__doc__} | {' | '.join(counts)} |")
    print("\n| the host's memory | a call of one item |\n| --- | --- |")
    for gibibytes, pages in (("0", "small"), ("1", "small"), ("4", "small"), ("4", "huge")):
        label = "a bare interpreter" if gibibytes == "0" else f"+ {gibibytes} GiB, {pages} pages"
        print(f"| {label} | {run('grow', gibibytes, pages)} ms |")


if __name__ == "__main__":
    main()
