"""Small sets of files, which digest_files digests in the calling thread."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import hmac
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels import KERNELS
from support import descriptors

from tep_parallel import Parallel, digest_files
from tep_parallel._engine.small import in_event_loop

KIB, MIB = 1 << 10, 1 << 20
A_FILE = 16 * KIB  # what each file counts beside its size
# What a set may have, by routine.
MOST = dict.fromkeys(KERNELS, 16 * MIB) | {"alone": 8 * MIB, "portable": 8 * MIB}
SIZES = [0, 1, 55, 56, 64, 4 * KIB, 65535, 65536, 65537, 256 * KIB, MIB + 1]

_nurseries = 0


def _count() -> None:
    global _nurseries
    _nurseries += 1


os.register_at_fork(before=_count)  # once a call that has children


def calls_with_children(work: Callable[[], object]) -> int:
    """How many calls that `work` makes have children."""
    before = _nurseries
    work()
    return _nurseries - before


def digested(paths: Any, key: bytes, calls: int, options: dict[str, Any]) -> list[Any]:
    """The digests, for which there are so many calls with children."""
    found: list[Any] = []
    assert calls == calls_with_children(lambda: found.extend(digest_files(paths, key, **options)))
    return found


def here(paths: Any, key: bytes = b"", **options: Any) -> list[Any]:
    """The digests, which no child computes."""
    return digested(paths, key, 0, options)


def in_children(paths: Any, key: bytes = b"", **options: Any) -> list[Any]:
    """The digests, which children compute."""
    return digested(paths, key, 1, options)


@given(
    st.lists(st.binary(max_size=300) | st.binary(max_size=5000), min_size=1, max_size=20),
    st.none() | st.binary(max_size=150),
)
@settings(max_examples=30, deadline=None)
def test_every_way_has_the_digests_of_the_standard_library(
    contents: list[bytes], key: bytes | None
) -> None:
    """All that this processor knows, one after the other: a fixture would be set up once."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        paths = [Path(folder, str(number)) for number in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(content)
        for name in KERNELS:
            patch.setenv("TEP_PARALLEL_SHA256", name)
            if key is None:
                assert digest_files(paths, algorithm="sha256") == [
                    hashlib.sha256(content).hexdigest() for content in contents
                ]
            else:
                assert digest_files(paths, key) == [
                    hmac.new(key, content, "sha256").hexdigest() for content in contents
                ]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("files")
    paths = [folder / str(number) for number in range(2 * len(SIZES))]
    for number, path in enumerate(paths):
        path.write_bytes(os.urandom(SIZES[number * 7 % len(SIZES)]))
    return paths


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def empty_files(folder: Path, count: int, size: int = 0) -> list[Path]:
    """Files of zeros, which take no disk."""
    paths = [folder / f"{size}-{number}" for number in range(count)]
    for path in paths:
        path.touch()
        os.truncate(path, size)
    return paths


# --- Right -------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 9, 10, 11, 16, 17])
def test_digests_are_those_of_the_standard_library_in_input_order(
    files: list[Path], count: int, kernel: str
) -> None:
    some = [path for path in files if path.stat().st_size < MIB][:count]
    assert len(some) == count
    assert here(some, algorithm="sha256") == list(map(sha256, some))
    keyed = [hmac.new(b"key", path.read_bytes(), "sha256").hexdigest() for path in some]
    assert here(some, b"key") == keyed
    assert here(map(os.fsencode, some), b"key", return_exceptions=True) == keyed


def test_the_same_file_may_be_there_many_times(files: list[Path], kernel: str) -> None:
    assert here([files[1]] * 30, algorithm="sha256") == [sha256(files[1])] * 30


