"""A Python whose main thread is not the process's first; with a timer whose handler raises.

elsewhere.py LIBRARY: what is preloaded to make it such
"""

import os
import signal
import sys
import threading
import time

from tep_parallel import Parallel


class Rung(Exception):
    pass


def ring(number: int, frame: object) -> None:
    raise Rung


if "LD_PRELOAD" not in os.environ:
    os.environ["LD_PRELOAD"] = sys.argv[1]
    os.execv(sys.executable, [sys.executable, *sys.argv])

assert threading.current_thread() is threading.main_thread()
assert threading.get_native_id() != os.getpid()
signal.signal(signal.SIGALRM, ring)
begun = time.monotonic()
signal.setitimer(signal.ITIMER_REAL, 0.2)
try:
    Parallel(lambda item: time.sleep(30) or "").map_processes([1])
except Rung:
    print("interrupted" if time.monotonic() - begun < 20 else "late")
