"""The nursery of a nest is killed, between calls and in them: no call is wrong.

kept_nursery_killed.py fresh|pool
"""

import contextlib
import os
import random
import signal
import sys
import threading

from support import below, children, descriptors, name_of

from tep_parallel import DeadWorkerError, Parallel

OPTIONS = {"in_processes": 2} if sys.argv[1] == "pool" else {}
over = threading.Event()
chance = random.Random(1)
kills = 0


def kill_some() -> None:
    global kills
    while not over.wait(chance.random() * 0.02):
        nurseries = [pid for pid in below(os.getpid()) if name_of(pid) == "tep-nursery"]
        if nurseries:
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(nurseries), signal.SIGKILL)
                kills += 1


before = descriptors()
with Parallel(str, max_calls=1, **OPTIONS) as p:
    assert p.map_processes([1]) == ["1"]
    killer = threading.Thread(target=kill_some)
    killer.start()
    fine, turn = 0, 0
    while kills < 40:
        turn += 1
        items = list(range(turn % 7 + 1))
        try:
            outcomes = p.outcomes(items)
        except (DeadWorkerError, BrokenPipeError) as error:  # several, as soon as they were there
            assert getattr(error, "index", None) is None, error
            continue
        assert [one.index for one in outcomes] == items
        for one in outcomes:
            assert one.result == str(one.item) or isinstance(one.error, DeadWorkerError), one
        fine += all(one.ok for one in outcomes)
    over.set()
    killer.join()
    assert p.map_processes([1, 2]) == ["1", "2"]
    assert fine > 0
assert children(servers=True) == []
assert descriptors() == before
