"""Items that crash, hang, leave and raise, in children on the other side: each costs itself.
faults.py ENGINE"""

import os
import re
import signal
import socket
import sys
import time

from engines import named_engine

from tep_parallel import DeadWorkerError, ItemTimeoutError, Parallel


class OwnError(Exception):
    """Of __main__."""


def work(item):
    if item == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if item == "hang":
        time.sleep(600)
    if item == "leave":
        sys.exit(7)
    if item == "raise":
        raise OwnError(item, os.getpid())
    return item.upper()


def check(outcome):
    assert outcome.host == socket.gethostname()
    error = outcome.error
    match outcome.item:
        case "crash":
            assert isinstance(error, DeadWorkerError)
            assert (error.index, error.item, error.signal) == (outcome.index, "crash", 11)
        case "leave":
            assert isinstance(error, DeadWorkerError)
            assert (error.index, error.item, error.exit_code) == (outcome.index, "leave", 7)
        case "hang":
            assert isinstance(error, ItemTimeoutError)
            assert (error.index, error.item) == (outcome.index, "hang")
        case "raise":
            assert type(error) is OwnError, repr(error)
            assert error.args == ("raise", outcome.pid)
            assert "in work" in str(error.__cause__)
        case item:
            assert (error, outcome.result) == (None, item.upper())


def main():
    items = ["a", "crash", "b", "leave", "c", "raise", "d", "hang", "e"] + ["f"] * 30
    with named_engine() as executor:
        begun = time.monotonic()
        call = Parallel(work, executor=executor, in_processes=2, timeout=2)
        outcomes = call.outcomes(items)
        assert [(one.index, one.item) for one in outcomes] == list(enumerate(items))
        for outcome in outcomes:
            check(outcome)
            assert begun - 1 < outcome.started < time.monotonic()
        for expected in (OwnError, DeadWorkerError):
            shown = ["a", "b", "raise" if expected is OwnError else "crash", *["c"] * 30]
            assert failure(call, shown, expected) == failure(Parallel(work), shown, expected)


def failure(call, items, expected):
    """What a call raises, but for pids."""
    try:
        call.map_processes(items)
    except expected as error:
        notes = [note.split(", ")[0] for note in getattr(error, "__notes__", ())]
        return re.sub(r"\d{3,}", "", str(error)), notes, getattr(error, "index", None)
    raise AssertionError


if __name__ == "__main__":
    main()
