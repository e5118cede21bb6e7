"""Sets of files about the size below which digest_files has no children; all in the page cache.

    python benchmarks/small_digests.py [--rounds 15] [--root DIR]

Each set is digested by the calling thread (however large it is), by children, by a loop over
hashlib, and in threads over hashlib: in a quiet host; then, the sets of a service, in a host
where threads compute. CPU is that of the process and of its children.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import gc
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from digests import CORES, file_digest
from harness import about, busy

from tep_parallel import digest_files
from tep_parallel._engine import small
from tep_parallel._engine.native import ffi, lib

KIB, MIB = 1 << 10, 1 << 20
# How many files of how many bytes.
SETS = [
    *((1, 0), (1, 4 * KIB), (20, 4 * KIB), (100, 4 * KIB), (400, 4 * KIB), (800, 4 * KIB)),
    *((1000, 0), (20, 64 * KIB), (200, 64 * KIB), (20, 256 * KIB), (50, 256 * KIB)),
    *((1, MIB), (1, 4 * MIB), (1, 16 * MIB), (2, 8 * MIB), (4, 4 * MIB), (16, MIB), (20, MIB)),
]
SERVICES = [(1, 4 * KIB), (20, 4 * KIB), (20, 64 * KIB), (20, 256 * KIB)]
BUSY_THREADS = 4
# As on an x86 that has no SHA instructions and no AVX-512. hashlib: OPENSSL_ia32cap(3).
OLDER = {"OPENSSL_ia32cap": "~0:~0x20000000:0:0:0", "TEP_PARALLEL_SHA256": "portable"}
HOW = ("here", "children", "hashlib", f"{CORES} threads")

Ways = dict[str, Callable[[], object]]


def main() -> None:
    """Measure, for each routine in an interpreter of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--root", help="where the files are put; default: TMPDIR or /tmp")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        measure(options.one, options.rounds, options.root)
        return
    print(about())
    names = ["avx512", "sha-ni", "armv8", "alone"]
    cases = [
        (name, {"TEP_PARALLEL_SHA256": name})
        for name in names
        if lib.sphttp_sha256_kernel(name.encode()) != ffi.NULL
    ]
    if os.uname().machine == "x86_64":
        cases.append(("portable, as on a processor without SHA instructions", OLDER))
    for title, environment in cases:
        command = [sys.executable, "-W", "ignore", *sys.argv, "--one", title]
        subprocess.run(command, env={**os.environ, **environment}, check=True)


def measure(title: str, rounds: int, root: str | None) -> None:
    """Print what every set takes with this process's routine."""
    small._MOST = 1 << 40  # the rule is what is to be found
    print(f"\nroutine: {title}; medians of {rounds} rounds")
    with tempfile.TemporaryDirectory(dir=root) as folder:
        head()
        for count, size in SETS:
            show(count, size, ways_for(make(Path(folder), count, size)), rounds)
        print(f"  the same while {BUSY_THREADS} threads of the host compute")
        for count, size in SERVICES:
            ways = ways_for(make(Path(folder), count, size))
            with busy(BUSY_THREADS):
                show(count, size, ways, rounds)


def make(root: Path, count: int, size: int) -> list[str]:
    """So many files of so many bytes each."""
    folder = root / f"{count}-{size}"
    folder.mkdir(exist_ok=True)
    paths = [folder / str(number) for number in range(count)]
    for path in paths:
        path.write_bytes(os.urandom(size))
    return list(map(str, paths))


def ways_for(paths: list[str]) -> Ways:
    """Functions that digest the files."""

    def in_threads() -> object:
        with concurrent.futures.ThreadPoolExecutor(CORES) as pool:
            return list(pool.map(file_digest, paths))

    return {
        "here": lambda: digest_files(paths, algorithm="sha256"),
        "children": lambda: digest_files(paths, algorithm="sha256", in_processes=True),
        "hashlib": lambda: list(map(file_digest, paths)),
        HOW[3]: in_threads,
    }


def head() -> None:
    """The head of the table."""
    print(f"  {'':18}" + "".join(f"{name:>12}{'CPU':>8}" for name in HOW) + f"{'cheaper':>10}")


def show(count: int, size: int, ways: Ways, rounds: int) -> None:
    """Print a line: milliseconds, and of those of a CPU."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    names = list(ways)
    expected = ways["hashlib"]()
    for turn in range(rounds + 1):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            gc.collect()
            before, begun = cpu(), time.perf_counter()
            digests = ways[name]()
            taken = time.perf_counter() - begun, cpu() - before
            if digests != expected:
                sys.exit("wrong digests")
            if turn > 0:
                found[name].append(taken)
    medians = {
        name: tuple(1e3 * statistics.median(column) for column in zip(*rows, strict=True))
        for name, rows in found.items()
    }
    large = f"{size // MIB} MiB" if size >= MIB else f"{size // KIB} KiB"
    cells = "".join(f"{wall:>12.2f}{used:>8.2f}" for wall, used in medians.values())
    wall, used = (b / a for a, b in zip(medians["here"], medians["children"], strict=True))
    print(f"  {f'{count} x {large}':18}{cells}{wall:>6.1f},{used:.1f}", flush=True)


def cpu() -> float:
    """Seconds of CPU that this process and its children have used."""
    own = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in own)


if __name__ == "__main__":
    main()
