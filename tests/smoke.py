"""What a wheel must do wherever it is installed, of the standard library alone: python smoke.py.

The three programs of a beginner, then what is promised when something goes wrong, and digests.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tep_parallel import (
    DeadWorkerError,
    ItemTimeoutError,
    Parallel,
    ParallelWorker,
    Sock,
    digest_files,
)

# FIPS 180-4, "abc"; RFC 4231, test case 2.
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
JEFE = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


class Doubler(ParallelWorker):
    def process(self, item: str) -> str:
        return str(int(item) * 2)


class Adder(ParallelWorker):
    def process(self, item: str) -> str:
        return json.dumps({"sum": sum(json.loads(item)), "pid": os.getpid()})


def fault(item: str) -> str:
    if item == "abort":
        os.abort()
    if item == "sleep":
        time.sleep(60)
    return item


def maps(where: str) -> None:
    """No cryptographic library was loaded. (`hashlib` would: so it is not used here.)"""
    assert "libcrypto" not in Path("/proc/self/maps").read_text(), f"libcrypto, after {where}"


def main() -> None:
    maps("import")
    assert Parallel(Doubler()).map_processes(["1", "2", "3"]) == ["2", "4", "6"]
    assert Parallel(Doubler()).each_process(["1", "2", "3"]) == 0
    assert Parallel(Doubler(), in_processes=2).map_processes(map(str, range(1000)))[-1] == "1998"
    added = [json.loads(text) for text in Parallel(Adder()).map_processes(["[1, 2]", "[3, 4]"])]
    assert [one["sum"] for one in added] == [3, 7]
    assert len({os.getpid(), *(one["pid"] for one in added)}) == 3
    assert Sock.sphttp_hmac_sha256_hex(b"Jefe", b"what do ya want for nothing?") == JEFE
    pid = Sock.sphttp_fork()
    if pid == 0:
        Sock.sphttp_exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    maps("a call")

    faults: list[Any] = Parallel(fault, timeout=2).outcomes(["a", "abort", "sleep", "b"])
    assert [one.result for one in faults] == ["a", None, None, "b"]
    assert isinstance(faults[1].error, DeadWorkerError)
    assert isinstance(faults[2].error, ItemTimeoutError)
    with Parallel(str.upper, in_processes=2) as kept:
        assert kept.map_processes(["a", "b"]) == ["A", "B"]
        assert list(kept.imap_processes(iter("cd"))) == ["C", "D"]

    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, str(number)) for number in range(20)]
        for path in paths:
            path.write_bytes(b"abc")
        assert digest_files(paths, algorithm="sha256") == [ABC] * 20
        assert digest_files(paths, algorithm="sha256", in_processes=2) == [ABC] * 20
    maps("a digest")
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        pass
    else:
        raise AssertionError("a child is left")
    print(f"smoke: {os.uname().machine}, Python {sys.version.split()[0]}: well")


if __name__ == "__main__":
    main()
