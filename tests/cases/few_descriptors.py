"""300 children under a limit of 64 descriptors."""

import resource

from tep_parallel import Parallel

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
items = [str(number) for number in range(300)]
assert Parallel(lambda item: item).map_processes(items) == items
