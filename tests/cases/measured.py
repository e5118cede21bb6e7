"""A worker whose children keep what coverage has measured in them. Run by coverage."""

import coverage

from tep_parallel import Parallel, ParallelWorker


def only_in_children(item: str) -> str:
    return item.upper()


class Measured(ParallelWorker):
    def process(self, item: str) -> str:
        return only_in_children(item)

    def teardown(self) -> None:
        measuring = coverage.Coverage.current()
        if measuring is not None:
            measuring.save()


Parallel(Measured()).map_processes(["a"])
Parallel(Measured(), in_processes=2).map_processes(["a", "b"])
