"""Random calls of random shapes, while somebody kills, stops, floods, fills and takes.

    python tests/long/chaos.py [--seconds 600] [--seed N]

Host processes make calls and check each, also iterating ones of up to 100,000 items: every
result is right, or its error is one that what is done here can cause. Half of the calls are in
blocks. Meanwhile this process torments them: it kills children, also idle ones, nurseries, the
servers of blocks, and hosts, stops and continues processes, floods them with signals, fills the
disk and takes descriptors away. In the end no process and no scratch directory is left. A
failing host is named with its seed, and `--seed` makes its calls again.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import functools
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from tep_parallel import (
    AbortedError,
    Break,
    DeadlineError,
    DeadWorkerError,
    FileDigest,
    ItemTimeoutError,
    Outcome,
    Parallel,
    WorkerError,
)

HOSTS = 2
CALLS = 40  # a host
LIMIT = 60.0  # seconds; against hanging only
# To be digested: from a few lines to the interpreter's megabytes.
FILES = [str(path) for path in Path(__file__).parent.parent.glob("*/*.py")] + [sys.executable]
# What a full disk, few descriptors and few processes may be told as.
SHORTAGES = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EMFILE,
    errno.ENFILE,
    errno.EAGAIN,
    errno.ENOMEM,
    errno.EFBIG,
}


def has_cause(error: OSError) -> bool:
    """Is it a shortage, or the death of a block's server as soon as that was forked?"""
    return error.errno in SHORTAGES or isinstance(error, BrokenPipeError)


class Planned(Exception):
    """What an item raises on purpose."""


def expected(item: int) -> str:
    """The result of an item that returns one."""
    return f"{item}:" + "x" * (item % 7 * 300)


def work(item: int) -> str:
    """An item: what it does follows from its number."""
    kind = item % 23
    if kind == 3:
        raise Planned(item)
    if kind == 5:
        os._exit(7)
    if kind == 7:
        time.sleep(0.02)
    if kind == 11:
        subprocess.run(["true"], check=False)
    if kind == 13:
        return Parallel(lambda inner: f"{inner}").map_processes([expected(item)])[0]
    if kind == 17 and os.fork() == 0:
        os.setsid()  # a daemon
        time.sleep(0.05)
        os._exit(0)
    return expected(item)


def check(outcome: Outcome[str], options: dict[str, Any], signals: set[int]) -> None:
    """Is it right, or its error true?"""
    item, error = outcome.item, outcome.error
    item = item if isinstance(item, int) else 0
    if error is None:
        assert item % 23 not in (3, 5), outcome
        assert outcome.result == expected(item), outcome
    elif isinstance(error, Planned):
        assert (item % 23, error.args) == (3, (item,)), outcome
    elif isinstance(error, DeadWorkerError):
        left = error.exit_code == 7 and item % 23 == 5
        nobody_saw = error.exit_code is None and error.signal is None
        assert left or nobody_saw or error.signal in signals, (outcome, error)
    elif isinstance(error, ItemTimeoutError):
        assert "timeout" in options, outcome
    elif isinstance(error, OSError):
        assert error.errno in SHORTAGES, (outcome, error)
    else:  # the inner call's, as text or as itself
        assert item % 23 in (11, 13), (outcome, error)
        assert isinstance(error, WorkerError), (outcome, error)


@contextlib.contextmanager
def made(
    chance: random.Random, worker: Callable[[int], str], options: dict[str, Any]
) -> Iterator[tuple[Parallel[str], int]]:
    """A Parallel, and how many calls it is for: one, or some of a block."""
    fan_out = Parallel(worker, **options)
    if chance.random() < 0.5:
        yield fan_out, 1
        return
    with fan_out:
        yield fan_out, chance.choice([1, 3, 10])


