"""Digest fan-outs: digest_files, FileDigest and Sock.sphttp_hmac_sha256_file_hex."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import hmac
import itertools
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kept import Parallel
from kernels import KERNELS
from support import LIMIT, every, forked, run_case, started

from tep_parallel import (
    DeadlineError,
    DeadWorkerError,
    FileDigest,
    ItemTimeoutError,
    Sock,
    digest_files,
)
from tep_parallel._engine.native import ffi, lib

# Round a block, round what is read at once, round a view; and of several views.
SIZES = [
    *(0, 1, 55, 56, 63, 64, 65, 119, 120, 128),
    *(65535, 65536, 65537, 65536 + 64, 131072),
    *((1 << 20) - 1, 1 << 20, (1 << 20) + 1, (2 << 20) + 65, 3 << 20, (6 << 20) + 65),
]
HUGE = 64 << 30  # bytes, none of them on a disk; half a minute at least


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def hmac_sha256(path: Path, key: bytes = b"") -> str:
    return hmac.new(key, path.read_bytes(), "sha256").hexdigest()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Files of every size that matters, not in the order of their sizes."""
    folder = tmp_path_factory.mktemp("files")
    paths = []
    for number, size in enumerate(SIZES[::2] + SIZES[1::2]):
        path = folder / str(number)
        path.write_bytes(os.urandom(size))
        paths.append(path)
    return paths


def sparse_files(folder: Path, count: int, size: int) -> list[Path]:
    """Files of zeros, which take no disk but time."""
    paths = [folder / f"{size}-{number}" for number in range(count)]
    for path in paths:
        path.touch()
        os.truncate(path, size)
    return paths


@pytest.fixture
def huge(tmp_path: Path) -> Path:
    """A file that takes too long."""
    return sparse_files(tmp_path, 1, HUGE)[0]


# --- Right -------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 2, 5, None])
def test_digests_are_those_of_the_standard_library_in_input_order(
    files: list[Path], count: int | None, kernel: str
) -> None:
    expected = [sha256(path) for path in files]
    assert digest_files(files, algorithm="sha256", in_processes=count) == expected
    keyed = [hmac_sha256(path, b"key") for path in files]
    assert digest_files(files, b"key", in_processes=count) == keyed


@pytest.mark.parametrize("count", range(1, 20))
def test_any_number_of_files_in_one_child(files: list[Path], count: int, kernel: str) -> None:
    """So that each number of lanes is in use, and each number of them left over."""
    some = files[:count]
    expected = [sha256(path) for path in some]
    assert digest_files(some, algorithm="sha256", in_processes=1) == expected


def test_many_small_files(tmp_path: Path, kernel: str) -> None:
    paths = []
    for number in range(3000):
        path = tmp_path / str(number)
        path.write_bytes(b"%d" % number * (number % 300))
        paths.append(str(path))
    expected = [hmac_sha256(Path(path), b"k") for path in paths]
    for shape in ({}, {"in_processes": 7}, {"in_processes": 64}):
        assert digest_files(paths, b"k", **shape) == expected  # type: ignore[call-overload]


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 127, 128, 129, 5000])
def test_keys_of_any_length(files: list[Path], size: int, kernel: str) -> None:
    key = os.urandom(size)
    expected = [hmac_sha256(path, key) for path in files]
    assert digest_files(files, key) == expected
    assert digest_files(files, key, in_processes=True) == expected
    assert digest_files(files, bytearray(key), in_processes=0) == expected
    assert [Sock.sphttp_hmac_sha256_file_hex(memoryview(key), path) for path in files] == expected


def test_a_str_key_is_taken_as_utf8(files: list[Path]) -> None:
    expected = hmac_sha256(files[3], "schlüssel".encode())
    assert digest_files(files[3:4], "schlüssel") == [expected]
    assert digest_files(files[3:4], "schlüssel", in_processes=2) == [expected]
    assert Sock.sphttp_hmac_sha256_file_hex("schlüssel", files[3]) == expected


@every
def test_file_digest_is_a_worker_like_any_other(files: list[Path], shape: dict[str, Any]) -> None:
    fan_out = Parallel(FileDigest(b"k"), **shape)
    expected = [hmac_sha256(path, b"k") for path in files]
    assert fan_out.map_processes(files) == expected
    assert fan_out.each_process(files) == 0
    outcomes = fan_out.outcomes([*files, "/nowhere"])
    assert [one.result for one in outcomes] == [*expected, None]
    assert isinstance(outcomes[-1].error, FileNotFoundError)
    assert all(one.attempts == 1 and one.pid and one.seconds >= 0 for one in outcomes)