def test_from_many_threads_at_once_beside_calls_with_children(files: list[Path]) -> None:
    some = files[:10]
    expected = list(map(sha256, some))
    wrong: list[object] = []

    def work() -> None:
        for _ in range(100):
            if digest_files(some, algorithm="sha256") != expected:
                wrong.append("here")

    def fork() -> None:
        for _ in range(10):
            if Parallel(str).map_processes([1, 2]) != ["1", "2"]:
                wrong.append("children")

    threads = [threading.Thread(target=each) for each in (work, work, work, fork)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# --- What is small -------------------------------------------------------------------------


def test_a_set_is_small_up_to_a_size(tmp_path: Path, kernel: str) -> None:
    (file,) = empty_files(tmp_path, 1, MOST[kernel] - A_FILE)
    assert here([file], algorithm="sha256") == [sha256(file)]
    os.truncate(file, MOST[kernel] - A_FILE + 1)
    in_children([file])


def test_a_set_is_small_up_to_a_number_of_files(tmp_path: Path, kernel: str) -> None:
    most = MOST[kernel] // A_FILE
    paths = empty_files(tmp_path, most + 1)
    assert set(here(paths[:most], algorithm="sha256")) == {hashlib.sha256().hexdigest()}
    in_children(paths)


def test_files_that_are_not_there_count_too() -> None:
    paths = ["/nowhere"] * 1025
    in_children(paths, return_exceptions=True)
    errors = here(paths[:256], return_exceptions=True)
    assert {type(error) for error in errors} == {FileNotFoundError}


class Sum:
    def update(self, n: int) -> None:
        """Nothing."""


@pytest.mark.parametrize(
    "options",
    [
        {"in_processes": True},
        {"in_processes": 1},
        {"in_processes": 2},
        {"in_processes": None},
        {"timeout": 60},
        {"deadline": 60},
        {"progress": Sum()},
    ],
    ids="-".join,
)
def test_whoever_asks_for_children_gets_them(files: list[Path], options: dict[str, Any]) -> None:
    """And who gives a limit: in a thread of the host's nothing can be killed."""
    some = files[:3]
    assert in_children(some, algorithm="sha256", **options) == list(map(sha256, some))


@pytest.mark.parametrize(
    "options",
    [{"retries": 3}, {"on_error": "kill"}, {"on_error": "finish"}, {"progress": False}],
    ids="-".join,
)
def test_what_asks_for_no_children_needs_none(files: list[Path], options: dict[str, Any]) -> None:
    assert here(files[:3], algorithm="sha256", **options) == list(map(sha256, files[:3]))


def test_in_processes_0_asks_for_the_serial_loop_however_large(tmp_path: Path) -> None:
    paths = empty_files(tmp_path, 2, 20 * MIB)
    assert here(paths, algorithm="sha256", in_processes=0) == [sha256(paths[0])] * 2


def test_what_says_that_it_is_empty_and_is_not_is_left_to_children() -> None:
    """Nobody knows how much it is."""
    paths = [Path("/proc/version"), Path("/etc/hosts")]
    assert in_children(paths, algorithm="sha256") == list(map(sha256, paths))


# --- In the thread of an event loop ----------------------------------------------------------


def test_in_the_thread_of_a_loop_less_is_small(tmp_path: Path, kernel: str) -> None:
    (file,) = empty_files(tmp_path, 1, MOST[kernel] // 16 - A_FILE)
    (larger,) = empty_files(tmp_path, 1, MOST[kernel] // 16 - A_FILE + 1)

    async def main() -> list[int]:
        return [
            calls_with_children(lambda: digest_files([file])),
            calls_with_children(lambda: digest_files([larger])),
            await asyncio.to_thread(calls_with_children, lambda: digest_files([larger])),
        ]

    assert asyncio.run(main()) == [0, 1, 0]
    here([larger])


def test_asyncio_is_not_imported_to_ask_for_its_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "asyncio.events")
    assert not in_event_loop()
    assert "asyncio.events" not in sys.modules


def test_a_host_that_gevent_has_patched_is_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    patched = {"select"}
    monkey = SimpleNamespace(is_module_patched=patched.__contains__)
    module = ModuleType("gevent.monkey")
    vars(module).update(vars(monkey))
    monkeypatch.setitem(sys.modules, "gevent.monkey", module)
    assert in_event_loop()
    patched.clear()
    assert not in_event_loop()


# --- Failures --------------------------------------------------------------------------------


@pytest.fixture
def refused(tmp_path: Path) -> Iterator[list[Path | str]]:
    os.mkfifo(tmp_path / "fifo")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "socket"))
    (tmp_path / "loop").symlink_to("loop")
    yield [
        tmp_path,
        *(tmp_path / name for name in ("fifo", "socket", "nowhere", "loop", "x" * 300)),
        *("", "/dev/zero", "/dev/full", "/proc/self/mem"),
    ]
    server.close()


def told_of(error: BaseException) -> tuple[object, ...]:
    """All that can be seen of an exception."""
    others = [
        (index, item, str(each)) for index, item, each in getattr(error, "other_failures", ())
    ]
    notes = getattr(error, "__notes__", None)
    context = error.__cause__, error.__context__
    return type(error), error.args, vars(error).keys(), str(error), notes, others, context


def test_failures_are_those_of_children(
    files: list[Path], refused: list[Path | str], kernel: str
) -> None:
    paths = [files[0], *refused, files[1]]
    found = here(paths, return_exceptions=True)
    expected = digest_files(paths, in_processes=True, return_exceptions=True)
    assert found[0] == expected[0]
    assert found[-1] == expected[-1]
    for one, other, path in zip(found[1:-1], expected[1:-1], refused, strict=True):
        assert isinstance(one, OSError)
        assert isinstance(other, OSError)
        assert told_of(one) == told_of(other)
        assert (one.errno, one.filename) == (other.errno, path)
        with pytest.raises(OSError) as raised:
            here([files[0], path])
        with pytest.raises(OSError) as childs:
            digest_files([files[0], path], in_processes=1)
        assert told_of(raised.value) == told_of(childs.value)


