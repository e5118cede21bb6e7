"""A terminal for tests: a pty with an interactive bash, at which somebody types."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import sys
import time
from collections.abc import Iterator

from support import CASES, COMMAND, COMMANDS, LIMIT

CTRL_Z = b"\x1a"
CTRL_C = b"\x03"


class Terminal:
    """What is typed there, and what it shows."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._shown = b""
        self._seen = 0  # so much of it has been waited for

    def type(self, text: str | bytes) -> None:
        """Press these keys; a str is a line."""
        keys = text if isinstance(text, bytes) else text.encode() + b"\r"
        os.write(self._descriptor, keys)

    def see(self, text: str) -> str:
        """Wait until it shows `text`; what it has shown since the last time, up to that."""
        end = time.monotonic() + LIMIT
        while (at := self._shown.find(text.encode(), self._seen)) < 0:
            left = end - time.monotonic()
            assert left > 0, f"{text!r} is not shown: {self._shown.decode(errors='replace')}"
            if select.select([self._descriptor], [], [], min(left, 1))[0]:
                self._shown += os.read(self._descriptor, 4096)
        begin, self._seen = self._seen, at + len(text.encode())
        return self._shown[begin : self._seen].decode().replace("\r\n", "\n")

    def run(self, line: str) -> str:
        """Run a command to its end; what it shows, and below it the exit status."""
        self.type(line + "; echo 'over:' $?")
        # What is typed is shown too: there it stands in quotes.
        return self.see("over: ") + self.see("\n")


@contextlib.contextmanager
def terminal() -> Iterator[Terminal]:
    """One that is hung up at the end, with all that was started there."""
    pid, descriptor = pty.fork()
    if pid == 0:
        os.execve(
            "/bin/bash",
            ["bash", "--norc", "--noprofile", "--noediting", "-i"],
            {**COMMANDS, "PS1": "ready> ", "TERM": "dumb", "HISTFILE": "/dev/null"},
        )
    there = Terminal(descriptor)
    try:
        there.see("ready> ")
        yield there
    finally:
        os.kill(pid, signal.SIGHUP)
        os.close(descriptor)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def case(name: str, *arguments: object) -> str:
    """The line that runs a scenario of tests/cases."""
    return " ".join(map(str, (sys.executable, CASES / f"{name}.py", *arguments)))


def command(*arguments: object) -> str:
    """The line that runs the command."""
    return " ".join(map(str, (COMMAND, *arguments)))
