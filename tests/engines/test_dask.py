"""Dask: a real scheduler and two real workers, and what becomes of a call when they die."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from dask_cluster import Cluster, cluster_of
from scenario import Scenario
from support import LIMIT, alive, until

pytestmark = pytest.mark.engines
Start = Callable[..., Scenario]


def test_of_1000_items_20_segfault_and_980_results_come(scenario: Start, cluster: Cluster) -> None:
    """And the fixture finds the workers' processes to be those that they were."""
    assert scenario("thousand", "dask", SCHEDULER=cluster.address).end() == "980 20\n"


def lines(printed: str) -> list[str]:
    return [line.partition(" ")[2] for line in printed.splitlines()]


@pytest.mark.parametrize("items", [2, 40])
def test_a_worker_that_is_killed_in_mid_chunk_costs_no_item(
    scenario: Start, mortal: Cluster, items: int
) -> None:
    program = scenario("waits", "dask", items, "{}", SCHEDULER=mortal.address)
    until(lambda: len(program.cue("begun")) >= min(items, 4))
    os.kill(mortal.worker_of(mortal.workers[0]), signal.SIGKILL)
    (program.place / "go").touch()
    found = [line.split()[0] for line in lines(program.end())]
    assert found == [str(item) for item in range(items)]


def test_a_chunk_whose_engine_worker_was_lost_is_sent_again(
    scenario: Start, mortal: Cluster
) -> None:
    assert scenario("lost", "dask", SCHEDULER=mortal.address).end() == "sent again\n"


def test_a_scheduler_that_is_killed_fails_the_call_and_ends_what_it_ran(
    scenario: Start, mortal: Cluster
) -> None:
    program = scenario("waits", "dask", 40, '{"deadline": 45}', SCHEDULER=mortal.address)
    children = list(map(int, program.cue("begun")))
    mortal.scheduler.kill()
    error, *_ = program.end(90).split()
    assert error in {"DeadWorkerError", "DeadlineError"}, error
    until(lambda: not any(map(alive, children)), LIMIT)


def test_of_a_client_that_is_killed_nothing_runs_on_behind_its_deadline(
    scenario: Start, cluster: Cluster
) -> None:
    program = scenario("waits", "dask", 40, '{"deadline": 10}', SCHEDULER=cluster.address)
    children = list(map(int, program.cue("begun")))
    program.process.kill()
    program.process.communicate()
    until(lambda: not any(map(alive, children)), 30)


def test_a_cluster_that_grows_during_a_call_takes_part_in_it(
    scenario: Start, tmp_path: Path
) -> None:
    with cluster_of(tmp_path / "growing", workers=1, threads=1) as cluster:
        program = scenario("grows", SCHEDULER=cluster.address)
        program.cue("begun")
        cluster.add_worker(1)
        assert program.end() == "2\n"


def test_a_plugin_enters_the_block_early_and_its_end_ends_it(
    scenario: Start, cluster: Cluster
) -> None:
    assert scenario("early", "dask", SCHEDULER=cluster.address).end() == "2\n"


def test_a_worker_without_the_library_is_an_error_that_says_so(
    scenario: Start, tmp_path: Path
) -> None:
    """Its environment has Dask, of this one; the library is not installed there."""
    place = tmp_path / "bare"
    os.makedirs(place)
    python = without_the_library(place)
    with cluster_of(tmp_path / "cluster", workers=0) as cluster:
        cluster.add_worker(python=str(python))
        printed = scenario("waits", "dask", 4, "{}", SCHEDULER=cluster.address).end()
    assert "tep_parallel" in printed, printed
    assert "install" in printed, printed


def test_the_scheduler_needs_neither_the_library_nor_the_programs_modules(
    scenario: Start, tmp_path: Path
) -> None:
    (tmp_path / "bare").mkdir()
    python = str(without_the_library(tmp_path / "bare"))
    with cluster_of(tmp_path / "cluster", workers=1, scheduler=python) as cluster:
        scenario("hooks", "dask", SCHEDULER=cluster.address).end()


def without_the_library(place: Path) -> Path:
    """The interpreter of an environment that has what this one has, but not the library."""
    import subprocess
    import sysconfig

    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    (site,) = place.glob("lib/python3*/site-packages")
    # A path that stands in such a file is searched, but no further such files in it are read: an
    # editable install is one of those.
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return place / "bin" / "python"


def test_tls(scenario: Start, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    security = distributed.Security.temporary()
    files = {}
    for name in ("ca_file", "cert", "key"):
        held = {"ca_file": security.tls_ca_file, "cert": security.tls_client_cert}.get(name)
        files[name] = tmp_path / name
        files[name].write_text(held or security.tls_client_key)
    words = ["--protocol", "tls", "--tls-ca-file", files["ca_file"]]
    words += ["--tls-cert", files["cert"], "--tls-key", files["key"]]
    with cluster_of(tmp_path / "tls", security=words) as cluster:
        assert cluster.address.startswith("tls://")
        named = {
            "DASK_DISTRIBUTED__COMM__TLS__CA_FILE": files["ca_file"],
            "DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT": files["cert"],
            "DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY": files["key"],
        }
        scenario("hooks", "dask", SCHEDULER=cluster.address, **named).end()
