"""A thread of the host writes, and holds the lock of its stream's buffer, while it forks.

    held_streams.py hook | rollover | unwrapped

hook: an at-fork hook that was there before tep_parallel logs to that stream. rollover: the
handler got that stream after all was prepared. unwrapped: it is inside of what stands in for
sys.stdout. A child that needed the lock would hang, and so be late.
"""

import io
import logging
import os
import sys
import threading

host = os.getpid()
inside = threading.Event()
log = logging.getLogger("case")
log.setLevel(logging.INFO)
log.propagate = False


class Gate(io.RawIOBase):
    """In the host a write never returns."""

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        if os.getpid() == host:
            inside.set()
            threading.Event().wait()
        os.write(2, bytes(data))  # type: ignore[call-overload]
        return len(data)  # type: ignore[arg-type]


def held() -> io.TextIOWrapper:
    """A stream whose lock a thread holds."""
    buffer = io.BufferedWriter(Gate(), 8192)  # less than is written
    inside.clear()
    threading.Thread(target=buffer.write, args=(b"x" * 100_000,), daemon=True).start()
    assert inside.wait(60)
    return io.TextIOWrapper(buffer, encoding="utf-8", newline="\r\n")


class StandIn:
    def __init__(self, *streams: io.TextIOWrapper) -> None:
        self.streams = streams

    def write(self, part: str) -> int:
        return self.streams[0].write(part)

    def flush(self) -> None:
        if os.getpid() != host:
            self.streams[0].flush()


how = sys.argv[1]
if how == "hook":
    log.addHandler(logging.StreamHandler(held()))
    os.register_at_fork(after_in_child=lambda: log.info("hook"))
else:
    log.addHandler(logging.StreamHandler(io.StringIO()))

from tep_parallel import Parallel  # noqa: E402  # the hook is first


def swap() -> None:
    if how == "rollover" and os.getpid() == host:
        log.handlers[0].stream = held()  # type: ignore[attr-defined]


os.register_at_fork(before=swap)  # after all was prepared


def work(item: str) -> str:
    if how == "unwrapped":
        print(item)
    else:
        log.info(item)
    return item


stdout = sys.stdout
if how == "unwrapped":
    stand_in = StandIn(held())  # nobody may close it
    sys.stdout = stand_in  # type: ignore[assignment]
found = Parallel(work, timeout=20, on_finish=lambda outcome: None).outcomes(["a"])
sys.stdout = stdout
print(*(outcome.result or repr(outcome.error) for outcome in found), flush=True)
os._exit(0)  # what the thread holds keeps Python from its end
