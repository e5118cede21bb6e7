"""Pools of two, beside the peers', start and end of the pool included on every side.

    python benchmarks/pools.py [--rounds 15] [--plot docs/pools]

Each peer with chunk size 1 and with the best of some chunk sizes, which it finds for itself in
the warm-up. The plot is written as SVG and PNG.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable

from harness import Contender, Row, compare, serve, show

from tep_parallel import Parallel

BUSY_THREADS = 4
LARGE = 32 << 20  # bytes of a large result
FORK = multiprocessing.get_context("fork")

Run = Callable[[list[str]], list[str]]
Chunked = Callable[[list[str], int], list[str]]


def work(item: str) -> str:
    """The trivial item: what is measured is the way there and back."""
    return item


def enlarge(item: str) -> str:
    """A result of 32 MiB."""
    return item * LARGE


def ours() -> Run:
    """This library."""
    return Parallel(work, in_processes=2).map_processes


def serial() -> Run:
    """No processes at all: what the work itself takes."""
    return lambda items: [work(item) for item in items]


def by_pool(items: list[str], chunk: int) -> list[str]:
    """multiprocessing.Pool."""
    with FORK.Pool(2) as pool:
        return pool.map(work, items, chunksize=chunk)


def by_executor(items: list[str], chunk: int) -> list[str]:
    """concurrent.futures.ProcessPoolExecutor."""
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=FORK) as pool:
        return list(pool.map(work, items, chunksize=chunk))


def by_mpire(items: list[str], chunk: int) -> list[str]:
    """mpire's WorkerPool, which is made for speed."""
    import mpire

    with mpire.WorkerPool(2, start_method="fork") as pool:
        return list(pool.map(work, items, chunk_size=chunk))


def by_pebble(items: list[str], chunk: int) -> list[str]:
    """pebble's ProcessPool, which is made for time limits."""
    import pebble

    with pebble.ProcessPool(2, context=FORK) as pool:
        return list(pool.map(work, items, chunksize=chunk).result())


def by_joblib(items: list[str], chunk: int) -> list[str]:
    """joblib, with processes that are forked for the call."""
    import joblib

    jobs = (joblib.delayed(work)(item) for item in items)
    return list(joblib.Parallel(2, backend="multiprocessing", batch_size=chunk)(jobs))


PEERS: dict[str, Chunked] = {
    "Pool": by_pool,
    "ProcessPoolExecutor": by_executor,
    "mpire": by_mpire,
    "pebble": by_pebble,
    "joblib": by_joblib,
}


def chunks_of_one(peer: Chunked) -> Contender:
    """The peer, an item at a time."""
    return lambda: lambda items: peer(items, 1)


def tuned(peer: Chunked) -> Contender:
    """The peer, with the best of some chunk sizes for so many items."""

    def contender() -> Run:
        best: dict[int, int] = {}

        def run(items: list[str]) -> list[str]:
            count = len(items)
            if count not in best:
                sizes = {max(1, count // parts) for parts in (2, 8, 32)}
                best[count] = min(sizes, key=lambda size: _seconds(peer, items, size))
            return peer(items, best[count])

        return run

    return contender


def _seconds(peer: Chunked, items: list[str], size: int) -> float:
    taken = []
    for _ in range(2):
        begun = time.perf_counter()
        peer(items, size)
        taken.append(time.perf_counter() - begun)
    return min(taken)


def warm_pool() -> Run:
    """multiprocessing.Pool(2), made before, chunk size 1."""
    pool = FORK.Pool(2)
    return lambda items: pool.map(work, items, chunksize=1)


def ours_large() -> Run:
    """This library, and large results; only how long each is comes back from here."""
    fan_out = Parallel(enlarge, in_processes=2)

    def run(items: list[str]) -> list[str]:
        assert {len(text) for text in fan_out.map_processes(items)} == {LARGE}
        return items

    return run


def pool_large() -> Run:
    """multiprocessing.Pool, and large results."""

    def run(items: list[str]) -> list[str]:
        with FORK.Pool(2) as pool:
            assert {len(text) for text in pool.map(enlarge, items, chunksize=1)} == {LARGE}
        return items

    return run


CONTENDERS: dict[str, Contender] = {
    "tep_parallel": ours,
    "serial loop": serial,
    **{f"{name}, chunks of 1": chunks_of_one(peer) for name, peer in PEERS.items()},
    **{f"{name}, tuned": tuned(peer) for name, peer in PEERS.items()},
}
OTHERS: dict[str, Contender] = {
    "Pool, warm, chunks of 1": warm_pool,
    "tep_parallel, large": ours_large,
    "Pool, large": pool_large,
}


def main() -> None:
    """Run the cases, and draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--plot", metavar="NAME", help="write NAME.svg and NAME.png")
    parser.add_argument("--host", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.host is not None:
        ours()(["0"])  # every host is the same program: it has loaded what any of them needs
        serve({**CONTENDERS, **OTHERS}[options.host])
        return
    print(f"CPython {sys.version.split()[0]}, {len(os.sched_getaffinity(0))} CPUs, pools of 2")
    found: dict[int, list[Row]] = {}
    with tempfile.TemporaryDirectory() as root:
        for count, least in ((32, 15), (1000, 15), (10_000, 7), (100_000, 5)):
            rounds = min(options.rounds, least)
            names = list(CONTENDERS)
            if count == 100_000:  # an item at a time would take minutes a round
                names = [name for name in names if "chunks of 1" not in name]
            found[count] = compare(names, root, items=count, rounds=rounds)
            show(f"N = {count:,}, medians of {rounds} interleaved rounds", found[count])
        seconds = {row.name: row.seconds for row in found[100_000]}
        over = (seconds["tep_parallel"] - seconds["serial loop"]) / 100_000
        print(f"  over the serial loop: {over * 1e6:.2f} us an item")
        names = ["tep_parallel", "Pool, warm, chunks of 1"]
        rows = compare(names, root, items=1000, rounds=options.rounds, threads=BUSY_THREADS)
        show(f"busy host, {BUSY_THREADS} threads compute, N = 1,000", rows)
        names = ["tep_parallel, large", "Pool, large"]
        show("8 results of 32 MiB", compare(names, root, items=8, rounds=min(options.rounds, 7)))
    if options.plot:
        draw(found, options.plot)


def draw(found: dict[int, list[Row]], name: str) -> None:
    """Draw time over number of items."""
    import matplotlib as mpl

    mpl.use("agg")
    mpl.rcParams["svg.hashsalt"] = "tep_parallel"  # the same picture for the same figures
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(11, 6))
    for contender in CONTENDERS:
        points = [
            (count, row.seconds * 1e3)
            for count, rows in found.items()
            for row in rows
            if row.name == contender
        ]
        ours_too = contender == "tep_parallel"
        # Both lines of a peer in one colour.
        peer = contender.partition(",")[0]
        colour = f"C{list(PEERS).index(peer)}" if peer in PEERS else "black"
        style = "--" if "chunks of 1" in contender else ":" if "serial" in contender else "-"
        axes.plot(
            [count for count, _ in points],
            [taken for _, taken in points],
            label=contender,
            marker="o",
            linewidth=3 if ours_too else 1,
            linestyle=style,
            color=colour,
        )
    axes.set(xscale="log", yscale="log", xlabel="items", ylabel="milliseconds a call")
    axes.set_title("A call of trivial items, a pool of two, its start and end included")
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    figure.tight_layout()
    figure.savefig(f"{name}.svg", metadata={"Date": None})
    figure.savefig(f"{name}.png", dpi=120)


if __name__ == "__main__":
    main()
