"""A million short items: how much more memory the host has had, in bytes an item."""

import resource

from tep_parallel import Parallel

COUNT = 1_000_000
items = range(COUNT)
parallel = Parallel(lambda item: "result", in_processes=2)
parallel.map_processes(range(10))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
results = parallel.map_processes(items)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert len(results) == COUNT
print((after - before) * 1024 // COUNT)
