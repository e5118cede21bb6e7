"""The package itself: its names, its import, its build."""

from __future__ import annotations

import importlib.util
import pickle
import re
import shutil
import subprocess
import sys
import threading
import typing
from pathlib import Path
from types import ModuleType
from unittest import mock

import pytest
from support import LIMIT

import tep_parallel
from tep_parallel import Sock

ROOT = Path(__file__).parent.parent
MINOR = sys.version_info.minor
ERRORS = ["BaseError", "CCompilerError"]


def python(code: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT, check=True
    )
    assert run.stderr == ""
    return run.stdout


def test_the_public_names_are_those_of_all_and_all_is_sorted() -> None:
    homes = sorted(name for names in tep_parallel._HOMES.values() for name in names)
    assert tep_parallel.__all__ == homes
    for name in tep_parallel.__all__:
        getattr(tep_parallel, name)
    public = {name for name in vars(tep_parallel) if not name.startswith("_")}
    assert public | {"__version__"} == set(homes)
    assert set(dir(tep_parallel)) >= set(tep_parallel.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = tep_parallel.nothing  # type: ignore[attr-defined]
    assert tep_parallel.__all__ == sorted(tep_parallel.__all__)


def test_public_names_say_that_they_are_of_the_package() -> None:
    for name in tep_parallel.__all__:
        found = getattr(tep_parallel, name)
        if name != "__version__":
            assert (found.__module__, found.__qualname__) == ("tep_parallel", name)
            assert pickle.loads(pickle.dumps(found)) is found


def test_a_pickle_of_a_former_version_is_still_read() -> None:
    for module, name in (("_outcome", "Outcome"), ("_errors", "WorkerError"), ("_control", "Kill")):
        former = f"ctep_parallel.{module}\n{name}\n.".encode()
        assert pickle.loads(former) is getattr(tep_parallel, name)


def test_type_hints_of_public_names_can_be_had_at_run_time() -> None:
    assert typing.get_type_hints(tep_parallel.Outcome)["exit_code"] == int | None
    for name in tep_parallel.__all__:
        found = getattr(tep_parallel, name)
        if isinstance(found, type):
            typing.get_type_hints(found)


def test_a_traceback_names_what_can_be_imported() -> None:
    code = "from tep_parallel import ParallelError\nraise ParallelError('said')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT, check=False
    )
    assert done.stderr.splitlines()[-1] == "tep_parallel.ParallelError: said"


def test_import_loads_no_extension_and_few_modules() -> None:
    code = """if True:
        import sys
        before = set(sys.modules)
        import tep_parallel
        print(*sorted(set(sys.modules) - before))
    """
    loaded = set(python(code).split())
    heavy = {"cffi", "_cffi_backend", "asyncio", "dataclasses", "pickle", "traceback", "logging"}
    heavy |= {"tep_parallel._sphttp", "multiprocessing", "subprocess", "concurrent.futures"}
    assert not loaded & heavy
    assert [name for name in loaded if "tep_parallel" in name] == ["tep_parallel"]


def test_typing_is_loaded_only_for_who_asks_for_a_protocol() -> None:
    code = """if True:
        import sys
        import tep_parallel
        for name in sorted(set(tep_parallel.__all__) - {"AsyncParallel", "ForkExecutor"}):
            protocol = name in tep_parallel._HOMES["_protocols"]
            if not protocol:
                getattr(tep_parallel, name)
        print("typing" in sys.modules, tep_parallel.Outcome[str], tep_parallel.Parallel[int])
        class Mine(tep_parallel.Parallel[int]): pass
        print(Mine.__mro__[1], "typing" in sys.modules)
    """
    shown = "False tep_parallel.Outcome[str] tep_parallel.Parallel[int]\n"
    shown += "<class 'tep_parallel.Parallel'> False\n"
    assert python(code) == shown


def test_a_user_may_inherit_from_a_protocol_in_another_one() -> None:
    class Closed(tep_parallel.Progress, typing.Protocol):
        def close(self) -> None: ...

    assert typing.get_type_hints(Closed.update)["n"] is int
    assert tep_parallel.Codec[int] is not None


