"""The option --dask of the commands: items run on the workers of a Dask cluster."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator

from tep_parallel._command.given import RefusedError, WrongUsageError
from tep_parallel._engine.counting import processor_count
from tep_parallel._typing import Any

_PATIENCE = 10  # seconds, until a scheduler has answered, and has a worker


def add_argument(group: argparse._ArgumentGroup) -> None:
    """Add the option to those of a command."""
    group.add_argument(
        "--dask",
        metavar="URL",
        help="run on the workers of the Dask scheduler at this address, such as"
        " tcp://10.0.0.1:8786, with -j children in each (default: so many that"
        " each CPU has one); paths are those that the workers see",
    )


@contextlib.contextmanager
def place(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A block in which these arguments of Parallel say where items run: none on this machine.

    Raises:
        WrongUsageError: What was typed cannot be done.
        RefusedError: No scheduler answers, or there is no worker.
    """
    if options.dask is None:
        yield {}
        return
    if options.in_processes == 0:
        msg = "-j 0 (--in-processes) is for this machine: --dask needs children"
        raise WrongUsageError(msg)
    with _client(options.dask) as client:
        _send_modules_of_this_folder()
        children = options.in_processes or _share(client)
        yield {"executor": client.get_executor(), "in_processes": children}


def _send_modules_of_this_folder() -> None:
    """Have the modules that were imported from the current directory sent along: the workers need
    not have them. What is installed, also below this directory, is found by its name there."""
    import cloudpickle

    here, installed, own = (
        os.path.join(os.path.realpath(path), "")
        for path in (os.curdir, sys.prefix, os.path.dirname(os.path.dirname(__file__)))
    )
    for module in list(sys.modules.values()):
        file = os.path.realpath(getattr(module, "__file__", None) or os.devnull)
        if file.startswith(here) and not file.startswith((installed, own)):
            cloudpickle.register_pickle_by_value(module)


def _share(client: Any) -> int:
    """How many children each thread of each worker has, so that none has more CPUs to use.

    Raises:
        RefusedError: A worker does not have this library.
    """
    from tep_parallel._cluster.by_name import finder_of

    try:
        processors = client.run(finder_of(processor_count))
    except ImportError as error:
        msg = f"--dask: a worker cannot load what it is sent ({error}): it needs tep_parallel, too"
        raise RefusedError(msg) from error
    threads: dict[str, int] = client.nthreads()
    shares: list[int] = [count // threads.get(worker, 1) for worker, count in processors.items()]
    return max(1, min(shares, default=1))


@contextlib.contextmanager
def _client(address: str) -> Iterator[Any]:
    try:
        import distributed.comm
    except ImportError as error:
        msg = f"--dask needs Dask, which is in tep-parallel[dask]: {error}"
        raise WrongUsageError(msg) from error
    import logging

    # The command says what is wrong, in one line; distributed logs it, too.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    dask: Any = distributed  # it has no types
    try:
        # A client that finds this out by itself cannot be closed.
        dask.comm.get_address_host_port(address)
        client = dask.Client(address, timeout=_PATIENCE, set_as_default=False)
    except ValueError as error:
        msg = f"--dask: {address}: {error}"
        raise WrongUsageError(msg) from error
    except OSError as error:
        msg = f"--dask: no Dask scheduler answers at {address} within {_PATIENCE} s"
        raise RefusedError(msg) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=_PATIENCE)
        except TimeoutError as error:
            msg = f"--dask: the scheduler at {address} has no worker after {_PATIENCE} s"
            raise RefusedError(msg) from error
        yield client
