"""What becomes of a call when something goes wrong: tried, not quoted, and printed as a table.

    python benchmarks/promises.py

Each cell is a fresh host process, two children where there is a pool, and 8 s to answer in.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import trial

from tep_parallel import DeadWorkerError, Parallel

SOON = 2.0  # seconds; what takes longer was not done at once
ITEMS = list(range(8))
MANY = 100_000  # items; who has pulled so many has pulled them all

Fan = Callable[[Callable[[int], Any]], list[Any]]


def by_tep_parallel(work: Callable[[int], Any]) -> list[Any]:
    """A list of results, an exception in the place of an item that failed."""
    return [outcome.result or outcome.error for outcome in Parallel(work).outcomes(ITEMS)]


def by_pool(work: Callable[[int], Any]) -> list[Any]:
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return [
            trial.result(handle.get) for handle in [pool.apply_async(work, (i,)) for i in ITEMS]
        ]


def by_executor(work: Callable[[int], Any]) -> list[Any]:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
        return [trial.result(future.result) for future in [pool.submit(work, i) for i in ITEMS]]


FANS: dict[str, Fan] = {
    "tep_parallel": by_tep_parallel,
    "Pool": by_pool,
    "ProcessPoolExecutor": by_executor,
}


# --- Workers, with item 0 in trouble ----------------------------------------------


def die(item: int) -> str:
    if item == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.2)
    return "done"


def leave(item: int) -> str:
    if item == 0:
        sys.exit(3)
    return "done"


def fail(item: int) -> str:
    if item == 0:
        key = "key"
        raise trial.Keyed(key, "value")
    time.sleep(0.2)
    return "done"


def be_told(item: int) -> str:
    if item == 0:
        os.kill(os.getpid(), signal.SIGTERM)
        return "went on"
    return "done"


def whoami(_: int) -> str:
    return str(os.getpid())


def linger(_: int) -> str:
    subprocess.run(["sleep", "20"], check=False)
    return "done"


# --- Questions, each answered by a host process of its own -----------------------------


def a_killed_child(fan: Fan) -> str:
    """A child is killed"""
    return _judged(
        fan(die),
        lambda error: isinstance(error, DeadWorkerError) and error.signal == signal.SIGKILL,
        "its item fails, named",
    )


def a_worker_that_exits(fan: Fan) -> str:
    """A worker calls `sys.exit`"""
    try:
        return _judged(
            fan(leave),
            lambda error: isinstance(error, DeadWorkerError) and error.exit_code == 3,
            "its item fails, named",
        )
    except SystemExit:
        return "`SystemExit` in the host"


def an_exception_that_does_not_unpickle(fan: Fan) -> str:
    """An exception cannot be unpickled"""
    return _judged(
        fan(fail),
        lambda error: (
            type(error) is trial.Keyed
            and str(error) == "key=value"
            and "in fail" in str(error.__cause__)
        ),
        "its item fails, with that exception",
    )


def a_lambda(fan: Fan) -> str:
    """The worker is a lambda"""
    results = fan(lambda _: "done")
    return "runs" if results == ["done"] * len(ITEMS) else "refused: cannot be pickled"


def a_process_an_item(fan: Fan) -> str:
    """Each item gets a process of its own"""
    return "yes" if len(set(fan(whoami))) == len(ITEMS) else "no"


def the_hosts_handlers(fan: Fan) -> str:
    """A child gets SIGTERM, and the host has a handler"""
    signal.signal(signal.SIGTERM, lambda *_: None)
    results = fan(be_told)
    if results[0] == "went on":
        return "the host's handler runs in the child"
    died = isinstance(results[0], DeadWorkerError) and results[0].signal == signal.SIGTERM
    return "the child dies" if died else str(results)


def an_endless_generator(fan: Fan) -> str:
    """The items come from an endless generator"""
    pulled = 0

    def endless() -> Iterator[int]:
        nonlocal pulled
        for pulled in itertools.count(1):
            if pulled == MANY:  # before the memory is full
                print("the call never returns", flush=True)
                os._exit(0)
            yield pulled

    context = multiprocessing.get_context("fork")
    if fan is by_tep_parallel:
        results: Iterator[Any] = Parallel(whoami, in_processes=2).imap_processes(endless())
    elif fan is by_pool:
        results = context.Pool(2).imap(whoami, endless())
    else:
        results = ProcessPoolExecutor(2, mp_context=context).map(whoami, endless())
    for _ in range(10):
        next(results)
    before, _ = pulled, time.sleep(0.5)
    ahead = "a window of items is" if pulled == before else "items without end are"
    print(f"results come, {ahead} pulled ahead", flush=True)
    os._exit(0)


def _judged(results: list[Any], right: Callable[[Any], bool], well: str) -> str:
    """`well`, where all but item 0 are done, and that one's error is the right one."""
    lost = results[1:] != ["done"] * (len(ITEMS) - 1)
    if any(isinstance(result, BrokenProcessPool) for result in results):
        return "the pool breaks, others' results are lost" if lost else "the pool breaks"
    named = not lost and right(results[0]) and getattr(results[0], "index", 0) == 0
    return well if named else str(results)


IN_THE_HOST = [
    a_killed_child,
    a_worker_that_exits,
    an_exception_that_does_not_unpickle,
    a_lambda,
    a_process_an_item,
    the_hosts_handlers,
    an_endless_generator,
]


# --- Questions about the host's end, answered from outside ------------------------------


def ctrl_c(name: str) -> str:
    """Ctrl-C, while children would run for 20 s"""
    host = trial.start("linger", name)
    try:
        trial.wait_for_children(host)
        begun = time.monotonic()
        os.killpg(host.pid, signal.SIGINT)
        try:
            host.wait(trial.LIMIT)
        except subprocess.TimeoutExpired:
            return "waits for them"
        return "ends at once" if time.monotonic() - begun < SOON else "ends after a while"
    finally:
        trial.sweep(host)


def host_killed(name: str) -> str:
    """The host is killed with SIGKILL"""
    host = trial.start("linger", name)
    try:
        trial.wait_for_children(host)
        host.kill()
        host.wait()
        time.sleep(SOON)
        left = trial.lingering(host)
        return "the children run on" if left else "the children and all that they started are gone"
    finally:
        trial.sweep(host)


FROM_OUTSIDE = [ctrl_c, host_killed]


def table() -> str:
    """The table, in Markdown."""
    lines = ["| | " + " | ".join(f"`{name}`" for name in FANS) + " |", "| --- " * 4 + "|"]
    for asked in IN_THE_HOST:
        lines.append(_row(asked.__doc__, [trial.answer(asked.__name__, name) for name in FANS]))
    for seen in FROM_OUTSIDE:
        lines.append(_row(seen.__doc__, [seen(name) for name in FANS]))
    return "\n".join(lines)


def _row(label: str | None, cells: list[str]) -> str:
    return f"| {label} | {' | '.join(cells)} |"


def main() -> None:
    if len(sys.argv) == 3:
        case, name = sys.argv[1:]
        if case == "linger":
            FANS[name](linger)
        else:
            print(globals()[case](FANS[name]))
        return
    with tempfile.TemporaryDirectory() as root:
        os.environ["TMPDIR"] = root
        print(table())


if __name__ == "__main__":
    main()
