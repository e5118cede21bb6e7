"""Each engine as an Executor of two workers, by its own name, for the scenarios."""

from __future__ import annotations

import concurrent.futures
import contextlib
import multiprocessing
import os
import sys
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path

from pages import write_files


@contextlib.contextmanager
def _threads() -> Iterator[Executor]:
    with concurrent.futures.ThreadPoolExecutor(2) as executor:
        yield executor


@contextlib.contextmanager
def _processes() -> Iterator[Executor]:
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as executor:
        yield executor


@contextlib.contextmanager
def _interpreters() -> Iterator[Executor]:
    with concurrent.futures.InterpreterPoolExecutor(2) as executor:  # type: ignore[attr-defined]
        yield executor


@contextlib.contextmanager
def _loky() -> Iterator[Executor]:
    import loky

    executor = loky.get_reusable_executor(2)
    try:
        yield executor
    finally:
        executor.shutdown(kill_workers=True)


@contextlib.contextmanager
def _dask() -> Iterator[Executor]:
    from distributed import Client

    with Client(os.environ["SCHEDULER"]) as client:
        yield client.get_executor()


@contextlib.contextmanager
def _mpi() -> Iterator[Executor]:
    from mpi4py.futures import MPIPoolExecutor

    with MPIPoolExecutor() as executor:
        yield executor


@contextlib.contextmanager
def _parsl() -> Iterator[Executor]:
    from parsl.concurrent import ParslPoolExecutor
    from parsl.config import Config
    from parsl.executors import HighThroughputExecutor
    from parsl.providers import LocalProvider

    workers = HighThroughputExecutor(
        label="two",
        address="127.0.0.1",
        loopback_address="127.0.0.1",
        max_workers_per_node=2,
        cores_per_worker=0.1,
        encrypted=False,
        heartbeat_period=2,
        heartbeat_threshold=10,
        provider=LocalProvider(init_blocks=1, max_blocks=1),
    )
    config = Config([workers], run_dir=os.environ["TMPDIR"] + "/parsl", initialize_logging=False)
    with ParslPoolExecutor(config) as executor:
        yield executor


@contextlib.contextmanager
def _executorlib() -> Iterator[Executor]:
    from executorlib import SingleNodeExecutor

    # A future that is cancelled ends the thread that looks after dependencies.
    options = {"block_allocation": True, "disable_dependencies": True}
    with SingleNodeExecutor(max_workers=2, **options) as executor:
        yield executor


@contextlib.contextmanager
def _ray() -> Iterator[Executor]:
    import ray

    # It is the one that docs/scaling.md shows.
    write_files("scaling.md", Path())
    sys.path.append(os.getcwd())
    from ray_executor import RayExecutor  # type: ignore[import-not-found]

    quiet = {"include_dashboard": False, "configure_logging": False, "log_to_driver": False}
    ray.init(num_cpus=2, _temp_dir=os.environ["RAY_FOLDER"], **quiet)
    try:
        yield RayExecutor()
    finally:
        ray.shutdown()


ENGINES = {
    "threads": _threads,
    "processes": _processes,
    "dask": _dask,
    "loky": _loky,
    "ray": _ray,
    "mpi": _mpi,
    "parsl": _parsl,
    "executorlib": _executorlib,
    "interpreters": _interpreters,
}


def named_engine() -> contextlib.AbstractContextManager[Executor]:
    """The engine that the scenario's first argument names."""
    return ENGINES[sys.argv[1]]()