@every
def test_a_subclass_with_a_process_of_its_own_is_asked(
    files: list[Path], shape: dict[str, Any]
) -> None:
    class Named(FileDigest):
        def process(self, item: Any) -> str:
            return f"{item.name} {super().process(item)}"

    expected = [f"{path.name} {sha256(path)}" for path in files]
    assert Parallel(Named(algorithm="sha256"), **shape).map_processes(files) == expected


@every
def test_a_codec_is_asked(files: list[Path], shape: dict[str, Any]) -> None:
    import json

    found = Parallel(FileDigest(algorithm="sha256"), codec=json, **shape).map_processes(files)
    assert found == [sha256(path) for path in files]


def test_paths_of_every_kind_and_names_in_no_encoding(tmp_path: Path) -> None:
    odd = os.path.join(os.fsencode(tmp_path), b"\xff\n\\ ")
    Path(os.fsdecode(odd)).write_bytes(b"content")
    expected = hmac_sha256(Path(os.fsdecode(odd)))
    paths = [odd, os.fsdecode(odd), Path(os.fsdecode(odd))]
    assert digest_files(paths) == [expected] * 3
    assert digest_files(paths, in_processes=2) == [expected] * 3
    assert Sock.sphttp_hmac_sha256_file_hex(b"", odd) == expected


def test_no_files_no_digests() -> None:
    assert digest_files([]) == []
    assert digest_files([], return_exceptions=True) == []


@pytest.mark.parametrize("count", [0, 2])
def test_what_says_that_it_is_empty_is_read_to_its_end(count: int) -> None:
    version = Path("/proc/version")
    assert digest_files([version] * 3, in_processes=count) == [hmac_sha256(version)] * 3


def test_symbolic_links_are_followed(tmp_path: Path, files: list[Path]) -> None:
    (tmp_path / "link").symlink_to(files[0])
    assert digest_files([tmp_path / "link"]) == [hmac_sha256(files[0])]
    assert digest_files([tmp_path / "link"], in_processes=2) == [hmac_sha256(files[0])]


# --- Refused -----------------------------------------------------------------------------


@pytest.fixture
def refused(tmp_path: Path) -> Iterator[dict[str, int]]:
    """What is no regular file, and the errno for it."""
    os.mkfifo(tmp_path / "fifo")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "socket"))
    (tmp_path / "loop").symlink_to("loop")
    yield {
        str(tmp_path): errno.EISDIR,
        str(tmp_path / "fifo"): errno.EINVAL,
        str(tmp_path / "socket"): errno.EINVAL,
        str(tmp_path / "nowhere"): errno.ENOENT,
        str(tmp_path / "loop"): errno.ELOOP,
        str(tmp_path / ("x" * 300)): errno.ENAMETOOLONG,
        "": errno.ENOENT,
        "/dev/zero": errno.EINVAL,
        "/dev/full": errno.EINVAL,
        "/proc/self/mem": errno.EIO,
    }
    server.close()


@every
def test_what_cannot_be_digested_is_an_oserror_with_errno_and_path(
    refused: dict[str, int], shape: dict[str, Any]
) -> None:
    """And none of it hangs."""
    outcomes = Parallel(FileDigest(), **shape).outcomes(list(refused))
    errors = [one.error for one in outcomes]
    assert [getattr(error, "errno", None) for error in errors] == list(refused.values())
    assert [getattr(error, "filename", None) for error in errors] == list(refused)
    for path, number in refused.items():
        with pytest.raises(OSError) as raised:
            Sock.sphttp_hmac_sha256_file_hex(b"", path)
        assert (raised.value.errno, raised.value.filename) == (number, path)


@pytest.mark.parametrize("count", [0, 2, None])
def test_the_first_failure_is_raised_or_stands_in_its_place(
    files: list[Path], count: int | None
) -> None:
    paths = [files[0], Path("/nowhere"), files[1], Path("/dev/null")]
    with pytest.raises(FileNotFoundError) as raised:
        digest_files(paths, in_processes=count)
    assert raised.value.filename == paths[1]
    found = digest_files(paths, in_processes=count, return_exceptions=True)
    assert found[0::2] == [hmac_sha256(files[0]), hmac_sha256(files[1])]
    assert isinstance(found[1], FileNotFoundError)
    assert str(found[3]) == "[Errno 22] not a regular file: PosixPath('/dev/null')"


