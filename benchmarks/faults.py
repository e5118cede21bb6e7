"""What can go wrong, beside the peers: tried, not quoted.

    python benchmarks/faults.py [--write]

Each cell is a fresh host process with a pool of two, which has 8 s to answer in; item 0 of
eight is in trouble. With `--write` the table goes into docs/faults.md.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import trial

from tep_parallel import Parallel

ITEMS = list(range(8))
PAGE = Path(__file__).parents[1] / "docs" / "faults.md"
BEGIN, END = "<!-- written by benchmarks/faults.py -->\n", "<!-- to here -->\n"

Work = Callable[[int], Any]
# A list of results, an exception in the place of each item that failed; a limit in seconds.
Fan = Callable[[Work, float | None], list[Any]]


def by_tep_parallel(work: Work, limit: float | None) -> list[Any]:
    fan_out = Parallel(work, in_processes=2, timeout=limit)
    return [outcome.error or outcome.result for outcome in fan_out.outcomes(ITEMS)]


def by_pool(work: Work, limit: float | None) -> list[Any]:
    with multiprocessing.get_context("fork").Pool(2) as pool:
        handles = [pool.apply_async(work, (item,)) for item in ITEMS]
        return [trial.result(lambda handle=handle: handle.get(limit)) for handle in handles]


def by_executor(work: Work, limit: float | None) -> list[Any]:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
        futures = [pool.submit(work, item) for item in ITEMS]
        return [trial.result(lambda future=future: future.result(limit)) for future in futures]


def by_joblib(work: Work, limit: float | None) -> list[Any]:
    import joblib

    jobs = [joblib.delayed(work)(item) for item in ITEMS]
    found = trial.result(lambda: joblib.Parallel(2, timeout=limit)(jobs))
    return [found] * len(ITEMS) if isinstance(found, Exception) else found


def by_mpire(work: Work, limit: float | None) -> list[Any]:
    import mpire

    with mpire.WorkerPool(2, start_method="fork") as pool:
        found = trial.result(lambda: pool.map(work, ITEMS, task_timeout=limit, chunk_size=1))
    return [found] * len(ITEMS) if isinstance(found, Exception) else found


def by_pebble(work: Work, limit: float | None) -> list[Any]:
    import pebble

    with pebble.ProcessPool(2, context=multiprocessing.get_context("fork")) as pool:
        futures = [pool.schedule(work, args=(item,), timeout=limit) for item in ITEMS]
        return [trial.result(future.result) for future in futures]


FANS: dict[str, Fan] = {
    "tep_parallel": by_tep_parallel,
    "Pool": by_pool,
    "ProcessPoolExecutor": by_executor,
    "joblib": by_joblib,
    "mpire": by_mpire,
    "pebble": by_pebble,
}


# --- Items, number 0 of which is in trouble ------------------------------------------


class Holding(Exception):  # noqa: N818
    """Cannot be pickled."""

    def __init__(self) -> None:
        super().__init__("held")
        self.held = lambda: None


def killed(item: int) -> str:
    """A child is killed"""
    if item == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return _done()


def exits(item: int) -> str:
    """A worker calls `sys.exit`"""
    if item == 0:
        sys.exit(3)
    return _done()


def does_not_unpickle(item: int) -> str:
    """An exception does not unpickle"""
    if item == 0:
        raise trial.Keyed(*"kv")
    return _done()


def does_not_pickle(item: int) -> str:
    """An exception does not pickle"""
    if item == 0:
        raise Holding
    return _done()


def no_result(item: int) -> Any:
    """A result cannot be sent"""
    return (lambda: None) if item == 0 else _done()


def interrupted(item: int) -> str:
    """A worker raises `KeyboardInterrupt`"""
    if item == 0:
        raise KeyboardInterrupt
    return _done()


def endless(item: int) -> str:
    """A stack overflows"""
    return endless(item) if item == 0 else _done()


def sleeps(item: int) -> str:
    """An item is over its limit of 0.5 s"""
    if item == 0:
        time.sleep(60)
    return _done()


def stuck(item: int) -> str:
    """The same, in C, deaf to SIGTERM"""
    if item == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        ctypes.PyDLL(None).sleep(60)  # it holds the GIL
    return _done()


def has_started(item: int) -> str:
    """The same, and it has started a process"""
    if item == 0:
        subprocess.run(["sleep", "60"], check=False)
    return _done()


def _done() -> str:
    time.sleep(0.1)
    return "done"


QUESTIONS: dict[Work, float | None] = {
    killed: None,
    exits: None,
    does_not_unpickle: None,
    does_not_pickle: None,
    no_result: None,
    interrupted: None,
    endless: None,
    sleeps: 0.5,
    stuck: 0.5,
    has_started: 0.5,
}


def ask(case: str, name: str) -> None:
    """In a host: print what becomes of it."""
    work: Work = globals()[case]
    limit = QUESTIONS[work]
    begun = time.monotonic()
    try:
        results = FANS[name](work, limit)
    except BaseException as error:  # noqa: BLE001  # as the host would see it
        print(f"`{type(error).__name__}` ends the host's program")
        return
    seconds = time.monotonic() - begun
    failed = [result for result in results if isinstance(result, BaseException)]
    kind = f"`{type(results[0]).__name__}`" if failed else "nothing is said"
    if results[1:] == ["done"] * 7:
        answer = f"its item: {kind}"
    else:
        answer = f"{kind}; {len(failed) - 1} others are lost"
    if limit is not None and seconds > 2:
        answer += f", after {seconds:.0f} s"
    print(answer)


def table() -> str:
    """The table, in Markdown."""
    lines = ["| | " + " | ".join(f"`{name}`" for name in FANS) + " |", "| --- " * 7 + "|"]
    for work in QUESTIONS:
        cells = [trial.answer(work.__name__, name) for name in FANS]
        lines.append(f"| {work.__doc__} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Answer one question, or print them all."""
    if len(sys.argv) == 3:
        ask(*sys.argv[1:])
        return
    with tempfile.TemporaryDirectory() as root:
        os.environ["TMPDIR"] = root
        found = table()
    print(found)
    if "--write" in sys.argv:
        text = PAGE.read_text()
        before, _, rest = text.partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{found}\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
