"""Threads call in a block while children, nurseries and the server are killed at random.

kept_chaos.py SECONDS fresh|pool [SEED]
"""

import contextlib
import os
import random
import signal
import sys
import threading
import time
import warnings

from support import below, children, descriptors

from tep_parallel import DeadWorkerError, Parallel

seconds, OPTIONS = float(sys.argv[1]), {"in_processes": 2} if sys.argv[2] == "pool" else {}
chance = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
warnings.simplefilter("ignore", RuntimeWarning)  # that there is another server
end = time.monotonic() + seconds
seen = {"calls": 0, "right": 0, "dead": 0, "lost": 0, "kills": 0}
failed: list[BaseException] = []


def call(number: int) -> None:
    turn = 0
    try:
        while time.monotonic() < end:
            turn += 1
            items = [f"{number} {turn} {k}" for k in range(turn % 5 + 1)]
            seen["calls"] += 1
            try:
                outcomes = p.outcomes(items)
            except (DeadWorkerError, BrokenPipeError) as error:
                # Two nurseries, or two servers, as soon as they were there.
                assert getattr(error, "index", None) is None, error
                seen["lost"] += 1
                continue
            assert [one.index for one in outcomes] == list(range(len(items)))
            for item, one in zip(items, outcomes, strict=True):
                assert one.result == item or isinstance(one.error, DeadWorkerError), one
                seen["right" if one.ok else "dead"] += 1
    except BaseException as error:
        failed.append(error)


before = descriptors()
with Parallel(str, max_calls=3, **OPTIONS) as p:
    threads = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    while time.monotonic() < end:
        victims = below(os.getpid())
        if victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(victims), signal.SIGKILL)
                seen["kills"] += 1
        time.sleep(chance.random() * 0.02)
    for thread in threads:
        thread.join()
    assert failed == [], failed
    assert p.map_processes(range(9)) == list("012345678")
print(seen)
assert seen["right"] > seen["calls"], seen
assert children(servers=True) == []
assert descriptors() == before
