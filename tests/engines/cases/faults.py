"""Items that crash, hang, leave and raise, in children on the other side: each costs itself.
faults.py ENGINE"""

import os
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
            assert type(error) is OwnError
            assert error.args == ("raise", outcome.pid)
            assert f"item {outcome.index}" in "".join(error.__notes__), error.__notes__
            assert "in work" in str(error.__cause__)
        case item:
            assert (error, outcome.result) == (None, item.upper())
    if error is not None:
        assert str(outcome.index) in "".join([str(error), *getattr(error, "__notes__", ())])


if __name__ == "__main__":
    items = ["a", "crash", "b", "leave", "c", "raise", "d", "hang", "e"] + ["f"] * 30
    with named_engine() as executor:
        begun = time.monotonic()
        call = Parallel(work, executor=executor, in_processes=2, timeout=2)
        outcomes = call.outcomes(items)
        assert [(one.index, one.item) for one in outcomes] == list(enumerate(items))
        for outcome in outcomes:
            check(outcome)
            assert begun - 1 < outcome.started < time.monotonic()
        try:
            call.map_processes(items)
        except OwnError:
            raise
        except DeadWorkerError as error:
            assert (error.index, error.item) == (1, "crash")
