"""Libraries that a fork is known to break: the extra `peers` installs them, `make test-peers`
runs this file, and the quick suite leaves it out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import LIMIT, started

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.peers


def run_peer(name: str, *arguments: object, limit: float = LIMIT) -> str:
    """As run_case; but these libraries may have something to say on standard error."""
    with started(name, *arguments) as case:
        out, err = case.communicate(timeout=limit)
        assert case.returncode == 0, f"{case.returncode}\n{out}\n{err}"
        return out


def test_gevent_runs_its_greenlets_in_the_host_only() -> None:
    run_peer("greenlets")


def test_threads_that_are_greenlets_are_joined_too() -> None:
    assert run_peer("green_threads") == "777"


_CELLS = {
    "a child an item": "Parallel(str).map_processes(range(9))",
    "pool": "Parallel(str, in_processes=2).map_processes(range(9))",
    "hooks": "Parallel(str, on_start=lambda i, item: print('on_start')).map_processes([1])",
}


@pytest.mark.parametrize("call", _CELLS.values(), ids=_CELLS)
def test_in_a_notebook_what_a_cell_prints_appears_once(call: str) -> None:
    cell = f"print('Starting')\nsys.stderr.write('told\\n')\nfound = {call}\nprint('Done')"
    printed = run_peer("notebook", cell).split()
    expected = ["Starting", "told", "Done"] + ["on_start"] * ("on_start" in call)
    assert sorted(printed) == sorted(expected)


def test_what_a_child_prints_appears_in_the_notebook() -> None:
    cell = "print('Starting')\nParallel(lambda item: print('child') or '').map_processes([1]);"
    assert sorted(run_peer("notebook", cell).splitlines()) == ["Starting", "child"]


def test_flasks_own_log_handler_fails_no_call() -> None:
    with started("flask_handler") as case:
        out, err = case.communicate(timeout=LIMIT)
    assert (case.returncode, out) == (0, "['C']\nAB\n"), err
    told = [line.rpartition(": ")[2] for line in err.splitlines()]
    assert sorted(told) == ["child a", "child b", "child c", "host"]


def test_what_children_tell_sentry_arrives() -> None:
    assert run_peer("sentry_events").split("\n")[:-1] == ["host", *(f"item {x}" for x in "abcd")]


def test_what_coverage_has_measured_in_children_is_kept(tmp_path: Path) -> None:
    case = ROOT / "tests" / "cases" / "measured.py"

    def run(*arguments: object) -> str:
        command = [sys.executable, "-m", "coverage", *map(str, arguments)]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT, check=True
        )
        return done.stdout

    run("run", "--parallel-mode", case)
    assert len(list(tmp_path.glob(".coverage.*"))) >= 3
    run("combine")
    run("json", "-o", "found.json", f"--include={case}")
    (measured,) = json.loads((tmp_path / "found.json").read_text())["files"].values()
    assert measured["missing_lines"] == []


def test_grpc_with_calls_in_flight_fails_no_call_of_ours() -> None:
    run_peer("grpc_calls", 200, limit=200)


def test_numpys_global_stream_differs_from_child_to_child() -> None:
    import numpy as np

    from tep_parallel import Parallel

    np.random.seed(1)
    drawn = Parallel(lambda item: f"{np.random.random()} {os.getpid()}").map_processes(range(8))
    assert len({line.split()[0] for line in drawn}) == 8


@pytest.mark.parametrize("host", ["idle", "busy"])
def test_openblas_works_in_children(host: str) -> None:
    """Not where the busy host's OpenBLAS has threads of its own: docs/forking.md."""
    run_peer("blas", host)


def test_what_the_readmes_table_says_of_us_is_what_is_found_here() -> None:
    """What it says of the others is for a reader to try: some of it is a race of theirs."""
    script = ROOT / "benchmarks" / "promises.py"
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=250, check=True
    )
    ours = [row.split(" | ")[:2] for row in done.stdout.splitlines()]
    readme = (ROOT / "README.md").read_text().splitlines()
    assert len(ours) == 10
    assert ours == [row.split(" | ")[:2] for row in readme if row.startswith("|")]
