"""The command, installed, as a shell runs it."""

from __future__ import annotations

import hmac
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import LIMIT, hear_ctrl_c

import tep_parallel

COMMAND = Path(sys.executable).parent / "tep-parallel"


def run(*arguments: object, **options: object) -> tuple[int, bytes, bytes]:
    command = [os.fsencode(COMMAND), *(os.fsencode(str(a)) for a in arguments)]
    done = subprocess.run(command, capture_output=True, timeout=LIMIT, check=False, **options)  # type: ignore[call-overload]
    return done.returncode, done.stdout, done.stderr


def digest(content: bytes, key: bytes = b"") -> bytes:
    return hmac.new(key, content, "sha256").hexdigest().encode()


def test_digest_prints_path_and_hmac_in_input_order() -> None:
    paths = ["/etc/hosts", "/etc/passwd", "/etc/resolv.conf"]
    expected = b"".join(b"%s %s\n" % (p.encode(), digest(Path(p).read_bytes())) for p in paths)
    assert run("digest", *paths) == (0, expected, b"")
    module = subprocess.run(
        [sys.executable, "-m", "tep_parallel", "digest", *paths],
        capture_output=True,
        timeout=LIMIT,
        check=True,
    )
    assert module.stdout == expected


def test_digest_takes_every_byte_of_the_key_file(tmp_path: Path) -> None:
    key, file = tmp_path / "key", tmp_path / "file"
    key.write_bytes(b"secret\n\0")
    file.write_bytes(b"content")
    expected = b"%s %s\n" % (os.fsencode(file), digest(b"content", b"secret\n\0"))
    assert run("digest", "--key-file", key, file) == (0, expected, b"")


@pytest.mark.parametrize("count", ["0", "1", "7"])
def test_digest_in_any_number_of_processes(count: str, tmp_path: Path) -> None:
    files = [tmp_path / str(number) for number in range(9)]
    for number, file in enumerate(files):
        file.write_bytes(b"x" * number * 10_000)
    expected = b"".join(b"%s %s\n" % (os.fsencode(f), digest(f.read_bytes())) for f in files)
    assert run("digest", "--in-processes", count, *files) == (0, expected, b"")


def test_an_unreadable_path_is_a_line_and_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    status, out, err = run("digest", tmp_path / "no", tmp_path / "file", tmp_path, "/dev/null")
    assert status == 1
    assert out == b"%s %s\n" % (os.fsencode(tmp_path / "file"), digest(b"content"))
    assert err.decode().splitlines() == [
        f"tep-parallel: {tmp_path}/no: No such file or directory",
        f"tep-parallel: {tmp_path}: Is a directory",
        "tep-parallel: /dev/null: neither a regular file nor a pipe",
    ]


def test_names_with_spaces_and_undecodable_bytes(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/a b\xff\n\xc3\xa4"
    Path(os.fsdecode(name)).write_bytes(b"content")
    done = subprocess.run(
        [os.fsencode(COMMAND), b"digest", name, name + b"-"],
        capture_output=True,
        timeout=LIMIT,
        check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    assert done.returncode == 1
    assert done.stdout == name + b" " + digest(b"content") + b"\n"
    assert done.stderr == b"tep-parallel: " + name + b"-: No such file or directory\n"


def test_what_has_no_size_is_read_to_its_end() -> None:
    version = Path("/proc/version").read_bytes()
    assert run("digest", "/proc/version")[1] == b"/proc/version %s\n" % digest(version)
    script = f"{COMMAND} digest <(printf abc)"
    done = subprocess.run(["bash", "-c", script], capture_output=True, timeout=LIMIT, check=True)
    assert done.stdout.split()[1] == digest(b"abc")


def test_the_memory_of_a_digest_is_not_that_of_the_file(tmp_path: Path) -> None:
    """300 MB are digested in less address space than that takes."""
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(300_000_000)
    script = f"ulimit -d 100000; {COMMAND} digest {large}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, timeout=LIMIT, check=True)
    assert done.stdout.split()[1] == digest(bytes(300_000_000))


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["digest"],
        ["digest", "--in-processes", "-1", "x"],
        ["digest", "--in-processes", "x", "x"],
        ["digest", "--key", "secret", "x"],
        ["nothing"],
        ["digest", "--key-file", "/nowhere", "/etc/hosts"],
    ],
)
def test_wrong_usage_is_status_2_and_no_traceback(arguments: list[str]) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (2, b"")
    assert err
    assert b"Traceback" not in err


def test_version_and_help() -> None:
    assert run("--version") == (0, f"{tep_parallel.__version__}\n".encode(), b"")
    status, out, _ = run("digest", "--help")
    assert status == 0
    assert b"example: tep-parallel digest" in out


def test_ctrl_c_kills_it_by_sigint_and_quietly(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    case = subprocess.Popen([COMMAND, "digest", fifo], stdout=-1, stderr=-1, preexec_fn=hear_ctrl_c)
    try:
        with fifo.open("wb"):  # it has been opened for reading: the child runs
            case.send_signal(signal.SIGINT)
            out, err = case.communicate(timeout=20)
        assert (case.returncode, out, err) == (-signal.SIGINT, b"", b"")
    finally:
        case.kill()
        case.communicate()


def test_a_closed_pipe_ends_it_quietly() -> None:
    script = f"{COMMAND} digest /etc/hosts /etc/passwd | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, timeout=LIMIT, check=True)
    assert done.stderr == b""
