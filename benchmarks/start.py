"""How long the command takes to start, beside `python -c pass`: in turn, medians of the ratios.

It measures the python that runs it, with the command that is installed beside that. Time of the
CPU is that of the command and its children: what others do on the machine does not count.

What pip has made of the command differs: pip 23 has it import `re`, which newer ones do not.
"wrapper" is a script that is like it, and calls nothing.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import processor

COMMAND = str(Path(sys.executable).parent / "tep-parallel")
LIMITS = {"--version": 1.7, "digest FILE": 3.0, "map FUNCTION ITEM": 3.0}


def commands(wrapper: str) -> dict[str, list[str]]:
    """What is measured; the first is what all else is compared with."""
    return {
        "python -c pass": [sys.executable, "-c", "pass"],
        "wrapper": [sys.executable, wrapper],
        "--version": [COMMAND, "--version"],
        "python -m ... --version": [sys.executable, "-m", "tep_parallel", "--version"],
        "import tep_parallel": [sys.executable, "-c", "import tep_parallel"],
        "digest FILE": [COMMAND, "digest", "/etc/hosts"],
        "map FUNCTION ITEM": [COMMAND, "map", "os.path:basename", "/etc/hosts"],
        "digest --help": [COMMAND, "digest", "--help"],
    }


def once(command: list[str]) -> tuple[float, float]:
    """Seconds that the command takes, and seconds of CPU."""
    environment = {name: value for name, value in os.environ.items() if "PYTHON" not in name}
    used, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    seconds = time.perf_counter() - begun
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=41)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        wrapper = Path(folder, "wrapper")
        wrapper.write_text("".join(Path(COMMAND).read_text().partition("from tep_parallel")[0]))
        measured = commands(str(wrapper))
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in measured}
        for turn in range(rounds + 1):
            for name, command in measured.items():
                one = once(command)
                if turn > 0:
                    taken[name].append(one)
    print(f"CPython {sys.version.split()[0]}, {len(os.sched_getaffinity(0))} CPUs: {processor()}")
    print(f"\n  {'':26}{'ms':>8}{'ratio':>8}{'ms of CPU':>11}{'ratio':>8}{'limit':>8}")
    base = next(iter(taken.values()))
    for name, ones in taken.items():
        cells = []
        for at in (0, 1):
            cells.append(1e3 * statistics.median(one[at] for one in ones))
            pairs = zip(ones, base, strict=True)
            cells.append(statistics.median(ours[at] / theirs[at] for ours, theirs in pairs))
        limit = f"{LIMITS[name]:.1f}" if name in LIMITS else ""
        print("  {:26}{:>8.1f}{:>8.2f}{:>11.1f}{:>8.2f}{:>8}".format(name, *cells, limit))


if __name__ == "__main__":
    main()
