"""Stray stores into all that children share with their host, in calls of every shape.

    python tests/long/scribble.py [--seconds 600] [--seed N] [--once]

Each host is a fresh process that makes one call. Some of its children store values of all
kinds and sizes into words that they share with nursery, host and each other, by and by or in
a loop, also from a process that they leave behind, and some kill the nursery then. What must
hold: the host lives and says how it went; its call is over by its deadline; a limit holds
where only clocks were written over; what is said to be a result is one; the host's own
children are neither reaped nor killed; its memory stays small; nothing is left. `--seed` with
`--once` makes one host's call again.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import hashlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from strays import HOWS, Scribbler, below, members, scribble_from_outside
from strays_workers import Bar, Planned, Scribbling, WithHooks, expected

from tep_parallel import FileDigest, ItemTimeoutError, Parallel, ParallelError

HOSTS = 2
LATE = 10.0  # seconds after its deadline that a call may take on a loaded machine
LIMIT = 40.0  # seconds; against hanging only
MOST = 64 << 10  # KiB that a host may grow by
FILES = [str(path) for path in Path(__file__).parent.parent.glob("*/*.py")]


def options_of(chance: random.Random, how: str) -> dict[str, Any]:
    """Those of a call."""
    options: dict[str, Any] = {}
    if chance.random() < 0.75:
        options["in_processes"] = chance.randint(1, 4)
        options["isolation"] = chance.random() < 0.3
    if how == "clocks":
        options["timeout"] = 0.4
    elif chance.random() < 0.75:
        options["deadline"] = 1.0
    elif chance.random() < 0.5:
        options["timeout"] = 0.4
    if chance.random() < 0.3:
        options["retries"] = chance.randint(1, 3)
    if chance.random() < 0.2:
        options["codec"] = json
    for name, hook in [
        ("on_start", lambda index, item: None),
        ("on_finish", lambda outcome: None),
        ("progress", Bar()),
    ]:
        if chance.random() < 0.25:
            options[name] = hook
    return options


@contextlib.contextmanager
def own_children() -> Iterator[list[int]]:
    """The host's: one that has ended, and one that runs; afterwards both are as they were."""
    ended = subprocess.Popen(["sh", "-c", "exit 7"])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    runs = subprocess.Popen(["sleep", "1000"])
    try:
        yield [ended.pid, runs.pid]
        assert ended.wait() == 7, "the host's own child was reaped"
        assert runs.poll() is None, "a stranger was killed"
    finally:
        runs.kill()
        runs.wait()


def digests(seed: int, chance: random.Random, options: dict[str, Any], pids: list[int]) -> None:
    """A call of files, whose children are scribbled on from outside."""
    paths = [chance.choice(FILES) for _ in range(chance.choice([3, 40, 300]))]
    options.pop("codec", None)
    options["in_processes"] = options.get("in_processes") or 2
    options["deadline"] = 1.0  # nobody else ends what has lost its word
    over = threading.Event()
    scribbler = Scribbler(random.Random(seed), pids, len(paths))
    thread = threading.Thread(target=scribble_from_outside, args=(scribbler, over))
    thread.start()
    try:
        for outcome in Parallel(FileDigest(algorithm="sha256"), **options).outcomes(paths):
            if outcome.ok:
                found = hashlib.sha256(Path(str(outcome.item)).read_bytes()).hexdigest()
                assert outcome.result == found, outcome
    finally:
        over.set()
        thread.join()


def items_call(
    seed: int, chance: random.Random, how: str, options: dict[str, Any], pids: list[int]
) -> None:
    """A call of items that scribble themselves."""
    kind = WithHooks if chance.random() < 0.25 and how != "clocks" else Scribbling
    worker = kind(seed, how, pids, options)
    call, items = Parallel(worker, **options), range(worker.count)
    shape = chance.random()
    if how != "clocks" and shape < 0.15:
        assert call.each_process(items) == 0
        return
    if how != "clocks" and shape < 0.4:
        results = call.map_processes(items)
        # A pool's text bears no MAC.
        assert how == "memory" or results == list(map(expected, items)), results
        return
    for outcome in call.outcomes(items):
        if outcome.ok and how != "memory":
            assert outcome.result == expected(outcome.index), outcome
        if how == "clocks" and outcome.index in worker.strays:
            assert isinstance(outcome.error, ItemTimeoutError), outcome


