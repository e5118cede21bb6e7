"""Libraries that a fork is known to break: the extra `peers` installs them, `make test-peers`
runs this file, and the quick suite leaves it out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
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