def some_calls(chance: random.Random) -> None:
    """Make calls of some shape, and check what comes of them."""
    options: dict[str, Any] = {}
    if chance.random() < 0.7:
        options["in_processes"] = chance.randint(1, 4)
        options["isolation"] = chance.random() < 0.4
    if chance.random() < 0.3:
        options["timeout"] = chance.choice([0.01, 0.1, LIMIT])
    if chance.random() < 0.2:
        options["deadline"] = chance.choice([0.05, LIMIT])
    if chance.random() < 0.3:
        options["retries"] = chance.randint(1, 3)
    if chance.random() < 0.2:
        options["codec"] = json
    told: list[int] = []
    if chance.random() < 0.3:
        options["on_finish"] = lambda outcome: told.append(outcome.index)
    try:
        with made(chance, work, options) as (fan_out, calls):
            for _ in range(calls):
                told.clear()
                one_call(chance, fan_out, options, told)
    except OSError as error:
        assert has_cause(error), error
        return
    if chance.random() < 0.1:
        with contextlib.suppress(OSError, DeadWorkerError):
            assert Parallel(give, in_processes=2).map_processes(range(50)) == "given"


def one_call(
    chance: random.Random, fan_out: Parallel[str], options: dict[str, Any], told: list[int]
) -> None:
    """Make one of them, and check it."""
    items = [chance.randrange(10_000) for _ in range(chance.choice([1, 2, 10, 60]))]
    try:
        outcomes = fan_out.outcomes(items)
    except DeadlineError as over:
        assert "deadline" in options
        outcomes = over.outcomes
    except (DeadWorkerError, BrokenPipeError) as error:
        # Of a block: two nurseries, or servers, as soon as they were there.
        assert getattr(error, "index", None) is None, error
        return
    for outcome in outcomes:
        check(outcome, options, {signal.SIGKILL})
    if "on_finish" in options and "deadline" not in options:
        begun = [outcome.index for outcome in outcomes if outcome.attempts > 0]
        assert sorted(told) == begun


def quick(item: int) -> str:
    """An item of a long call: most do next to nothing."""
    kind = item % 1009
    if kind == 3:
        raise Planned(item)
    if kind == 5:
        os._exit(7)
    if kind == 7:
        time.sleep(0.01)
    return expected(item)


def check_quick(outcome: Outcome[str]) -> None:
    """Is it right, or its error true?"""
    item, error = outcome.item, outcome.error
    assert isinstance(item, int)
    if error is None:
        assert item % 1009 not in (3, 5), outcome
        assert outcome.result == expected(item), outcome
    elif isinstance(error, Planned):
        assert (item % 1009, error.args) == (3, (item,)), outcome
    elif isinstance(error, DeadWorkerError):
        left = error.exit_code == 7 and item % 1009 == 5
        nobody_saw = error.exit_code is None and error.signal is None
        assert left or nobody_saw or error.signal == signal.SIGKILL, (outcome, error)
    else:
        assert isinstance(error, OSError), (outcome, error)
        assert error.errno in SHORTAGES, (outcome, error)


def shape_of_stream(chance: random.Random) -> tuple[dict[str, Any], int]:
    """Options of an iterating call, and how many items it has."""
    if chance.random() < 0.3:
        return {"window": chance.choice([1, 4, 32])}, chance.choice([0, 3, 100])
    options: dict[str, Any] = {"in_processes": chance.randint(1, 4)}
    count = chance.choice([1, 10, 1000, 10_000, 100_000])
    if chance.random() < 0.3:
        options["max_items_per_child"] = chance.choice([1, 7, 500])
        count = min(count, 200 * options["max_items_per_child"])
    if chance.random() < 0.3:
        options["window"] = chance.choice([1, 5, 300])
        count = min(count, 10_000)
    return options, count


def as_they_end(fan_out: Parallel[str], first: int, count: int) -> None:
    """Every item comes once, whatever becomes of it."""
    seen = set[int]()
    try:
        for outcome in fan_out.as_completed(iter(range(first, first + count))):
            assert outcome.index == outcome.item - first, outcome
            assert outcome.index not in seen, outcome
            seen.add(outcome.index)
            check_quick(outcome)
    except DeadWorkerError as error:  # two nurseries, as soon as they were there
        assert error.index is None, error
        assert len(seen) < count, error
        count = len(seen)
    assert seen == set(range(count)), (len(seen), count)


def in_order(fan_out: Parallel[str], first: int, count: int) -> None:
    """Results come in input order, up to the first failure; from behind that, once more."""
    end = first + count
    while first < end:
        try:
            for result in fan_out.imap_processes(iter(range(first, end))):
                assert result == expected(first), (first, result)
                first += 1
            assert first == end, (first, end)
        except (Planned, DeadWorkerError, OSError) as error:
            # Those before it may not have been begun: it has stopped the call.
            item = error.args[0] if isinstance(error, Planned) else getattr(error, "item", None)
            item = item if isinstance(item, int) else first
            assert first <= item < end, (first, error)
            check_quick(Outcome(0, item, error=error))
            first = item + 1


