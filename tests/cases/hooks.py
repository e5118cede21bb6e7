"""Hooks that write, in a host whose standard output has a buffer.

hooks.py bar | printing SHAPE
"""

import json
import sys

from kept import Parallel

shape = json.loads(sys.argv[2])
if sys.argv[1] == "bar":
    print(Parallel(str, progress=True, **shape).map_processes(range(3)))
else:
    Parallel(
        str,
        on_start=lambda index, item: print("start", index),
        on_finish=lambda outcome: print("finish", outcome.index),
        **shape,
    ).map_processes(range(3))
