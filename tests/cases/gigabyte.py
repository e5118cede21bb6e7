"""A result of SIZE bytes.

    gigabyte.py SIZE

Prints the host's peak of memory, in bytes.
"""

import resource
import sys

from tep_parallel import Parallel

size = int(sys.argv[1])
(text,) = Parallel(lambda item: item * size).map_processes(["x"])
assert len(text) == size
assert text.count("x") == size
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
