"""A host that gevent has patched, with a timer: signals are handled while C reads a long result."""

from gevent import monkey

monkey.patch_all()

import signal  # noqa: E402
import sys  # noqa: E402
from collections import Counter  # noqa: E402
from types import FrameType  # noqa: E402

from tep_parallel import Parallel  # noqa: E402
from tep_parallel._engine.asking import Asking  # noqa: E402

SIZE = 600_000_000
RUN = Asking._ask_word.__code__
seen: Counter[object] = Counter()


def note(number: int, frame: FrameType | None) -> None:
    if frame is not None:
        seen[frame.f_code] += 1


signal.signal(signal.SIGALRM, note)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
for options in ({}, {"on_finish": lambda outcome: None}):
    seen.clear()
    (text,) = Parallel(lambda item: item * SIZE, **options).map_processes(["x"])
    if (len(text), text.count("x")) != (SIZE, SIZE):
        sys.exit("the result is not what the child returned")
    if seen[RUN] < 3:  # when the wait is over, and when C comes back at last, is not enough
        sys.exit(f"signals were handled in {seen}")
signal.setitimer(signal.ITIMER_REAL, 0)
