"""Digests of files and of messages, beside what there is for that; files are in the page cache.

    python benchmarks/digests.py [--rounds 7] [--root DIR] [--plot docs/digests]

A call is timed inside a running interpreter, a command from its start to its end. The digests
of all files are compared with OpenSSL's first. The plot is written as SVG and PNG.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import hashlib
import hmac
import os
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from harness import Row, about, busy, interleave

from tep_parallel import Sock, digest_files
from tep_parallel._engine.native import lib

MIB = 1 << 20
COMMAND = Path(sys.executable).parent / "tep-parallel"
OURS, OUR_COMMAND = "digest_files", "tep-parallel digest"
CORES = len(os.sched_getaffinity(0))
IN_THREADS = f"hashlib.file_digest, {CORES} threads"
BUSY_THREADS = 4
AN_EIGHTH = 8  # of the list for each process of xargs; else it starts one

Calls = dict[str, Callable[[], object]]


def main() -> None:
    """Run the cases, and draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--root", help="where the files are put; default: TMPDIR or /tmp")
    parser.add_argument("--plot", metavar="NAME", help="write NAME.svg and NAME.png")
    options = parser.parse_args()
    print(about())
    print("large files: views of 2 MiB where several are in hand; others: reads of 64 KiB")
    print(f"{version('openssl version')}; {version('sha256sum --version')}")
    # Debian's before 13 and others have SHA-256 of their own; OpenSSL's is faster.
    linked = shell('ldd "$(command -v sha256sum)"').decode()
    print(f"sha256sum has {'libcrypto' if 'libcrypto' in linked else 'no libcrypto'}")
    limit = CORES * openssl_speed()
    print(f"openssl speed, one message at a time, times {CORES}: {limit / 1e9:.2f} GB/s")
    found: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory(dir=options.root) as root:
        # Each made just before it is read: in time the page cache is cut into small pieces.
        cases = (("16 x 64 MiB", 16, 64 * MIB), ("32 x 64 MiB", 32, 64 * MIB))
        for title, count, size in (*cases, ("1,000 x 64 KiB", 1000, 64 << 10)):
            paths = make(Path(root, title), [size] * count)
            check(paths)
            total = count * size
            print(f"\n{title}, medians of {options.rounds} interleaved rounds")
            print(f"  limits: {in_memory(count):.2f} GB/s hashing in memory, ", end="")
            print(f"{page_cache(paths):.2f} GB/s reading from the page cache")
            calls, commands = calls_for(paths), commands_for(paths)
            rows = interleave(calls, options.rounds) + interleave(commands, options.rounds)
            show(rows, total)
            found[title] = rows
            if size == 64 * MIB:
                shutil.rmtree(Path(root, title))
        medium = paths
        print(
            f"\n1,000 x 64 KiB in a host where {BUSY_THREADS} threads compute, medians of", end=""
        )
        print(f" {options.rounds} rounds")
        with busy(BUSY_THREADS):
            show(interleave(calls_for_busy(medium), options.rounds), 1000 << 16)
        for count, rounds in ((20_000, options.rounds), (200_000, min(options.rounds, 3))):
            sizes = random.Random(count)
            tree = Path(root, str(count))
            paths = make(tree, [sizes.randrange(4096) for _ in range(count)])
            check(paths)
            total = sum(map(os.path.getsize, paths))
            print(f"\na tree of {count:,} files below 4 KiB, medians of {rounds} rounds")
            show(interleave(calls_for(paths), rounds), total)
            show(interleave(commands_for_tree(tree, count), rounds), total)
    for size in (100, 10_000):
        print(f"\nHMAC-SHA256 of {size:,} bytes, medians of {options.rounds} rounds of 20,000")
        for row in interleave(calls_for_message(size), options.rounds):
            print(f"  {row.name:44}{row.seconds / 20_000 * 1e6:>10.2f} us{row.ratio:>14.3f}")
    if options.plot:
        draw(found, limit, options.plot)


# --- What is compared -------------------------------------------------------------------


