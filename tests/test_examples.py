"""Each example, run as its first comment says, against something real."""

from __future__ import annotations

import hmac
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import LIMIT, hear_keyboard, plain_environment, until

EXAMPLES = Path(__file__).parent.parent / "examples"
ENVIRONMENT = {**os.environ, "NO_PROXY": "*", "PYTHONUNBUFFERED": "1"}
FILES = ["/etc/hosts", "/etc/passwd", "/etc/resolv.conf"]
DIGESTS = "".join(
    f"{path} {hmac.new(b'', Path(path).read_bytes(), 'sha256').hexdigest()}\n" for path in FILES
)


def example(*arguments: str, **environment: str) -> str:
    """What an example prints, as `make example` runs it."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=EXAMPLES,
        env={**ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture
def service(tmp_path: Path) -> Iterator[str]:
    """The address of an HTTP server on loopback, which writes what it is told to a file."""
    log = tmp_path / "log"
    with log.open("w") as file:
        server = subprocess.Popen([sys.executable, EXAMPLES / "server.py", "0"], stdout=file)
    try:
        until(lambda: log.read_text().endswith("\n"))
        yield log.read_text().split()[-1]
    finally:
        server.kill()
        server.communicate()


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_the_first_comment_is_the_line_that_runs_it(path: Path) -> None:
    line = next(line for line in path.read_text().splitlines() if line.startswith("#"))
    (run,) = re.findall(r'^# make example RUN="([^"]+)"', line)
    assert path.name in run or re.search(rf"\b{path.stem}[.:](?:queue|app)\b", run)


def test_probe(service: str) -> None:
    paths = ["/a", "/gone", "/slow"]
    printed = example("probe.py", *(service + path for path in paths), "http://127.0.0.1:1/")
    well, gone, slow, closed = printed.splitlines()
    assert re.fullmatch(rf"{service}/a 200 after \d+ ms", well)
    assert gone.startswith(f"{service}/gone is down: HTTPStatusError")
    assert "410" in gone
    assert slow.startswith(f"{service}/slow is down: ReadTimeout")
    assert closed.startswith("http://127.0.0.1:1/ is down: ConnectError")


def test_notify(service: str, tmp_path: Path) -> None:
    printed = example("notify.py", f"{service}/a", f"{service}/gone", "http://127.0.0.1:1/")
    told, gone, closed = printed.splitlines()
    assert told == f"{service}/a told"
    assert gone.startswith(f"{service}/gone could not be told: HTTPStatusError")
    assert "410" in gone
    assert closed.startswith("http://127.0.0.1:1/ could not be told: ConnectError")
    event = '{"event":"release","version":"1.2.0"}'
    heard = (tmp_path / "log").read_text().splitlines()[1:]
    assert sorted(heard) == [f"/a was told {event}", f"/gone was told {event}"]


def test_digests() -> None:
    assert example("digests.py") == DIGESTS


def test_templates() -> None:
    broken, invoice, welcome = example("templates.py").splitlines()
    assert broken.startswith("broken.html: UndefinedError")
    assert "nmae" in broken
    assert invoice == "invoice.html: <p>Ada &amp; Co owes 42.50 EUR.</p>"
    assert welcome == "welcome.html: <h1>Welcome, Ada &amp; Co!</h1>"


def test_json_in_and_out() -> None:
    assert example("json_in_out.py") == "order 1: 12.0\norder 2: 0\n"


def test_cluster() -> None:
    assert example("cluster.py") == "17984 primes below 200000\n"


@pytest.mark.engines
def test_cluster_on_a_cluster(tmp_path: Path) -> None:
    from dask_cluster import cluster_of

    with cluster_of(tmp_path / "dask") as cluster:
        assert example("cluster.py", cluster.address) == example("cluster.py")


LINE = '203.0.113.7 - ada [28/Nov/2026:09:26:15 +0000] "GET /{} HTTP/1.1" 200 2326\n'


def stream() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, EXAMPLES / "stream.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=plain_environment(),
        preexec_fn=hear_keyboard,
        start_new_session=True,
    )


def test_stream_gives_each_line_s_result_before_the_next_line_is_there() -> None:
    program = stream()
    assert program.stdin is not None
    assert program.stdout is not None
    try:
        for page in ("a", "b", "c"):
            print(LINE.format(page), end="", file=program.stdin, flush=True)
            assert json.loads(program.stdout.readline()) == {
                "host": "203.0.113.7",
                "time": "28/Nov/2026:09:26:15 +0000",
                "request": f"GET /{page} HTTP/1.1",
                "status": "200",
                "size": "2326",
            }
        out, err = program.communicate("half a line", timeout=LIMIT)
        assert (program.returncode, out) == (0, "")
        assert err == "'half a line': not in the common log format\n"
    finally:
        program.kill()
        program.communicate()


def test_stream_takes_every_line_of_a_pipe_that_ends() -> None:
    program = stream()
    try:
        pages = [str(number) for number in range(5000)]
        out, err = program.communicate("".join(map(LINE.format, pages)), timeout=LIMIT)
        assert (program.returncode, err) == (0, "")
        found = [json.loads(line)["request"].split()[1] for line in out.splitlines()]
        assert sorted(found) == sorted(f"/{page}" for page in pages)
    finally:
        program.kill()
        program.communicate()


def test_stream_follows_a_log_and_ctrl_c_ends_it_quietly() -> None:
    program = stream()
    assert program.stdin is not None
    assert program.stdout is not None
    try:
        print(LINE.format("a"), end="", file=program.stdin, flush=True)
        program.stdout.readline()
        os.killpg(program.pid, signal.SIGINT)  # as a terminal does
        program.wait(timeout=LIMIT)
        assert (program.returncode, program.stdout.read()) == (0, "")
        assert program.stderr is not None
        assert program.stderr.read() == ""
    finally:
        program.kill()
        program.communicate()


def test_work_that_outlives_the_request(tmp_path: Path) -> None:
    """The request has ended before the queue's worker has even been started."""
    report, jobs = tmp_path / "report", str(tmp_path / "jobs.sqlite")
    said = example("hand_over.py", str(report), JOBS=jobs)
    assert said.startswith("202 Accepted: job ")
    assert not report.exists()
    worker = subprocess.Popen(
        [sys.executable, "-m", "huey.bin.huey_consumer", "jobs.queue"],
        cwd=EXAMPLES,
        env={**ENVIRONMENT, "JOBS": jobs},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until(lambda: report.exists() and report.read_text() == DIGESTS)
        worker.send_signal(signal.SIGINT)
        worker.communicate(timeout=LIMIT)
        assert worker.returncode == 0
    finally:
        worker.kill()
        worker.communicate()