def test_the_first_failure_by_input_order_is_raised_and_knows_of_the_others(
    files: list[Path], refused: list[Path | str], kernel: str
) -> None:
    paths = [files[0], *refused, files[1]]
    with pytest.raises(OSError) as raised:
        here(paths, on_error="finish")
    with pytest.raises(OSError) as childs:
        digest_files(paths, in_processes=2, on_error="finish")
    assert told_of(raised.value) == told_of(childs.value)
    assert len(raised.value.other_failures) == len(refused) - 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("on_error", ["stop", "kill"])
def test_after_a_failure_nothing_is_begun(
    tmp_path: Path, on_error: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file at a time: then it is known what was begun."""
    monkeypatch.setenv("TEP_PARALLEL_SHA256", "alone")
    with pytest.raises(FileNotFoundError) as raised:
        here(["/etc/hosts", tmp_path / "a", tmp_path / "b"], on_error=on_error)
    assert raised.value.filename == tmp_path / "a"
    assert raised.value.other_failures == []  # type: ignore[attr-defined]


def test_files_that_change_meanwhile_harm_nobody(tmp_path: Path, kernel: str) -> None:
    """They shrink, grow, vanish, and come again; each digest is one, or its file is not there."""
    large = 1200 * KIB  # children would map such files: who looks at what is gone dies of it
    paths = empty_files(tmp_path, 3, large) + empty_files(tmp_path, 6, 10 * KIB)
    over = threading.Event()

    def change() -> None:
        turn = 0
        while not over.is_set():
            turn += 1
            path = paths[turn % len(paths)]
            with contextlib.suppress(FileNotFoundError):
                os.truncate(path, turn * 79199 % large)
            if turn % 5 == 0:
                path.unlink(missing_ok=True)
            elif turn % 7 == 0:
                path.touch()

    thread = threading.Thread(target=change)
    thread.start()
    try:
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            for found in digest_files(paths, return_exceptions=True):
                assert isinstance(found, str | FileNotFoundError)
                assert isinstance(found, OSError) or len(found) == 64
    finally:
        over.set()
        thread.join()


# --- The host ----------------------------------------------------------------------------------


def test_the_gil_is_free_meanwhile(tmp_path: Path) -> None:
    paths = empty_files(tmp_path, 1, 12 * MIB)
    calls = 20
    thread = threading.Thread(target=lambda: [digest_files(paths) for _ in range(calls)])
    thread.start()
    turns = 0
    while thread.is_alive():
        time.sleep(0.0005)
        turns += 1
    assert turns > 3 * calls


def test_a_handler_that_raises_leaves_nothing_open(tmp_path: Path) -> None:
    class Rung(Exception):
        pass

    def ring(number: int, frame: object) -> None:
        raise Rung

    paths = empty_files(tmp_path, 20, 256 * KIB)
    expected = [hmac.new(b"", bytes(256 * KIB), "sha256").hexdigest()] * 20
    before = descriptors()
    former = signal.signal(signal.SIGALRM, ring)
    rung = 0
    try:
        for turn in range(300):
            try:
                signal.setitimer(signal.ITIMER_REAL, 1e-5 + turn * 1e-5)
                assert digest_files(paths) == expected
                signal.setitimer(signal.ITIMER_REAL, 0)
            except Rung:
                rung += 1
                assert descriptors() == before
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
    assert rung > 50


def test_ctrl_c_is_answered(tmp_path: Path) -> None:
    paths = empty_files(tmp_path, 20, 256 * KIB)
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        while time.monotonic() < begun + 30:
            digest_files(paths)
    assert time.monotonic() < begun + 10


def test_a_host_without_descriptors_is_told_of_each_file(files: list[Path]) -> None:
    """Whoever has one left has all digests: see tests/c/test_small.c."""
    import resource

    here(files[:3])  # all is loaded
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        found = digest_files(files[:3], return_exceptions=True)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert [getattr(error, "errno", None) for error in found] == [errno.EMFILE] * 3
    assert [getattr(error, "filename", None) for error in found] == files[:3]


def test_a_child_may_digest_a_small_set_too(files: list[Path]) -> None:
    def work(item: int) -> str:
        return ",".join(here(files[item : item + 2], algorithm="sha256"))

    expected = [",".join(map(sha256, files[item : item + 2])) for item in range(4)]
    assert Parallel(work).map_processes(range(4)) == expected
    assert Parallel(work, in_processes=2).map_processes(range(4)) == expected
