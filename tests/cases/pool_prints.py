"""The children of a pool print, each item a line."""

from tep_parallel import Parallel


def work(item: int) -> str:
    print(item)
    return ""


Parallel(work, in_processes=2).each_process(range(100))