def calls_for(paths: list[str]) -> Calls:
    """Functions that digest the files."""

    def in_threads() -> None:
        with concurrent.futures.ThreadPoolExecutor(CORES) as pool:
            list(pool.map(file_digest, paths))

    return {
        OURS: lambda: digest_files(paths, algorithm="sha256"),
        "digest_files, one file at a time in each child": lambda: one_at_a_time(paths),
        IN_THREADS: in_threads,
        "hashlib.file_digest": lambda: list(map(file_digest, paths)),
    }


def calls_for_busy(paths: list[str]) -> Calls:
    """Those of them that a service would make."""
    calls = calls_for(paths)
    return {name: calls[name] for name in (OURS, IN_THREADS)}


def one_at_a_time(paths: list[str]) -> None:
    """One file at a time in each child."""
    os.environ["TEP_PARALLEL_SHA256"] = "alone"
    try:
        digest_files(paths, algorithm="sha256")
    finally:
        del os.environ["TEP_PARALLEL_SHA256"]


def file_digest(path: str) -> str:
    """The digest by the standard library."""
    with open(path, "rb") as file:
        if sys.version_info >= (3, 11):
            return hashlib.file_digest(file, "sha256").hexdigest()
        state = hashlib.sha256()
        while piece := file.read(1 << 18):
            state.update(piece)
        return state.hexdigest()


