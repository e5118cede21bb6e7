"""The function that an engine calls when a worker starts forks the children's server. initial.py
ENGINE"""

import concurrent.futures
import multiprocessing
import sys

from early import servers, work

from tep_parallel import Parallel, early_entry


def started(initializer):
    """The engine that the first argument names, of two workers."""
    if sys.argv[1] == "processes":
        context = multiprocessing.get_context("spawn")
        return concurrent.futures.ProcessPoolExecutor(2, context, initializer)
    if sys.argv[1] == "loky":
        import loky

        return loky.ProcessPoolExecutor(2, initializer=initializer)
    from mpi4py.futures import MPIPoolExecutor

    return MPIPoolExecutor(initializer=initializer)


if __name__ == "__main__":
    with concurrent.futures.ThreadPoolExecutor(1) as any_executor:
        initializer = early_entry(Parallel(work, executor=any_executor, in_processes=2))
    with started(initializer) as executor:
        assert len(executor.submit(servers).result()) == 1
        call = Parallel(work, executor=executor, in_processes=2)
        found = set(call.map_processes(range(200)))
        # Chunks have found it there, and forked no other.
        for _ in range(8):
            (server,) = executor.submit(servers).result()
            found.add(server)
        assert len(found) <= 2, found
