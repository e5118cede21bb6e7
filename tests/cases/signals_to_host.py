"""400 signals in the first 3 ms of a call: each is answered at once, and not at its end."""

import random
import signal
import sys
import time

from kept import Parallel


class Alarm(Exception):
    pass


def ring(number: int, frame: object) -> None:
    raise Alarm


def sleep_long(item: str) -> str:
    time.sleep(60)
    return item


# What a first call imports may swallow an exception (annotationlib does, in 3.14).
Parallel(str).map_processes([1])
signal.signal(signal.SIGALRM, ring)
parallel = Parallel(sleep_long)
slowest = 0.0
for _ in range(int(sys.argv[1])):
    begun = time.monotonic()
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(0.00001, 0.003))
        parallel.map_processes(["a"])
    except Alarm:
        pass
    else:
        sys.exit("the signal was not seen")
    slowest = max(slowest, time.monotonic() - begun)
assert slowest < 30, slowest  # the children sleep for sixty
