"""Items hold tqdm's lock until their children are killed; progress=True goes on.

tqdm_lock.py PROCESSES | -
"""

import sys
import time

from tqdm import tqdm

from tep_parallel import Parallel

tqdm.get_lock()  # made here, it is shared with all children


def work(item: int) -> str:
    if item < 2:
        tqdm.get_lock().acquire(timeout=60)
        time.sleep(60)
    return ""


count = None if sys.argv[1] == "-" else int(sys.argv[1])
fan_out = Parallel(work, in_processes=count, timeout=0.3, deadline=30, progress=True)
print(*(outcome.error and type(outcome.error).__name__ for outcome in fan_out.outcomes(range(3))))