def test_the_values_of_literals_are_those_that_are_checked() -> None:
    from tep_parallel import _file_digest
    from tep_parallel._engine import arguments

    for module, name, values in (
        (arguments, "OnError", arguments.ON_ERROR),
        (_file_digest, "Algorithm", _file_digest.ALGORITHMS),
    ):
        text = Path(str(module.__file__)).read_text()
        found = re.search(rf"^{name} = Literal\[(.*)\]", text, re.MULTILINE)
        assert found is not None
        assert tuple(re.findall(r'"([\w-]+)"', found[1])) == values


FACES = {
    "Parallel": "Parallel(ask, in_processes=2).map_processes([1])",
    "AsyncParallel": "asyncio.run(AsyncParallel(ask).map_processes([1]))",
    "ForkExecutor": "[ForkExecutor(1).submit(ask, 1).result()]",
}


@pytest.mark.parametrize("face", FACES)
def test_a_child_that_asks_the_package_for_a_name_imports_nothing(face: str) -> None:
    """Another thread of the host may have held an import lock at the fork."""
    code = f"""if True:
        import asyncio, sys
        import tep_parallel
        from tep_parallel import {face}

        def ask(item):
            before = set(sys.modules)
            homes = tep_parallel._HOMES
            late = {{"AsyncParallel", "ForkExecutor", *homes["_protocols"], *homes["_early"]}}
            for name in set(tep_parallel.__all__) - late:
                getattr(tep_parallel, name)
            return " ".join(set(sys.modules) - before)

        print({FACES[face]})
    """
    assert python(code) == "['']\n"


def test_threads_that_ask_for_a_name_at_the_same_time_all_get_it() -> None:
    code = """if True:
        import sys, threading
        sys.setswitchinterval(1e-6)
        import tep_parallel
        gate = threading.Barrier(8)
        failed = []

        def ask(names):
            gate.wait()
            for name in names:
                try:
                    getattr(tep_parallel, name)
                except BaseException as error:
                    failed.append(error)

        names = tep_parallel.__all__
        threads = [threading.Thread(target=ask, args=(names[n:] + names[:n],)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(failed)
    """
    for _ in range(10):
        assert python(code) == "[]\n"


def test_a_short_call_into_c_does_not_give_the_gil_away() -> None:
    """Else each of these calls would wait for the other thread's whole switch interval."""
    import time

    over = threading.Event()

    def compute() -> None:
        while not over.is_set():
            sum(range(10_000))

    former = sys.getswitchinterval()
    thread = threading.Thread(target=compute)
    thread.start()
    try:
        Sock.sphttp_getpid()
        sys.setswitchinterval(1.0)
        begun = time.monotonic()
        for _ in range(100):
            Sock.sphttp_getpid()
            Sock.sphttp_hmac_sha256_hex(b"key", b"message")
        assert time.monotonic() - begun < 30  # 200 intervals
    finally:
        sys.setswitchinterval(former)
        over.set()
        thread.join()


