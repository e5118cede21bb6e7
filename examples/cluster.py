"""Count prime numbers: on this machine, or on all machines of a Dask cluster. One argument of the
call differs, and the worker does not."""
# make example RUN="cluster.py"     (behind it, a scheduler's address, such as tcp://10.0.0.1:8786)

import sys
from contextlib import ExitStack

from tep_parallel import Parallel, ParallelWorker

STEP = 2_000
ITEMS = [f"{first} {first + STEP}" for first in range(0, 200_000, STEP)]


class Primes(ParallelWorker):
    def process(self, item: str) -> str:
        first, end = map(int, item.split())
        return str(sum(is_prime(number) for number in range(first, end)))


def is_prime(number: int) -> bool:
    return number > 1 and all(number % other for other in range(2, int(number**0.5) + 1))


def main(addresses: list[str]) -> None:
    with ExitStack() as stack:
        executor = None  # this machine
        for address in addresses:
            from distributed import Client  # pip install 'tep-parallel[dask]'

            executor = stack.enter_context(Client(address)).get_executor()
        call = Parallel(Primes(), executor=executor, in_processes=2)
        print(sum(map(int, call.imap_processes(ITEMS))), "primes below", len(ITEMS) * STEP)


if __name__ == "__main__":
    main(sys.argv[1:])
