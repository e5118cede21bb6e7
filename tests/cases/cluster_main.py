"""A worker, an item and an exception of __main__, on processes that have another __main__."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import cloudpickle

from tep_parallel import Parallel, ParallelWorker


class Item:
    def __init__(self, number: int) -> None:
        self.number = number


class Own(Exception):
    pass


class Worker(ParallelWorker):
    def __init__(self, add: int) -> None:
        self.add = add

    def process(self, item: Item) -> str:
        if item.number < 0:
            raise Own(item.number)
        return str(item.number + self.add)


if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        for n in (None, 1):
            p = Parallel(Worker(5), executor=pool, in_processes=n)
            assert p.map_processes([Item(1), Item(2)]) == ["6", "7"]
            (outcome,) = p.outcomes([Item(-1)])
            assert type(outcome.error) is Own, outcome
            assert outcome.error.args == (-1,)
            q = Parallel(Worker(1).process, executor=pool, in_processes=n, codec=cloudpickle)
            assert q.map_processes([Item(4)]) == ["5"]