def built() -> ModuleType:
    """build_ext.py, with something in the place of setuptools, which tests do not need."""
    stand_ins = {name: ModuleType(name) for name in ("setuptools", "setuptools.command")}
    commands = {f"command.{name}": [name] for name in ("bdist_wheel", "build_ext", "egg_info")}
    for name, members in {**commands, "errors": ERRORS}.items():
        stand_in = stand_ins[f"setuptools.{name}"] = ModuleType(name)
        for member in members:
            setattr(stand_in, member, type(member, (Exception,), {}))
    found = importlib.util.spec_from_file_location("build_ext", ROOT / "build_ext.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    with mock.patch.dict(sys.modules, stand_ins):
        found.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("platform", "python", "free_threaded", "said"),
    [
        ("win32", "CPython", False, "this is Windows: install it in WSL or in a container"),
        ("darwin", "CPython", False, "this is macOS: install it in a Linux container"),
        ("freebsd14", "CPython", False, "this is freebsd14: install it in a Linux container"),
        ("linux", "PyPy", False, "this is PyPy: install it with CPython's python3"),
        ("linux", "CPython", True, f"install it with python3.{MINOR} in place of python3.{MINOR}t"),
    ],
)
def test_where_it_cannot_be_built_one_line_says_what_to_do(
    platform: str, python: str, free_threaded: bool, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = built()
    monkeypatch.setattr("platform.python_implementation", lambda: python)
    monkeypatch.setattr(module, "FREE_THREADED", free_threaded)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", platform)
        why = module.refusal()
    assert said in why
    assert "\n" not in why
    monkeypatch.setenv("TEP_PARALLEL_FREE_THREADED", "1")
    if free_threaded:
        assert module.refusal() is None


def test_here_it_can_be_built() -> None:
    assert built().refusal() is None


def test_the_extension_needs_libc_alone_and_names_no_place_of_this_machine() -> None:
    found = importlib.util.find_spec("tep_parallel._sphttp")
    assert found is not None
    content = Path(str(found.origin)).read_bytes()
    assert b"libcrypto" not in content
    for place in (str(ROOT), sys.base_prefix, str(Path.home())):
        assert len(place) < 5 or place.encode() not in content


@pytest.mark.skipif(shutil.which("readelf") is None, reason="there is no readelf")
def test_the_extension_is_stripped_and_has_no_run_path() -> None:
    found = importlib.util.find_spec("tep_parallel._sphttp")
    assert found is not None
    command = ["readelf", "--dynamic", "--section-headers", str(found.origin)]
    told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=LIMIT).stdout
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", told)
    libc = {"libc", "libpthread", "libdl"}  # glibc before 2.34 is more than one file
    loaders = {"ld-linux-x86-64", "ld-linux-aarch64"}
    assert {name.split(".")[0] for name in needed} <= libc | loaders
    assert not re.search(r"RPATH|RUNPATH|\.symtab|\.debug_", told)


def test_no_process_has_libcrypto_of_it() -> None:
    code = """if True:
        import sys
        from tep_parallel import Parallel, Sock, digest_files
        assert Parallel(str.upper).map_processes(["a", "b"]) == ["A", "B"]
        for count in (None, 2):
            digest_files([sys.executable], b"key", in_processes=count)
        Sock.sphttp_hmac_sha256_hex("key", "message")
        print(*[line for line in open("/proc/self/maps") if "/libcrypto" in line])
    """
    assert python(code) == "\n"


def test_the_extension_is_one_abi3_file() -> None:
    found = importlib.util.find_spec("tep_parallel._sphttp")
    assert found is not None
    assert found.origin is not None
    assert Path(found.origin).name == "_sphttp.abi3.so"


@pytest.mark.skipif(sys.version_info < (3, 14), reason="concurrent.interpreters is of 3.14")
def test_a_subinterpreter_imports_and_is_refused_a_call() -> None:
    code = """if True:
        from concurrent import interpreters
        interpreters.create().exec('''if True:
            from tep_parallel import Parallel, Sock, digest_files
            for call in (
                lambda: Parallel(str).map_processes([1]),
                lambda: digest_files(["/etc/hosts"]),
                Sock.sphttp_fork,
            ):
                try:
                    call()
                except RuntimeError as error:
                    print("main interpreter" in str(error))
        ''')
    """
    assert python(code) == "True\nTrue\nTrue\n"


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="as above, by another name")
def test_a_subinterpreter_is_refused_a_call_before_3_14() -> None:
    name = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
    code = f"""if True:
        import {name} as interpreters
        interpreters.run_string(interpreters.create(), '''if True:
            import sys
            sys.path[:] = {sys.path!r}
            from tep_parallel import Parallel, Sock, digest_files
            for call in (
                lambda: Parallel(str).map_processes([1]),
                lambda: Parallel(str, in_processes=2, on_finish=print).outcomes([1]),
                lambda: digest_files(["/etc/hosts"]),
                Sock.sphttp_fork,
            ):
                try:
                    call()
                except RuntimeError as error:
                    print("main interpreter" in str(error), flush=True)
        ''')
    """
    assert python(code) == "True\n" * 4


def test_no_linkers_path_of_the_machine_is_kept() -> None:
    given = ["gcc", "-shared", "-Wl,-rpath,/a", "-Wl,-rpath", "-Wl,/b", "-lc", "-rpath", "/c", "-O"]
    assert built().without_rpath(given) == ["gcc", "-shared", "-lc", "-O"]
