"""1,000 items of which 20 segfault, on Dask. thousand.py"""

import ctypes

from engines import named_engine

from tep_parallel import DeadWorkerError, Parallel


def work(item):
    if item % 50 == 7:
        ctypes.string_at(0)
    return str(item)


if __name__ == "__main__":
    with named_engine() as executor:
        outcomes = Parallel(work, executor=executor, in_processes=2).outcomes(range(1000))
    failed = [one for one in outcomes if not one.ok]
    assert [one.item for one in failed] == list(range(7, 1000, 50))
    for one in failed:
        assert isinstance(one.error, DeadWorkerError)
        assert (one.error.index, one.error.item, one.error.signal) == (one.index, one.item, 11)
        assert one.index == one.item
    assert [one.result for one in outcomes if one.ok] == [
        str(item) for item in range(1000) if item % 50 != 7
    ]
    print(len(outcomes) - len(failed), len(failed))
