"""The package itself: its names, its import, its build."""

from __future__ import annotations

import importlib.util
import pickle
import subprocess
import sys
import threading
import typing
from pathlib import Path

import pytest
from support import LIMIT

import tep_parallel
from tep_parallel import Sock


def python(code: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT, check=True
    )
    assert run.stderr == ""
    return run.stdout


def test_the_public_names_are_those_of_all_and_all_is_sorted() -> None:
    public = {name for name in vars(tep_parallel) if not name.startswith("_")} | {"__version__"}
    assert set(tep_parallel.__all__) == public | set(tep_parallel._LATE)
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
