"""Items that wait until they may go on; something else happens meanwhile.
waits.py ENGINE ITEMS OPTIONS"""

import json
import os
import sys
import time
from pathlib import Path

from engines import named_engine

from tep_parallel import Parallel

HERE = os.getcwd()


def work(item):
    with (Path(HERE) / "begun").open("a") as file:
        file.write(f"{os.getpid()}\n")
    while not (Path(HERE) / "go").exists():
        time.sleep(0.01)
    return f"{item} {os.getppid()}"


if __name__ == "__main__":
    options = {"in_processes": 2, **json.loads(sys.argv[3])}
    with named_engine() as executor:
        call = Parallel(work, executor=executor, **options)
        begun = time.monotonic()
        try:
            outcomes = call.outcomes(range(int(sys.argv[2])))
        except Exception as error:
            print(type(error).__name__, str(error).replace("\n", " ")[:300])
            print(f"{time.monotonic() - begun:.1f}")
        else:
            for outcome in outcomes:
                print(outcome.index, repr(outcome.error) if outcome.error else outcome.result)