@pytest.mark.parametrize(
    ("paths", "options", "expected", "said"),
    [
        ("/etc/hosts", {}, TypeError, "paths: expected an iterable of paths, got one str"),
        (Path("/etc"), {}, TypeError, "got one PosixPath"),
        (None, {}, TypeError, "paths: expected an iterable of paths, got one NoneType"),
        (["/etc/hosts", 3], {}, TypeError, r"paths: number 1 \(3\): expected str"),
        (["/etc/hosts", "a\0b"], {}, ValueError, "paths: number 1 .* has a NUL"),
        (["\ud800"], {}, ValueError, "paths: number 0 .* in no encoding"),
        ([], {"algorithm": "md5"}, ValueError, "algorithm: expected one of"),
        ([], {"algorithm": "sha256", "key": b"k"}, ValueError, "sha256 takes none"),
        ([], {"key": 3}, TypeError, "key: expected str or a bytes-like object"),
        ([], {"in_processes": -1}, ValueError, "in_processes"),
    ],
)
def test_bad_arguments_are_refused_by_name(
    paths: Any, options: dict[str, Any], expected: type[Exception], said: str
) -> None:
    with pytest.raises(expected, match=said):
        digest_files(paths, **options)


@forked
def test_an_item_that_is_no_path_is_that_items_failure(shape: dict[str, Any]) -> None:
    outcomes = Parallel(FileDigest(), **shape).outcomes(["/etc/hosts", 3, "a\0b"])
    assert [type(one.error) for one in outcomes] == [type(None), TypeError, ValueError]


def test_a_path_with_a_nul_is_refused_by_sock() -> None:
    with pytest.raises(ValueError, match="a NUL"):
        Sock.sphttp_hmac_sha256_file_hex(b"", "a\0b")
    with pytest.raises(TypeError):
        Sock.sphttp_hmac_sha256_file_hex(b"", 3)  # type: ignore[arg-type]


def test_a_kernel_that_there_is_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEP_PARALLEL_SHA256", "magic")
    with pytest.raises(ValueError, match="has no kernel 'magic'"):
        digest_files(["/etc/hosts"])
    assert lib.sphttp_sha256_kernel(b"magic") == ffi.NULL


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_what_may_not_be_read_is_said(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0o600)
    assert run_case("somebody_else", secret) == "Permission denied\n" * 3


# --- Who digests what ---------------------------------------------------------------------


def test_a_large_file_has_its_turn_first(tmp_path: Path, kernel: str) -> None:
    """The last core is not left with it."""
    paths = []
    for number in range(300):
        path = tmp_path / str(number)
        path.write_bytes(b"x" * number)
        paths.append(path)
    for size in (2 << 20, 5 << 20, 3 << 20):
        path = tmp_path / f"large{size}"
        path.write_bytes(bytes(size))
        paths.append(path)
    outcomes = Parallel(FileDigest(), in_processes=1).outcomes(paths)
    begun = sorted(outcomes, key=lambda one: one.started or 0.0)
    assert [one.index for one in begun[:3]] == [301, 302, 300]


def test_a_large_file_behind_many_small_ones_has_its_turn_first(tmp_path: Path) -> None:
    """Not all sizes are asked for: those of the last files are, and more as bytes are read."""
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"x")
    large.write_bytes(bytes(2 << 20))
    paths = [small] * 6000
    paths[3000] = paths[5999] = large
    outcomes = Parallel(FileDigest(), in_processes=1).outcomes(paths)
    begun = sorted(outcomes, key=lambda one: one.started or 0.0)
    assert begun[0].index == 5999
    assert all(one.ok for one in outcomes)
    some = tmp_path / "some"
    some.write_bytes(bytes(1 << 19))
    paths[:100] = [some] * 100  # more than 16 KiB for each file of the rest
    outcomes = Parallel(FileDigest(), in_processes=1).outcomes(paths)
    begun = sorted(outcomes, key=lambda one: one.started or 0.0)
    assert [one.index for one in begun].index(3000) < 1000


@pytest.mark.skipif(KERNELS == ["alone", "portable"], reason="a child has one file in hand here")
def test_each_child_has_its_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEP_PARALLEL_SHA256", KERNELS[0])
    outcomes = Parallel(FileDigest(), in_processes=4).outcomes(sparse_files(tmp_path, 8, 200 << 20))
    pids = [one.pid for one in outcomes]
    assert sorted(map(pids.count, set(pids))) == [2, 2, 2, 2]


# --- Faults -------------------------------------------------------------------------------


def test_a_file_that_shrinks_meanwhile_kills_nobody(tmp_path: Path, kernel: str) -> None:
    """Its views show nothing then: what is left of it is what counts."""
    paths = sparse_files(tmp_path, 20, 300 << 20)

    class Shrink:
        def update(self, n: int) -> None:
            for path in paths[::2]:
                os.truncate(path, 4096)

    found = digest_files(paths, algorithm="sha256", progress=Shrink())
    assert found[1::2] == [zeros(300 << 20)] * 10
    assert any(digest != zeros(300 << 20) for digest in found[::2])


