"""100,000 trivial items, and as many from a generator. many.py ENGINE"""

import sys
import time

from engines import named_engine

from tep_parallel import Parallel

COUNT = 100_000

if __name__ == "__main__":
    with named_engine() as executor:
        call = Parallel(str, executor=executor, in_processes=2)
        call.map_processes(range(1000))
        begun = time.perf_counter()
        assert call.map_processes(range(COUNT)) == list(map(str, range(COUNT)))
        print(f"{(time.perf_counter() - begun) / COUNT * 1e6:.1f} us an item", file=sys.stderr)
        for number, result in enumerate(call.imap_processes(iter(range(COUNT)))):
            assert result == str(number)
        assert number == COUNT - 1