def open_files() -> list[str]:
    """What this process has open, for a message."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.append(f"{name}: {os.readlink(f'/proc/self/fd/{name}')}")
    return found


def host(seed: int) -> None:
    """Make a call, and see that it did no harm."""
    chance = random.Random(seed)
    faulthandler.dump_traceback_later(LIMIT + LATE / 2, exit=True)
    how = chance.choice([*HOWS, "files"])
    options = options_of(chance, how)
    scratch = Path(os.environ["TMPDIR"])
    with own_children() as pids:
        before = set(os.listdir("/proc/self/fd"))
        size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begun, said = time.monotonic(), "returned"
        try:
            if how == "files":
                digests(seed, chance, options, pids)
            else:
                items_call(seed, chance, how, options, pids)
        except (ParallelError, OSError, TypeError, Planned) as error:
            said = type(error).__name__
        took = time.monotonic() - begun
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - size
        assert took < options.get("deadline", LIMIT) + LATE, f"it took {took} s"
        assert grown < MOST, f"the host has grown by {grown} KiB"
        assert set(os.listdir("/proc/self/fd")) == before, open_files()
        assert sorted(below(os.getpid())) == sorted(pids), "children"
        assert list(scratch.iterdir()) == [], "the scratch directory"
    print(f"{how} {said} {took:.2f} s", flush=True)


def judge(process: subprocess.Popen[bytes], seed: int, begun: float, said: Path) -> str | None:
    """What is wrong with a host; None: nothing, or it still runs."""
    if process.poll() is None:
        if time.monotonic() - begun < LIMIT + LATE:
            return None
        return f"seed {seed} hangs: {members(process.pid)}"
    out = said.read_text()[-3000:]
    if process.returncode != 0 or " s\n" not in out:
        return f"seed {seed} ended with {process.returncode}: {out}"
    end = time.monotonic() + LATE
    while left := members(process.pid):  # some scribble on for a while
        if time.monotonic() > end:
            return f"seed {seed} has left {left}"
        time.sleep(0.01)
    return None


def start(seed: int, scratch: Path) -> subprocess.Popen[bytes]:
    """A host in a session of its own."""
    place = scratch / str(seed)
    place.mkdir()
    with (scratch / f"{seed}.out").open("wb") as said:  # no pipe, which may be full
        return subprocess.Popen(
            [sys.executable, "-X", "faulthandler", __file__, "--host", str(seed)],
            env={**os.environ, "TMPDIR": str(place)},
            stdout=said,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )


def end(process: subprocess.Popen[bytes]) -> None:
    """Whatever state it is in."""
    for line in members(process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(line.split()[0]), signal.SIGKILL)
    process.wait()


def main() -> None:
    """Start hosts until the time is over, or one of them has failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--once", action="store_true", help="one host only")
    parser.add_argument("--host", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.host is not None:
        host(options.host)
        return
    print(f"--seed {options.seed}", flush=True)
    seed, ended = options.seed, 0
    over = time.monotonic() + options.seconds
    hosts: dict[subprocess.Popen[bytes], tuple[int, float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        try:
            more = True
            while more or hosts:
                while more and len(hosts) < HOSTS:
                    hosts[start(seed, Path(scratch))] = (seed, time.monotonic())
                    seed += 1
                    more = not options.once
                for process, (number, begun) in list(hosts.items()):
                    wrong = judge(process, number, begun, Path(scratch) / f"{number}.out")
                    if wrong is not None:
                        sys.exit(wrong)
                    if process.returncode is not None:
                        del hosts[process]
                        ended += 1
                more = more and time.monotonic() < over
                time.sleep(0.01)
        finally:
            for process in hosts:
                end(process)
    print(f"{ended} hosts live")


if __name__ == "__main__":
    main()
