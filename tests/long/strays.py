"""Stray stores, as a stray pointer makes them: for scribble.py."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import sys
import threading
import time
from pathlib import Path

# What one child may do; "left" is a process that it leaves behind, in a loop.
HOWS = ["word", "word", "word", "words", "sweep", "memset", "loop", "left", "clocks", "memory"]


def spans(pid: int | str = "self") -> list[tuple[int, int]]:
    """The shared memory of a process: the page first, then windows on a pool's memory."""
    found: list[tuple[int, int]] = []
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        page = line.endswith("/dev/zero (deleted)")
        if " rw-s " in line and (page or "tep-results" in line):
            start, end = (int(text, 16) for text in line.split()[0].split("-"))
            found.insert(0 if page else len(found), (start, end))
    return found


class Scribbler:
    """Stores, as one seed chooses them.

    Args:
        chance: Where what follows comes from.
        pids: Processes that the host has beside the call.
        count: The call's items.
    """

    def __init__(self, chance: random.Random, pids: list[int], count: int) -> None:
        self.chance = chance
        self.pids = [*pids, os.getpid(), os.getppid()]
        self.count = count

    def value(self, near: int) -> int:
        """Something that a stray may store over `near`."""
        chance = self.chance
        kinds = [
            chance.choice([0, 1, 2, 3, 255, 4096]),
            chance.randrange(self.count + 3),
            chance.randrange(8) | chance.randrange(self.count + 3) << 3,
            -1 << chance.choice([0, 3, 16, 31, 63]),
            chance.choice([2**31, 2**32, 2**63]) - chance.randrange(2),
            chance.choice(self.pids),
            near + chance.choice([-64, -8, -1, 1, 8, 64]),
            near ^ 1 << chance.randrange(64),
            time.monotonic_ns() + chance.choice([-(10**12), -(10**8), 0, 10**12]),
            chance.getrandbits(64),
        ]
        return chance.choice(kinds) & 2**64 - 1

    def bytes_over(self, old: bytes) -> bytes:
        """What to store over a word."""
        return self.value(int.from_bytes(old, sys.byteorder)).to_bytes(8, sys.byteorder)[: len(old)]

    def store(self, at: int, size: int) -> None:
        """One store, at an address of this process's."""
        ctypes.memmove(at, self.bytes_over(ctypes.string_at(at, size)), size)

    def run(self, how: str) -> None:
        """Scribble, in one of HOWS."""
        chance, found = self.chance, spans()
        start, end = found[0]
        # Most of a page is beyond the last word.
        end = min(end, start + chance.choice([128, 512, 2048, 1 << 20]))
        size = chance.choice([1, 2, 4, 4, 8, 8])
        words = range(start, end, size)
        if how == "word":
            self.store(chance.choice(words), size)
        elif how == "words":
            for at in chance.sample(words, min(len(words), 20)):
                self.store(at, size)
        elif how == "sweep":
            for at in words:
                self.store(at, size)
        elif how == "memset":
            at = chance.choice([start, chance.choice(words)])
            length = chance.choice([size, 64, end - at])
            ctypes.memset(at, chance.choice([0, 1, 255]), min(length, end - at))
        elif how in ("loop", "left"):
            if how == "left" and os.fork() != 0:
                return
            chosen = [chance.choice(words) for _ in range(chance.choice([1, 4, 100]))]
            until = time.monotonic() + chance.choice([0.05, 1.0])
            while time.monotonic() < until:
                self.store(chance.choice(chosen), size)
            if how == "left":
                os._exit(0)
        elif how == "clocks":
            self.clocks()
        else:
            self.memory(found[1:])

    def clocks(self) -> None:
        """Over what can be a time of now, wherever it stands."""
        now = time.monotonic_ns()
        start, end = spans()[0]
        for at in range(start, end, 8):
            word = ctypes.c_int64.from_address(at)
            if now - 10**10 < word.value <= time.monotonic_ns():
                word.value = self.chance.choice([0, 1, -1, now + 10**15, now, 2**63 - 1])

    def memory(self, windows: list[tuple[int, int]]) -> None:
        """Over what a pool has written, and how large the file is."""
        for start, end in windows:
            for _ in range(50):
                self.store(self.chance.randrange(start, end - 8), 8)
        for name in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                if "tep-results" in os.readlink(f"/proc/self/fd/{name}"):
                    at = self.chance.choice([1 << 20, 1 << 31, 1 << 40])
                    os.pwrite(int(name), self.chance.randbytes(100), at)
                    os.ftruncate(int(name), at << 1)


def below(pid: int) -> list[int]:
    """The processes below `pid`, as far as they can be seen."""
    found = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *below(int(child))]
    return found


def scribble_from_outside(scribbler: Scribbler, over: threading.Event) -> None:
    """Into the page of children that run no Python, by /proc."""
    while not over.wait(0.001):
        for pid in below(os.getpid()):
            with contextlib.suppress(OSError, IndexError, ValueError):
                if not Path(f"/proc/{pid}/comm").read_text().startswith("tep-child"):
                    continue
                start, end = spans(pid)[0]
                with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
                    for _ in range(20):
                        at = scribbler.chance.randrange(start, min(end, start + 2048), 8)
                        memory.seek(at)
                        old = memory.read(scribbler.chance.choice([1, 4, 8]))
                        memory.seek(at)
                        memory.write(scribbler.bytes_over(old))


def members(session: int) -> list[str]:
    """What is left of the processes that one host has started, with what they do."""
    found = []
    for number in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            name, _, fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")
            state, parent, _, its = fields.split()[:4]
            if int(its) == session and state != "Z":
                found.append(f"{name}) {state}, of {parent}")
    return found
