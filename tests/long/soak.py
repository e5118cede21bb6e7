"""Call after call after call: descriptors, memory, zombies and scratch directories stay as few.

python tests/long/soak.py [--calls 20000]
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from tep_parallel import Parallel

PAGE = os.sysconf("SC_PAGE_SIZE")
# From a tenth of the calls to the last; what one call leaked would be thousands.
MOST_GROWTH = 2 << 20  # bytes
MOST_MAPPINGS = 100


def work(item: int) -> str:
    """An item that returns, raises or dies."""
    if item == 7:
        raise ValueError(item)
    if item == 8:
        sys.exit(1)
    return "x" * item


def state(scratch: Path) -> dict[str, Any]:
    """What must not grow."""
    pid = os.getpid()
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),
        "children": Path(f"/proc/self/task/{pid}/children").read_text(),
        "scratch": [path.name for path in scratch.iterdir()],
    }


def resident() -> int:
    """Bytes of this process's memory, shared pages left out."""
    gc.collect()
    fields = Path("/proc/self/statm").read_text().split()
    return (int(fields[1]) - int(fields[2])) * PAGE


def mappings() -> int:
    """How many there are in this process."""
    return len(Path("/proc/self/maps").read_text().splitlines())


def main() -> None:
    """Make the calls, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=20_000)
    calls = parser.parse_args().calls
    shapes: list[dict[str, Any]] = [
        {},
        {"in_processes": 2},
        {"in_processes": 1, "isolation": True},
        {"in_processes": 2, "codec": json, "timeout": 60, "retries": 1},
        {"deadline": 60, "on_finish": lambda outcome: None},
        {"in_processes": 2, "on_start": lambda index, item: None, "on_error": "finish"},
        {"in_processes": 0},
    ]
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        fan_outs = [Parallel(work, scratch_root=scratch, **shape) for shape in shapes]
        before: dict[str, Any] = {}
        memory = maps = 0
        for number in range(calls):
            fan_out = fan_outs[number % len(fan_outs)]
            if number % 10 == 0:
                fan_out.outcomes([6, 7, 8, 9])
            elif number % 10 == 1:
                with contextlib.suppress(ValueError):
                    fan_out.map_processes([7])
            else:
                assert fan_out.map_processes([1, 2]) == ["x", "xx"]
            if number == calls // 10:
                before, memory, maps = state(scratch), resident(), mappings()
        after, growth, more = state(scratch), resident() - memory, mappings() - maps
    print(f"{calls} calls: {after}; since a tenth of them {growth} bytes, {more} mappings more")
    if after != before or growth > MOST_GROWTH or more > MOST_MAPPINGS:
        sys.exit(f"it had been {before}")


if __name__ == "__main__":
    main()