def commands_for(paths: list[str]) -> Calls:
    """Commands that digest the files, from start to end."""
    listed = b"\0".join(map(os.fsencode, paths)) + b"\0"
    share = max(1, len(paths) // AN_EIGHTH)
    ours = f"{COMMAND} digest --algorithm sha256 -0 --files-from -"
    return {
        OUR_COMMAND: lambda: shell(ours, listed),
        f"xargs -P{CORES} -n{share} openssl dgst -sha256": lambda: shell(
            f"xargs -0 -P{CORES} -n{share} openssl dgst -sha256", listed
        ),
        f"xargs -P{CORES} -n{share} sha256sum": lambda: shell(
            f"xargs -0 -P{CORES} -n{share} sha256sum", listed
        ),
        "sha256sum": lambda: shell("xargs -0 sha256sum", listed),
    }


def commands_for_tree(tree: Path, count: int) -> Calls:
    """The same for all that is below a directory."""
    share = count // AN_EIGHTH
    find = f"find {shlex.quote(str(tree))} -type f -print0 | xargs -0 -P{CORES} -n{share}"
    ours = f"{COMMAND} digest --algorithm sha256 --recursive {shlex.quote(str(tree))}"
    return {
        f"{OUR_COMMAND} --recursive": lambda: shell(ours),
        f"find | xargs -P{CORES} -n{share} openssl dgst -sha256": lambda: shell(
            f"{find} openssl dgst -sha256"
        ),
        f"find | xargs -P{CORES} -n{share} sha256sum": lambda: shell(f"{find} sha256sum"),
    }


def calls_for_message(size: int) -> Calls:
    """Functions that compute the HMAC of a message, 20,000 times."""
    key, message = b"k" * 32, b"m" * size
    ours = Sock.sphttp_hmac_sha256_hex

    def by_sock() -> None:
        for _ in range(20_000):
            ours(key, message)

    def by_hmac() -> None:
        for _ in range(20_000):
            hmac.digest(key, message, "sha256").hex()

    assert ours(key, message) == hmac.digest(key, message, "sha256").hex()
    return {"Sock.sphttp_hmac_sha256_hex": by_sock, 'hmac.digest(..., "sha256").hex()': by_hmac}


def shell(script: str, given: bytes = b"") -> bytes:
    """What a script of sh prints."""
    done = subprocess.run(["sh", "-c", script], input=given, stdout=subprocess.PIPE, check=True)
    return done.stdout


# --- Files, and the machine ----------------------------------------------------------------


def make(folder: Path, sizes: Iterable[int]) -> list[str]:
    """Files of so many bytes each, fifty in a directory."""
    content = os.urandom(64 * MIB)
    paths = []
    for number, size in enumerate(sizes):
        path = folder / f"{number // 1000:03}" / f"{number // 50 % 20:02}" / f"{number:06}.txt"
        if number % 50 == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
        from_here = number * 64 % (64 * MIB - size + 1)
        path.write_bytes(content[from_here : from_here + size])
        paths.append(str(path))
    return paths


def check(paths: list[str]) -> None:
    """Refuse to go on unless every digest is OpenSSL's."""
    listed = b"\0".join(map(os.fsencode, paths)) + b"\0"
    printed = shell("xargs -0 openssl dgst -sha256 -r", listed).decode()
    expected = [line.split()[0] for line in printed.splitlines()]
    if digest_files(paths, algorithm="sha256") != expected:
        sys.exit("wrong digests")
    print(f"\n{len(paths):,} digests are OpenSSL's", end="")


def openssl_speed() -> float:
    """Bytes a second that OpenSSL digests on one core, in memory."""
    printed = shell("openssl speed -mr -seconds 1 -bytes 65536 -evp sha256 2>/dev/null").decode()
    (line,) = [line for line in printed.splitlines() if line.startswith("+F:")]
    return float(line.split(":")[-1])


def in_memory(files: int) -> float:
    """GB/s that all cores can digest, each as many files at once as it gets of so many."""
    at_once = max(1, min(files // CORES, lib.sphttp_sha256_lanes(b"", 0)))
    nanoseconds = min(lib.sphttp_sha256_time(b"", at_once) for _ in range(1000))
    return float(CORES * at_once * 4096 / nanoseconds)


def read_all(paths: list[str]) -> None:
    """Read the files, and do nothing with what they contain."""
    buffer = bytearray(64 << 10)
    for path in paths:
        with open(path, "rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def page_cache(paths: list[str]) -> float:
    """GB/s that all cores can read, each in a process of its own: the best of three."""
    best = 0.0
    for _ in range(3):
        before = time.perf_counter()
        for core in range(CORES):
            if os.fork() == 0:
                read_all(paths[core::CORES])
                os._exit(0)
        for _ in range(CORES):
            os.wait()
        seconds = time.perf_counter() - before
        best = max(best, sum(map(os.path.getsize, paths)) / seconds / 1e9)
    return best


def version(command: str) -> str:
    """The first line of it."""
    return shell(command).decode().splitlines()[0]


# --- What is shown ---------------------------------------------------------------------------


def show(rows: list[Row], total: int) -> None:
    """Print the rows as a table; each compared with the first before it that is ours."""
    print(f"  {'':44}{'ms':>10}{'GB/s':>8}{'ours / this':>14}")
    for row in rows:
        speed = total / row.seconds / 1e9
        print(
            f"  {row.name:44}{row.seconds * 1e3:>10.1f}{speed:>8.2f}{row.ratio:>14.3f}", flush=True
        )


def draw(found: dict[str, list[Row]], limit: float, name: str) -> None:
    """Draw throughput, beside what one message at a time could reach."""
    import matplotlib as mpl

    mpl.use("agg")
    mpl.rcParams["svg.hashsalt"] = "tep_parallel"  # the same picture for the same figures
    from matplotlib import pyplot as plt

    sizes = {"16 x 64 MiB": 1024 * MIB, "32 x 64 MiB": 2048 * MIB, "1,000 x 64 KiB": 1000 << 16}
    figure, all_axes = plt.subplots(len(found), figsize=(10, 8), sharex=True)
    for axes, (title, rows) in zip(all_axes, found.items(), strict=True):
        names = [row.name for row in rows][::-1]
        speeds = [sizes[title] / row.seconds / 1e9 for row in rows][::-1]
        ours = [name in (OURS, OUR_COMMAND) for name in names]
        axes.barh(names, speeds, color=["C0" if mine else "silver" for mine in ours])
        axes.axvline(limit / 1e9, color="C3", linestyle="--", label="openssl speed, all cores")
        axes.set_title(title)
    all_axes[0].legend(fontsize="small", loc="lower right")
    all_axes[-1].set_xlabel(f"GB/s, {CORES} CPUs")
    figure.tight_layout()
    figure.savefig(f"{name}.svg", metadata={"Date": None})
    figure.savefig(f"{name}.png", dpi=120)


if __name__ == "__main__":
    main()
