"""An item kills the engine's worker below which it runs, the first time. lost.py ENGINE"""

import os
import signal
import sys
from pathlib import Path

from engines import named_engine

from tep_parallel import Parallel

HERE = os.getcwd()


def engine_worker():
    """The process below which this child, its nursery and their server are."""
    pid = os.getppid()
    while Path(f"/proc/{pid}/comm").read_text().startswith("tep-"):
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return pid


def work(item):
    if item == 3:
        try:
            Path(HERE, "killed").touch(exist_ok=False)
        except FileExistsError:
            return "again"
        os.kill(engine_worker(), signal.SIGKILL)
        signal.pause()
    return str(item)


if __name__ == "__main__":
    with named_engine() as executor:
        how = {"executor": executor, "in_processes": 2, "chunk_size": 4}
        try:
            results = Parallel(work, **how).map_processes(range(20))
        except Exception as error:
            print(type(error).__name__, str(error).replace("\n", " "))
            sys.stdout.flush()
        else:
            assert results == ["again" if item == 3 else str(item) for item in range(20)]
            print("sent again")
