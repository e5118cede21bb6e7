"""Libraries that a fork is known to break: the extra `peers` installs them, `make test-peers`
runs this file, and the quick suite leaves it out."""

from __future__ import annotations

import os
import subprocess
import sys
import time
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


def test_grpc_with_calls_in_flight_fails_no_call_of_ours() -> None:
    run_peer("grpc_calls", 200, limit=200)


def test_numpys_global_stream_differs_from_child_to_child() -> None:
    import numpy as np

    from tep_parallel import Parallel

    np.random.seed(1)
    drawn = Parallel(lambda item: f"{np.random.random()} {os.getpid()}").map_processes(range(8))
    assert len({line.split()[0] for line in drawn}) == 8


def test_numpys_numbers_are_numbers() -> None:
    import numpy as np

    from tep_parallel import ItemTimeoutError, Parallel

    def work(item: int) -> str:
        time.sleep(60 if item == 1 else 0)
        return str(item)

    wholes = (np.int8(2), np.uint64(2), np.intp(2), np.int64(2))
    reals = (np.float32(1.5), np.float64(1.5), np.float16(1.5), np.longdouble(1.5))
    for whole, seconds in zip(wholes, reals, strict=True):
        fan_out = Parallel(
            work, in_processes=whole, retries=whole, timeout=seconds, deadline=whole * 20
        )
        outcomes = fan_out.outcomes(range(3))
        assert [outcome.ok for outcome in outcomes] == [True, False, True]
        assert isinstance(outcomes[1].error, ItemTimeoutError)
    for wrong in (np.float32("nan"), np.float64("inf"), np.int64(-1), np.float32(0)):
        with pytest.raises(ValueError, match="timeout: expected seconds above 0"):
            Parallel(str, timeout=wrong)
    for name in ("in_processes", "retries", "timeout", "deadline"):
        with pytest.raises(TypeError, match=name):
            Parallel(str, **{name: np.bool_(True)})
    with pytest.raises(TypeError, match="retries"):
        Parallel(str, retries=np.float64(2))


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
