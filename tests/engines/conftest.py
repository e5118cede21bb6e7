"""After every test here: nothing of it runs on a cluster's workers, and no scratch directory is
left there. The cluster itself is started once for all tests that do not kill a part of it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dask_cluster import Cluster, at_work_in, cluster_of, end_all_in
from scenario import Scenario
from support import until

SOON = 15.0  # seconds; what is kept for a call without an end is kept for five


@pytest.fixture(scope="session")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers of two threads each."""
    pytest.importorskip("distributed", reason="no Dask here")
    with cluster_of(tmp_path_factory.mktemp("standing") / "dask") as cluster:
        yield cluster


@pytest.fixture
def cluster(standing: Cluster) -> Iterator[Cluster]:
    """The same; the test leaves its processes as they are, and nothing beside them."""
    before = at_work_in(standing.folder)
    yield standing
    try:
        until(lambda: at_work_in(standing.folder) <= before, SOON)
        assert at_work_in(standing.folder) == before
        assert list(standing.scratch.glob("tep_par_*")) == []
    except AssertionError:
        standing.tell(sys.stderr)
        raise
    finally:
        for pid in at_work_in(standing.folder) - before:  # or later tests would wait for these
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster for a test that kills a part of it."""
    pytest.importorskip("distributed", reason="no Dask here")
    with cluster_of(tmp_path / "mortal") as cluster:
        yield cluster
        until(lambda: not list(cluster.scratch.glob("tep_par_*")), SOON)


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path) -> Iterator[Path]:
    """In place of the other tests' fixture of this name: of the scenarios no process is left, and
    no scratch directory."""
    place = tmp_path / "scenario"
    (place / "scratch").mkdir(parents=True)
    yield place
    try:
        until(lambda: not at_work_in(place), SOON)
        assert list((place / "scratch").glob("tep_par_*")) == []
    finally:
        end_all_in(place)


@pytest.fixture
def scenario(nothing_is_left: Path) -> Callable[..., Scenario]:
    """Starts a scenario of tests/engines/cases: see Scenario."""

    def start(name: str, *arguments: object, **environment: object) -> Scenario:
        return Scenario(nothing_is_left, name, arguments, environment)

    return start
