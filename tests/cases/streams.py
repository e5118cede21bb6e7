"""What is printed in children and hosts arrives once, and in whole lines.

    streams.py alone | threads

The output is a pipe, so all streams are block-buffered. Standard input has been read from.
"""

import sys
import threading
import time

from kept import Parallel


def work(item: str) -> str:
    read = sys.stdin.read() + open(0).read()
    print(f"child {item} read {read!r}")
    sys.stderr.write(f"no line end {item};")
    return item


if sys.argv[1] == "threads":
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
print("host before")
sys.stdin.readline()
Parallel(work).map_processes(["a", "b"])
print("host after", sys.stdin.readline().strip())
