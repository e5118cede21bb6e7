"""Items that leave a mark as long as nobody says that it is enough: at a terminal, which
stops and continues them. As a script: ticking.py SHAPE FOLDER [OPTIONS]."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from threading import Thread

from tep_parallel import DeadlineError, Parallel

FOLDER = Path(os.environ.get("TICKING") or sys.argv[2])


def tick(item: str) -> str:
    """Append to a file of its own, whose name is the process's number, until told."""
    with (FOLDER / f"{os.getpid()}").open("ab", buffering=0) as marks:
        while not (FOLDER / "enough").exists():
            marks.write(b".")
            time.sleep(0.002)
    return item.upper()


def nested(item: str) -> str:
    return "".join(Parallel(tick, in_processes=2).map_processes([item, "x"]))


def main() -> None:
    shape = sys.argv[1]
    options = eval(f"dict({sys.argv[3]})") if len(sys.argv) > 3 else {}
    (FOLDER / "host").write_text(str(os.getpid()))
    call = Parallel(nested if shape == "nested" else tick, **options)
    try:
        if shape == "thread":
            found: list[str] = []
            thread = Thread(target=lambda: found.extend(call.map_processes(["a", "b"])))
            thread.start()
            thread.join()
        elif shape == "two":
            other: list[str] = []
            thread = Thread(target=lambda: other.extend(call.map_processes(["c"])))
            thread.start()
            found = call.map_processes(["a", "b"])
            thread.join()
            found += other
        else:
            found = call.map_processes(["a", "b"])
    except DeadlineError:
        found = ["DeadlineError"]
    print("found:", *found)


if __name__ == "__main__":
    main()
