"""Libraries that a fork is known to break: the extra `peers` installs them, `make test-peers`
runs this file, and the quick suite leaves it out."""

from __future__ import annotations

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


@pytest.mark.parametrize("place", ["main", "greenlets", "thread"])
@pytest.mark.parametrize("host", ["patched", "imported"])
@pytest.mark.parametrize("loop", ["libev-cext", "libev-cffi", "libuv"])
def test_gevent_runs_its_greenlets_in_the_host_only(
    loop: str, host: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEVENT_LOOP", loop)
    assert run_peer("greenlets", host, place) == ""


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
