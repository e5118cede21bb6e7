"""A limit on processes: the call goes on with the children there are.

    no_processes.py LIMIT

Root is not limited: then this becomes nobody first.
"""

import errno
import os
import resource
import sys

from tep_parallel import Parallel

limit = int(sys.argv[1])
parallel = Parallel(lambda item: item)
parallel.map_processes(["warm"])
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(54321)  # a number that nobody else's processes count against
resource.setrlimit(resource.RLIMIT_NPROC, (limit, limit))
items = [str(number) for number in range(20)]
try:
    assert parallel.map_processes(items) == items
    print("all")
except OSError as error:
    print(errno.errorcode[error.errno or 0], error)
