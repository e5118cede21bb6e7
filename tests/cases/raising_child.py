"""Whatever is raised in a child, the program after the call runs once, in the host only."""

import atexit
import os
import sys
import threading

from kept import Parallel

host = os.getpid()
atexit.register(lambda: print("exit handler", os.getpid() == host))


class Odd(BaseException):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def work(item: str) -> str:
    if item == "exit":
        sys.exit("bye")
    if item == "interrupt":
        raise KeyboardInterrupt
    if item == "odd":
        raise Odd
    if item == "recursion":
        return work(item)
    if item == "memory":
        raise MemoryError
    if item == "thread":
        # No child waits for a daemon.
        threading.Thread(target=work, args=("wait",), daemon=True).start()
    if item == "wait":
        threading.Event().wait(60)
    return item


items = ["exit", "interrupt", "odd", "recursion", "memory", "thread", "fine"]
for outcome in Parallel(work).outcomes(items):
    print(outcome.item, type(outcome.error).__name__, outcome.exit_code)
print("after", os.getpid() == host)
