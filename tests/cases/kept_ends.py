"""A host that ends in a block without leaving it.

kept_ends.py exit|_exit|raise|SIGTERM|collector|thread fresh|pool
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings

from support import children

from tep_parallel import Parallel

how = sys.argv[1]
warnings.simplefilter("ignore", RuntimeWarning)  # `thread` is entered beside another one
OPTIONS = {"in_processes": 2} if sys.argv[2] == "pool" else {}


def enter() -> Parallel[str, str]:
    parallel = Parallel(str, **OPTIONS)
    parallel.__enter__()
    assert parallel.map_processes([1, 2, 3]) == ["1", "2", "3"]
    return parallel


p: Parallel[str, str] | None = enter()
print("ready", flush=True)
if how == "exit":
    sys.exit(0)
if how == "_exit":
    os._exit(0)
if how == "SIGTERM":
    os.kill(os.getpid(), signal.SIGTERM)
if how == "raise":
    raise LookupError
if how == "collector":
    p = None
    import gc

    gc.collect()
    assert children(servers=True) == []
if how == "thread":
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert p is not None
    assert p.map_processes([4]) == ["4"]
