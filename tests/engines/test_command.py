"""The commands with --dask, as a shell runs them, against a scheduler and its workers."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from pathlib import Path

import pytest
from dask_cluster import Cluster, cluster_of, environment
from support import COMMAND, LIMIT, hmac_hex
from test_dask import without_the_library

pytestmark = pytest.mark.engines

WORKERS = """
import os
import helper
from tep_parallel import ParallelWorker

class Doubler(ParallelWorker):
    def process(self, item):
        return helper.double(item)

def crash(item):
    print("printed")
    if item == "2":
        os.abort()
    if item == "3":
        raise helper.OwnError("two\\nlines")
    return item
"""
HELPER = """
class OwnError(Exception):
    pass

def double(item):
    return str(int(item) * 2)
"""


@pytest.fixture
def place(nothing_is_left: Path) -> Path:
    (nothing_is_left / "workers.py").write_text(WORKERS)
    (nothing_is_left / "helper.py").write_text(HELPER)
    return nothing_is_left


def run(script: str, place: Path, **variables: str) -> tuple[int, str, str]:
    """What a script ends with and prints."""
    path = f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=place,
        env={**environment(), "PATH": path, "TMPDIR": str(place / "scratch"), **variables},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def test_map_runs_modules_of_this_folder_on_the_workers(cluster: Cluster, place: Path) -> None:
    script = f"seq 1 200 | tep-parallel map --dask {cluster.address} workers:Doubler"
    doubled = "".join(f"{number * 2}\n" for number in range(1, 201))
    assert run(script, place) == (0, doubled, "")


def test_failures_are_a_line_each_and_json_has_the_host(cluster: Cluster, place: Path) -> None:
    script = (
        f"tep-parallel map --dask {cluster.address} --in-processes 2 --json workers:crash 1 2 3"
    )
    status, out, err = run(script, place)
    first, second, third = map(json.loads, out.splitlines())
    assert status == 1
    assert {one["host"] for one in (first, second, third)} == {socket.gethostname()}
    assert (first["result"], first["error"]) == ("1", None)
    assert second["error"]["type"] == "DeadWorkerError"
    assert third["error"]["message"] == "two\nlines"
    assert [line.partition(":")[0] for line in err.splitlines()] == ["tep-parallel"] * 2


@pytest.mark.parametrize("json_rows", [False, True])
def test_digest_reads_what_the_workers_see(cluster: Cluster, place: Path, json_rows: bool) -> None:
    files = [place / f"file-{number}" for number in range(20)]
    for number, file in enumerate(files):
        file.write_bytes(bytes(number))
    names = " ".join(map(str, files))
    option = "--json" if json_rows else ""
    script = f"tep-parallel digest {option} --dask {cluster.address} {names} /gone"
    status, out, err = run(script, place)
    assert status == 1
    assert err == "tep-parallel: /gone: No such file or directory\n"
    lines = out.splitlines()
    expected = [hmac_hex(file.read_bytes()).decode() for file in files]
    if json_rows:
        rows = list(map(json.loads, lines))
        assert [row["result"] for row in rows] == [*expected, None]
        assert {row["host"] for row in rows} == {socket.gethostname()}
    else:
        assert lines == [f"{file} {hex_}" for file, hex_ in zip(files, expected, strict=True)]


def test_a_list_of_digests_is_checked_on_the_workers(cluster: Cluster, place: Path) -> None:
    (place / "file").write_bytes(b"content")
    (place / "-").write_bytes(b"of this name")
    digest = f"tep-parallel digest --algorithm sha256 --dask {cluster.address}"
    script = f"{digest} $PWD/file ./- > sums; {digest} --check sums; cat $PWD/file | {digest} -"
    status, out, err = run(script.replace("./-", "$PWD/-"), place)
    assert (status, err) == (0, "")
    assert out.startswith(f"{place}/file: OK\n{place}/-: OK\n")


def one_line(printed: tuple[int, str, str], status: int) -> str:
    assert printed[:2] == (status, "")
    assert printed[2].startswith("tep-parallel: ")
    assert printed[2].count("\n") == 1
    return printed[2]


def test_without_dask_the_extra_is_named(place: Path) -> None:
    (place / "distributed.py").write_text("raise ImportError('there is none')")
    script = "tep-parallel map --dask tcp://127.0.0.1:1 workers:Doubler 1"
    said = one_line(run(script, place, PYTHONPATH=str(place)), 2)
    assert "tep-parallel[dask]" in said


def test_where_no_scheduler_answers_one_line_says_so_soon(place: Path) -> None:
    begun = time.monotonic()
    script = "tep-parallel digest --dask tcp://127.0.0.1:1 /etc/hosts"
    assert "tcp://127.0.0.1:1" in one_line(run(script, place), 1)
    assert time.monotonic() - begun < LIMIT / 2


@pytest.mark.parametrize("address", ["nothing", "tcp://127.0.0.1", "odd://127.0.0.1:1"])
def test_what_is_no_address_is_one_line(place: Path, address: str) -> None:
    script = f"tep-parallel digest --dask {address} /etc/hosts"
    assert address in one_line(run(script, place), 2)


def test_children_are_needed_on_the_workers(place: Path) -> None:
    script = "tep-parallel map --dask tcp://127.0.0.1:1 --in-processes 0 workers:Doubler 1"
    assert "--in-processes" in one_line(run(script, place), 2)


def test_a_scheduler_without_workers_is_one_line(place: Path, tmp_path: Path) -> None:
    with cluster_of(tmp_path / "empty", workers=0) as cluster:
        script = f"tep-parallel map --dask {cluster.address} workers:Doubler 1"
        assert "no worker" in one_line(run(script, place), 1)


def test_workers_without_the_library_are_one_line(place: Path, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    with cluster_of(tmp_path / "cluster", workers=0) as cluster:
        cluster.add_worker(python=str(without_the_library(tmp_path / "bare")))
        script = f"tep-parallel map --dask {cluster.address} workers:Doubler 1"
        assert "tep_parallel" in one_line(run(script, place), 1)


def test_an_item_that_comes_late_is_not_waited_for_any_longer(
    cluster: Cluster, place: Path
) -> None:
    """Between items the call waits for the next, and for chunks: an item a second would be one that
    comes when the call looks by itself."""
    count = 8
    with subprocess.Popen(
        [COMMAND, "map", "--dask", cluster.address, "workers:Doubler"],
        cwd=place,
        env={**environment(), "TMPDIR": str(place / "scratch")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as command:
        assert command.stdin is not None
        assert command.stdout is not None
        took = []
        for number in range(count):
            begun = time.monotonic()
            command.stdin.write(b"%d\n" % number)
            command.stdin.flush()
            assert command.stdout.readline() == b"%d\n" % (number * 2)
            took.append(time.monotonic() - begun)
        command.stdin.close()
        assert command.wait(LIMIT) == 0
    assert sorted(took)[count // 2] < 0.25, took
