"""The same promises on each engine that is there: `make test-engines`."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from scenario import Scenario
from support import LIMIT, alive, until

pytestmark = pytest.mark.engines
Start = Callable[..., Scenario]

NEEDS = {
    "threads": True,
    "processes": True,
    "dask": "distributed",
    "loky": "loky",
    "ray": "ray",
    "mpi": "mpi4py",
    "parsl": "parsl",
    "executorlib": "executorlib",
    "interpreters": sys.version_info >= (3, 14),
}
ALL = [name for name in NEEDS if name != "interpreters"]


def there(name: str) -> bool:
    needed = NEEDS[name]
    if isinstance(needed, str):
        found = importlib.util.find_spec(needed) is not None
        return found and (name != "mpi" or shutil.which("mpiexec") is not None)
    return needed


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Iterator[Callable[..., Scenario]]:
    """Starts a scenario that uses the engine of this name."""
    name: str = request.param
    if not there(name):
        pytest.skip(f"{name} is not installed here")
    start: Start = request.getfixturevalue("scenario")
    if name == "dask":
        address = request.getfixturevalue("cluster").address
        yield lambda case, *more: start(case, name, *more, SCHEDULER=address)
    elif name == "ray":
        # The names of its sockets are long, and a path of a socket is short.
        with TemporaryDirectory(prefix="ray-") as folder:
            yield lambda case, *more: start(case, name, *more, RAY_FOLDER=folder)
    else:
        yield lambda case, *more: start(case, name, *more)


def engines(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("engine", names, indirect=True)


@engines(*ALL)
@pytest.mark.parametrize("children", ["2", "null"])
def test_one_changed_line_gives_the_same_results(engine: Start, children: str) -> None:
    engine("same", children).end()


@engines(*ALL)
def test_an_item_that_crashes_hangs_or_raises_costs_itself_and_is_named(engine: Start) -> None:
    engine("faults").end()


@engines(*NEEDS)
def test_in_the_worker_itself_limits_are_refused_and_items_may_raise(engine: Start) -> None:
    engine("inside").end()


@engines(*ALL)
def test_hooks_progress_break_kill_and_on_error_are_those_of_one_machine(engine: Start) -> None:
    engine("hooks").end()


@engines(*ALL)
def test_what_cannot_be_sent_is_refused_before_anything_is_submitted(engine: Start) -> None:
    engine("unsendable").end()


@engines(*ALL)
def test_a_hundred_thousand_items(engine: Start) -> None:
    engine("many").end()


@engines("threads", "dask", "loky")
def test_500_mib_of_results(engine: Start) -> None:
    engine("large").end()


@engines(*ALL)
def test_a_call_is_over_at_its_deadline_and_so_is_what_it_ran(
    engine: Start, tmp_path: Path
) -> None:
    engine("stops", "deadline", tmp_path).end()


@engines("ray", "parsl", "executorlib")
def test_a_chunk_whose_engine_worker_was_lost_is_sent_again(engine: Start) -> None:
    assert engine("lost").end().splitlines()[-1] == "sent again"  # Ray prints there, too


@engines("mpi")
def test_a_worker_of_mpi_that_was_lost_ends_the_whole_job(engine: Start) -> None:
    program = engine("lost")
    out, _ = program.process.communicate(timeout=LIMIT)
    assert program.process.returncode != 0
    assert out == ""


@engines("processes", "loky")
def test_an_executor_that_breaks_fails_the_call_and_the_items_are_named(engine: Start) -> None:
    name, *said = engine("lost").end().split()
    assert name == "DeadWorkerError", said
    assert "items 0, 1, 2, 3," in " ".join(said)


@engines(*ALL)
def test_of_a_program_that_is_killed_nothing_runs_on_behind_its_deadline(engine: Start) -> None:
    program = engine("waits", 4, '{"deadline": 15}')
    until(lambda: len(program.cue("begun")) >= 2)
    children = list(map(int, program.cue("begun")))
    begun = time.monotonic()
    # Of MPI, mpiexec is the one that was started; a signal to it is sent on.
    os.killpg(program.process.pid, signal.SIGKILL)
    program.process.communicate()
    until(lambda: not any(map(alive, children)), 30)
    print(f"gone after {time.monotonic() - begun:.1f} s")


@engines("threads", "dask", "ray")
@pytest.mark.parametrize("how", ["abort", "close", "cancel", "kill", "on_error"])
def test_where_the_engine_can_a_call_that_is_ended_frees_the_workers(
    engine: Start, how: str, tmp_path: Path
) -> None:
    """The items sleep for ten minutes."""
    took, gone = map(float, engine("stops", how, tmp_path).end().split())
    assert took < 10
    assert gone < 10


@engines("processes", "loky", "mpi")
def test_an_initializer_enters_the_block_early(engine: Start) -> None:
    engine("initial").end()


@engines("threads")
def test_in_a_host_on_gevent_other_greenlets_go_on(engine: Start) -> None:
    pytest.importorskip("gevent", reason="no gevent here")
    engine("gevent_host").end()
