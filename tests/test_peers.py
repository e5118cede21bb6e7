"""Libraries that a fork is known to break: the group `peers` installs them, `make test-peers`
runs this file, and the quick suite leaves it out."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
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


def test_threads_that_are_greenlets_are_joined_too() -> None:
    assert run_peer("green_threads") == "777"


def test_in_gevents_loop_a_small_set_of_files_is_digested_and_a_larger_one_waited_for(
    tmp_path: Path,
) -> None:
    assert run_peer("greenlets_digest", tmp_path) == "none alone\nchildren others\n"


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


def test_signals_are_handled_while_a_gevent_hosts_result_is_read() -> None:
    run_peer("greenlets_collect")


def test_grpc_with_calls_in_flight_fails_no_call_of_ours() -> None:
    run_peer("grpc_calls", 200, limit=200)


def test_numpys_global_stream_differs_from_child_to_child() -> None:
    import numpy as np

    from tep_parallel import Parallel

    np.random.seed(1)
    drawn = Parallel(lambda item: f"{np.random.random()} {os.getpid()}").map_processes(range(8))
    assert len({line.split()[0] for line in drawn}) == 8


def _raised_by_libraries() -> dict[str, Callable[[], object]]:
    import botocore.exceptions as boto
    import httpx
    import jinja2
    import pydantic
    import requests
    import sqlalchemy

    answer = requests.Response()
    answer.status_code, answer.url = 410, "http://a.test/"
    gone = httpx.Response(410, request=httpx.Request("GET", "http://a.test/"))
    strict = jinja2.Environment(undefined=jinja2.StrictUndefined)
    select = sqlalchemy.text("select * from nowhere")
    return {
        "requests": answer.raise_for_status,
        "requests, refused": lambda: requests.get("http://127.0.0.1:1/", timeout=2),
        "httpx": gone.raise_for_status,
        "httpx, refused": lambda: httpx.get("http://127.0.0.1:1/"),
        "urllib": lambda: urllib.request.urlopen("http://127.0.0.1:1/", timeout=2),
        "jinja2": lambda: strict.from_string("{{ a.b }}").render(),
        "jinja2, syntax": lambda: strict.from_string("{% if %}"),
        "pydantic": lambda: pydantic.TypeAdapter(int).validate_python("x"),
        "botocore": lambda: _raise(boto.ClientError({"Error": {"Code": "404"}}, "Get")),
        "botocore, keywords": lambda: _raise(boto.EndpointConnectionError(endpoint_url="u")),
        "sqlalchemy": lambda: sqlalchemy.create_engine("sqlite://").connect().execute(select),
    }


def _raise(error: Exception) -> None:
    raise error


def test_the_exceptions_of_libraries_arrive_as_themselves() -> None:
    from tep_parallel import Parallel

    cases = _raised_by_libraries()
    outcomes = Parallel(lambda name: str(cases[name]())).outcomes(cases)
    for name, outcome in zip(cases, outcomes, strict=True):
        try:
            cases[name]()
        except Exception as error:
            there = outcome.error
            assert type(there) is type(error), name
            plain = [re.sub("0x[0-9a-f]+", "", str(one)) for one in (error, there)]
            assert plain[0] == plain[1], name
            assert vars(error).keys() <= vars(there).keys(), name
            assert not [note for note in getattr(there, "__notes__", []) if "text" in note], name
        else:
            pytest.fail(f"{name} raised nothing")


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
    assert len(ours) == 11
    assert ours == [row.split(" | ")[:2] for row in readme if row.startswith("|")]


def test_dask_computes_in_a_fork_executor() -> None:
    import dask

    from tep_parallel import ForkExecutor

    with ForkExecutor(2) as executor:
        parts = [dask.delayed(lambda x: (x * x, os.getpid()))(x) for x in range(4)]
        found = dask.compute(*parts, scheduler=executor)
    assert [square for square, _ in found] == [0, 1, 4, 9]
    assert os.getpid() not in {pid for _, pid in found}


def test_in_a_worker_of_distributed_a_segfault_costs_one_task(tmp_path: Path) -> None:
    assert run_peer("distributed_worker", tmp_path) == "11\nrunning\n"
