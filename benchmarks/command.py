"""The command beside xargs: whole commands, from their start to their end, in turn.

    python benchmarks/command.py [--rounds 5] [--items 10000]

Then how long after the end of an item its result is there, while standard input is silent and
open.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import processor

COMMAND = Path(sys.executable).parent / "tep-parallel"
WORKERS = """
import time

def echo(item):
    return item

def clock(item):
    time.sleep(0.01)
    return str(time.monotonic())
"""
# What is measured: theirs, ours, and how much of their time ours may take.
PAIRS = [
    ("xargs -P2 -n1 echo", "tep-parallel map -j2 workers:echo"),
    ("xargs -P2 -n1 echo", "tep-parallel map -j2 workers:echo -u"),
    ("xargs -P2 -n1 echo", "tep-parallel map -j2 workers:echo --json"),
    ("xargs -P2 -n1 echo", "tep-parallel map -j2 workers:echo --journal journal"),
    ("xargs -P2 -n1 echo", "tep-parallel map -j2 workers:echo --isolate"),
    ("xargs -P2 -n1 true", "tep-parallel run -j2 true"),
    ("xargs -P2 -n1 echo", "tep-parallel run -j2 echo"),
    ("xargs -P2 -n1 echo", "tep-parallel run -j2 --no-group echo"),
]


def main() -> None:
    """Measure, and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--items", type=int, default=10_000)
    options = parser.parse_args()
    cpus = len(os.sched_getaffinity(0))
    print(f"CPython {sys.version.split()[0]}, {cpus} CPUs: {processor()}")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "workers.py").write_text(WORKERS)
        (place / "items").write_text("".join(f"{number}\n" for number in range(options.items)))
        compare(place, options.rounds, options.items)
        latency(place)


def compare(place: Path, rounds: int, items: int) -> None:
    """Every command once a round, in turn."""
    lines = list(dict.fromkeys(line for pair in PAIRS for line in pair))
    times: dict[str, list[float]] = {line: [] for line in lines}
    for _ in range(rounds):
        for line in lines:
            times[line].append(seconds(line, place, items))
    print(f"\n{items} items, whole commands; medians of {rounds} rounds")
    for theirs, ours in PAIRS:
        one, other = (statistics.median(times[line]) for line in (theirs, ours))
        print(f"  {theirs:20} {one:7.2f} s   {ours:47} {other:7.3f} s   {other / one:.3f}")


def seconds(line: str, place: Path, items: int) -> float:
    """What a command takes for all items. It must print something for each; `true` nothing."""
    (place / "journal").unlink(missing_ok=True)
    environment = {**os.environ, "PATH": f"{COMMAND.parent}:{os.environ['PATH']}"}
    with open(place / "items", "rb") as given, open(place / "out", "wb") as out:
        begin = time.perf_counter()
        subprocess.run(
            line.split(), cwd=place, env=environment, stdin=given, stdout=out, check=True
        )
        took = time.perf_counter() - begin
    printed = (place / "out").read_bytes().count(b"\n")
    expected = 0 if line.endswith(" true") else items
    assert printed == expected, f"{line}: {printed} lines"
    return took


def latency(place: Path, count: int = 100) -> None:
    """An item is written, and nothing else: its result must come all the same."""
    print(f"\nfrom the end of an item to its result, standard input open; {count} items, ms")
    for shape in ("", "-u", "--isolate", "--json", "--journal journal"):
        (place / "journal").unlink(missing_ok=True)
        line = [COMMAND, "map", "workers:clock", *shape.split()]
        case = subprocess.Popen(line, cwd=place, stdin=-1, stdout=-1, bufsize=0)
        assert case.stdin is not None
        assert case.stdout is not None
        late = []
        for _ in range(count):
            case.stdin.write(b"x\n")
            row = case.stdout.read(65536)
            now = time.monotonic()
            text = row.decode()
            ended = text.partition('"result": "')[2].partition('"')[0] if "{" in text else text
            late.append((now - float(ended)) * 1000)
        case.communicate()
        middle, most = statistics.median(late), max(late)
        print(f"  map {shape:20} median {middle:6.2f}   largest {most:6.2f}")


if __name__ == "__main__":
    main()
