"""What children do with the terminal of their host: print there, and be told that it is not
theirs. at_terminal.py WHAT OPTIONS."""

import getpass
import os
import subprocess
import sys
import warnings

from tep_parallel import Parallel


def say(item: str) -> str:
    print("hello from", item, flush=True)
    subprocess.run(["echo", f"{item}'s echo"], check=True)
    return item


def open_it(item: str) -> str:
    os.close(os.open("/dev/tty", os.O_RDWR))
    return "opened"


def ask(item: str) -> str:
    warnings.simplefilter("ignore", getpass.GetPassWarning)
    return getpass.getpass(f"word for {item}: ")


def stty(item: str) -> str:
    with open("/dev/tty", "rb") as terminal:
        subprocess.run(["stty", "-echo"], stdin=terminal, check=True)
    return item


def read(item: str) -> str:
    return item + sys.stdin.read()


work = {"say": say, "open": open_it, "ask": ask, "stty": stty, "read": read}[sys.argv[1]]
for outcome in Parallel(work, **eval(f"dict({sys.argv[2]})")).outcomes(["a", "b"]):
    print("found:", outcome.result, type(outcome.error).__name__)