def some_streams(chance: random.Random) -> None:
    """Make iterating calls of some shape."""
    options, count = shape_of_stream(chance)
    with made(chance, quick, options) as (fan_out, calls):
        for _ in range(calls):
            one_stream(chance, fan_out, count // calls)


def one_stream(chance: random.Random, fan_out: Parallel[str], count: int) -> None:
    """Make one of them; see it through, leave it, or abort it."""
    first = chance.randrange(10_000)
    how = chance.random()
    if how < 0.5:
        as_they_end(fan_out, first, count)
    elif how < 0.7:
        in_order(fan_out, first, count)
    elif how < 0.85:
        with contextlib.suppress(DeadWorkerError):  # see as_they_end
            stream = fan_out.as_completed(iter(range(first, first + count)))
            for outcome in stream:
                check_quick(outcome)
                if chance.random() < 0.01:
                    break
        stream.close()
    else:
        timer = threading.Timer(chance.random() * 0.1, fan_out.abort)
        timer.start()
        try:
            as_they_end(fan_out, first, count)
        except AbortedError as error:
            for outcome in error.outcomes:
                check_quick(outcome)
        finally:
            timer.cancel()
            timer.join()


def a_stream(chance: random.Random) -> None:
    """The same; the system may have nothing left for it, or its block lose its server."""
    try:
        some_streams(chance)
    except OSError as error:
        assert has_cause(error), error


def some_digests(chance: random.Random) -> None:
    """Of files that stay as they are, by children that never run Python."""
    paths = [chance.choice(FILES) for _ in range(chance.choice([1, 3, 40, 300]))]
    options: dict[str, Any] = {"in_processes": chance.randint(1, 4)}
    if chance.random() < 0.3:
        options["timeout"] = chance.choice([0.01, 0.1, LIMIT])
    if chance.random() < 0.3:
        options["retries"] = chance.randint(1, 3)
    try:
        outcomes = Parallel(FileDigest(algorithm="sha256"), **options).outcomes(paths)
    except OSError as error:
        assert error.errno in SHORTAGES, error
        return
    for outcome in outcomes:
        if outcome.error is None:
            assert outcome.result == sha256(str(outcome.item)), outcome
        elif isinstance(outcome.error, OSError) and outcome.error.filename is not None:
            assert outcome.error.errno in SHORTAGES, outcome
        else:
            check(outcome, options, {signal.SIGKILL})


@functools.cache
def sha256(path: str) -> str:
    """Its digest by the standard library."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def give(item: int) -> str:
    """Ends its call with a value."""
    if item == 20:
        raise Break("given")
    return str(item)


def host(seed: int) -> None:
    """Make calls, and see that they leave nothing."""
    chance = random.Random(seed)
    signal.signal(signal.SIGUSR1, lambda number, frame: None)
    warnings.simplefilter("ignore", RuntimeWarning)  # that a block has another server
    before = set(os.listdir("/proc/self/fd"))
    print("ready", flush=True)
    for number in range(CALLS):
        try:
            kind = chance.random()
            if kind < 0.2:
                some_digests(chance)
            elif kind < 0.4:
                a_stream(chance)
            else:
                some_calls(chance)
        except AssertionError:
            sys.exit(f"seed {seed}, call {number}: {traceback.format_exc()}")
        assert set(os.listdir("/proc/self/fd")) == before, (
            f"seed {seed}, call {number}: descriptors"
        )
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
        assert children == "", f"seed {seed}, call {number}: children {children}"
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # also when there is no Python any more


def below(pid: int) -> list[int]:
    """The processes below `pid`, as far as they can be seen."""
    found = []
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            found += [int(child), *below(int(child))]
    return found


def belongings(pid: int) -> set[str]:
    """The scratch directories of a nursery: that of its host, and what it has open."""
    stat = Path(f"/proc/{pid}/stat").read_text()
    if "(tep-nursery)" not in stat:
        return set()
    names = {f"tep_par_{stat.rpartition(')')[2].split()[1]}_*"}
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            names.add(descriptor.readlink().name)
    return names


def torment(victim: int, scratch: Path, chance: random.Random, orphaned: set[str]) -> None:
    """Do one thing to a host and what is below it.

    `orphaned` gets the directories of each nursery that is killed: where its host dies too
    before it can do so, nobody is left to remove them.
    """
    what = chance.random()
    processes = below(victim)
    with contextlib.suppress(OSError):  # it has just ended; or the disk is full already
        if what < 0.35 and processes:
            unlucky = chance.choice(processes)
            orphaned |= belongings(unlucky)
            os.kill(unlucky, signal.SIGKILL)
        elif what < 0.45 and processes:
            stopped = chance.choice(processes)
            os.kill(stopped, signal.SIGSTOP)
            time.sleep(chance.random() * 0.05)
            os.kill(stopped, signal.SIGCONT)
        elif what < 0.65:
            for _ in range(50):
                os.kill(victim, signal.SIGUSR1)
        elif what < 0.75:
            (scratch / "filler").write_bytes(bytes(64 << 20))
            time.sleep(0.02)
        elif what < 0.85:
            (scratch / "filler").unlink()
        elif what < 0.95:
            few = chance.choice([12, 20, 1024])
            resource.prlimit(victim, resource.RLIMIT_NOFILE, (few, 4096))
        elif what < 0.96:
            os.kill(victim, signal.SIGKILL)
    if what >= 0.75:
        with contextlib.suppress(FileNotFoundError):
            (scratch / "filler").unlink()


def left_over(scratch: Path, orphaned: set[str]) -> list[str]:
    """The scratch directories that somebody should have removed."""
    names = [path.name for path in scratch.glob("tep_par_*")]
    return [name for name in names if not any(fnmatch(name, orphan) for orphan in orphaned)]


def start(seed: int, scratch: Path) -> subprocess.Popen[str]:
    """A host, ready to make its calls."""
    process = subprocess.Popen(
        [sys.executable, "-X", "faulthandler", __file__, "--host", str(seed)],
        env={**os.environ, "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def main() -> None:
    """Torment hosts until the time is over, or one of them has failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--host", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.host is not None:
        host(options.host)
        return
    print(f"--seed {options.seed}", flush=True)
    chance = random.Random(options.seed)
    scratch = Path(tempfile.mkdtemp())
    small = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", scratch],
        capture_output=True,
        check=False,
    )
    print("the disk can be filled" if small.returncode == 0 else "the disk stays as it is")
    seed, ended, killed = options.seed, 0, 0
    orphaned: set[str] = set()
    hosts: dict[subprocess.Popen[str], float] = {}
    end = time.monotonic() + options.seconds
    failed = False
    try:
        while not failed and (time.monotonic() < end or hosts):
            while len(hosts) < HOSTS and time.monotonic() < end:
                hosts[start(seed, scratch)] = time.monotonic()
                seed += 1
            for process, begun in list(hosts.items()):
                disk = scratch if small.returncode == 0 else Path("/nowhere")
                torment(process.pid, disk, chance, orphaned)
                if process.poll() is not None:
                    del hosts[process]
                    ended += process.returncode == 0
                    killed += process.returncode == -signal.SIGKILL
                    if process.returncode == 0:
                        orphaned.discard(f"tep_par_{process.pid}_*")
                    if process.returncode not in (0, -signal.SIGKILL):
                        print(f"{process.args} ended with {process.returncode}")
                        failed = True
                elif time.monotonic() - begun > LIMIT + options.seconds:
                    print(f"host {process.args} hangs: {below(process.pid)}")
                    failed = True
            time.sleep(chance.random() * 0.02)
        end = time.monotonic() + LIMIT / 6
        while (left := left_over(scratch, orphaned)) and time.monotonic() < end:
            time.sleep(0.01)
        print(f"{ended} hosts of {CALLS} calls, {killed} killed; left: {left}")
        failed = failed or bool(left)
    finally:
        for process in hosts:
            process.kill()
            process.wait()
        if small.returncode == 0:
            subprocess.run(["umount", "-l", scratch], check=True)
        shutil.rmtree(scratch)
    if failed:
        sys.exit("failed")


if __name__ == "__main__":
    main()