def test_a_folder_that_is_replaced_meanwhile_is_not_held_for_long(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        for number in range(400):
            (tmp_path / name / str(number)).write_text(name)
    current = tmp_path / "current"
    current.symlink_to("old")

    def replace(index: int, _: object) -> None:
        if index == 100:
            (tmp_path / "next").symlink_to("new")
            (tmp_path / "next").rename(current)

    paths = [current / str(number) for number in range(400)]
    worker = FileDigest(algorithm="sha256")
    found = Parallel(worker, in_processes=1, on_start=replace).map_processes(paths)
    assert found[0] == hashlib.sha256(b"old").hexdigest()
    assert found[-1] == hashlib.sha256(b"new").hexdigest()


def zeros(size: int) -> str:
    """The SHA-256 of so many zeros, by the standard library."""
    state = hashlib.sha256()
    for _ in range(size >> 20):
        state.update(bytes(1 << 20))
    return state.hexdigest()


class Killer:
    """A progress that kills one of this process's grandchildren, once."""

    def __init__(self) -> None:
        self.victim = 0

    def update(self, n: int) -> None:
        if self.victim == 0:
            self.victim = grandchildren()[0]
            os.kill(self.victim, signal.SIGKILL)


def grandchildren() -> list[int]:
    found: list[int] = []
    pids = [os.getpid()]
    for _ in range(2):
        pids = [child for pid in pids for child in children_of(pid)]
    found += pids
    return found


def children_of(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(FileNotFoundError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


@pytest.fixture
def sparse(tmp_path: Path) -> list[Path]:
    """Forty files that take a while each."""
    return sparse_files(tmp_path, 40, 24 << 20)


def test_a_child_that_dies_costs_what_it_had_in_hand_and_no_other(
    sparse: list[Path], kernel: str
) -> None:
    killer = Killer()
    found = digest_files(  # whose progress is told while files are read
        sparse, algorithm="sha256", in_processes=2, progress=killer, return_exceptions=True
    )
    lost = [(index, one) for index, one in enumerate(found) if not isinstance(one, str)]
    assert 1 <= len(lost) <= 16
    for index, error in lost:
        assert isinstance(error, DeadWorkerError)
        assert (error.item, error.index, error.signal) == (sparse[index], index, 9)
        assert error.pid == killer.victim
    assert {one for one in found if isinstance(one, str)} == {zeros(24 << 20)}


def test_what_a_dead_child_had_in_hand_is_tried_again(sparse: list[Path], kernel: str) -> None:
    found = digest_files(sparse, algorithm="sha256", in_processes=2, progress=Killer(), retries=1)
    assert found == [zeros(24 << 20)] * len(sparse)


def test_what_a_dead_child_had_in_hand_is_tried_again_where_items_wait_for_a_hook(
    sparse: list[Path], kernel: str
) -> None:
    """Nobody may sleep while something that was given back is left."""

    class Often(Killer):
        def __init__(self) -> None:
            super().__init__()
            self.left = 20

        def update(self, n: int) -> None:
            if self.left > 0:
                self.left -= 1
                self.victim = 0
                with contextlib.suppress(IndexError, ProcessLookupError):
                    super().update(n)

    fan_out = Parallel(
        FileDigest(algorithm="sha256"),
        in_processes=2,
        on_start=lambda index, item: None,
        progress=Often(),
        retries=20,
    )
    assert fan_out.map_processes(sparse) == [zeros(24 << 20)] * len(sparse)


def test_a_file_that_takes_too_long_costs_no_other(
    files: list[Path], huge: Path, kernel: str
) -> None:
    """It is killed with its child, which has others in hand."""
    paths = [huge, *files]
    found = digest_files(
        paths, algorithm="sha256", in_processes=1, timeout=2.0, return_exceptions=True
    )
    assert isinstance(found[0], ItemTimeoutError)
    assert found[1:] == [sha256(path) for path in files]


def test_files_with_a_limit_do_not_take_from_each_others_time(tmp_path: Path, kernel: str) -> None:
    """A child has one after another in hand."""
    paths = sparse_files(tmp_path, 8, 30 << 20)
    outcomes = Parallel(FileDigest(), in_processes=1, timeout=60).outcomes(paths)
    times = sorted((one.started or 0.0, one.seconds) for one in outcomes)
    for (begun, seconds), (next_begun, _) in itertools.pairwise(times):
        assert begun + seconds <= next_begun + 0.001


def test_several_that_take_too_long(files: list[Path], huge: Path, kernel: str) -> None:
    paths = [huge, files[0], huge, files[1], huge]
    outcomes = Parallel(FileDigest(), in_processes=1, timeout=1.0).outcomes(paths)
    assert [type(one.error) for one in outcomes[::2]] == [ItemTimeoutError] * 3
    assert [one.result for one in outcomes[1::2]] == [hmac_sha256(path) for path in files[:2]]


def test_few_descriptors_are_enough(sparse: list[Path], kernel: str) -> None:
    """A file waits until another is closed."""
    run_case("few_descriptors_digest", *sparse)


def test_a_deadline_ends_it(files: list[Path], huge: Path) -> None:
    with pytest.raises(DeadlineError) as raised:
        digest_files([huge, *files], in_processes=2, deadline=2.0)
    ready = {one.index: one.result for one in raised.value.outcomes}
    right = {1 + index: hmac_sha256(path) for index, path in enumerate(files)}
    assert ready
    assert ready.items() <= right.items()


def test_on_error_kill_ends_it_at_once(huge: Path) -> None:
    with pytest.raises(FileNotFoundError):
        digest_files([huge, "/nowhere"], in_processes=2, on_error="kill")


@pytest.mark.parametrize("how", ["fan-out", "one", "in thread"])
def test_ctrl_c_is_answered_at_once(how: str, huge: Path) -> None:
    with started("digest_huge", huge, how) as case:
        assert case.stdout is not None
        assert case.stdout.readline() == "ready\n"
        time.sleep(0.2)  # so that it is in the midst of it; earlier is right too
        case.send_signal(signal.SIGINT)
        _, err = case.communicate(timeout=LIMIT / 2)
        assert case.returncode == -signal.SIGINT
        assert "KeyboardInterrupt" in err


def test_the_gil_is_free_while_a_file_is_read(tmp_path: Path) -> None:
    """Else no other thread would run until its end."""
    (small,) = sparse_files(tmp_path, 1, 1 << 30)
    thread = threading.Thread(target=Sock.sphttp_hmac_sha256_file_hex, args=(b"", small))
    thread.start()
    turns = 0
    while thread.is_alive():
        time.sleep(0.001)
        turns += 1
    assert turns > 20


# --- Progress ------------------------------------------------------------------------------


class Sum:
    def __init__(self) -> None:
        self.total = 0
        self.times = 0

    def update(self, n: int) -> None:
        self.total += n
        self.times += 1


@pytest.mark.parametrize("count", [0, 1, 2, None])
def test_progress_is_in_bytes(files: list[Path], count: int | None, kernel: str) -> None:
    progress = Sum()
    digest_files(files, in_processes=count, progress=progress)
    assert progress.total == sum(path.stat().st_size for path in files)


@pytest.mark.parametrize("method", ["map_processes", "each_process", "outcomes"])
@pytest.mark.parametrize("shape", [{}, {"in_processes": 2}, {"in_processes": 0}])
def test_the_progress_of_a_file_digest_that_a_parallel_runs_is_in_items(
    files: list[Path], shape: dict[str, Any], method: str
) -> None:
    progress = Sum()
    getattr(Parallel(FileDigest(), progress=progress, **shape), method)(files)
    assert (progress.total, progress.times) == (len(files), len(files))


def test_progress_of_one_large_file_does_not_wait_for_its_end(tmp_path: Path) -> None:
    (large,) = sparse_files(tmp_path, 1, 1 << 30)
    progress = Sum()
    digest_files([large], progress=progress)
    assert progress.total == 1 << 30
    assert progress.times > 5


def test_hooks_are_called(files: list[Path], kernel: str) -> None:
    begun: list[int] = []
    ended: list[int] = []
    fan_out = Parallel(
        FileDigest(),
        in_processes=2,
        on_start=lambda index, _: begun.append(index),
        on_finish=lambda outcome: ended.append(outcome.index),
    )
    assert fan_out.map_processes(files) == [hmac_sha256(path) for path in files]
    assert begun == list(range(len(files)))
    assert sorted(ended) == begun


def test_from_many_threads_at_once(files: list[Path]) -> None:
    expected = [hmac_sha256(path, b"k") for path in files]
    wrong: list[object] = []

    def work() -> None:
        for _ in range(10):
            if digest_files(files, b"k", in_processes=2) != expected:
                wrong.append(1)
            if [Sock.sphttp_hmac_sha256_file_hex(b"k", path) for path in files] != expected:
                wrong.append(2)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
