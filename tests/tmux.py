"""A session in tmux, which shows what a person would see: after carriage returns and escapes."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import COMMANDS, LIMIT


class Pane:
    """A shell in tmux."""

    def __init__(self, server: list[str]) -> None:
        self._server = server

    def keys(self, *names: str) -> None:
        """Press keys, as tmux calls them."""
        self._tmux("send-keys", *names)

    def type(self, line: str) -> None:
        """Type a line."""
        self._tmux("send-keys", "-l", line)
        self.keys("Enter")

    def shown(self) -> str:
        """What is on the screen."""
        return self._tmux("capture-pane", "-p")

    def see(self, text: str) -> str:
        """Wait until that is on the screen; all that is there."""
        end = time.monotonic() + LIMIT
        while text not in (shown := self.shown()):
            assert time.monotonic() < end, f"{text!r} is not shown:\n{shown}"
            time.sleep(0.02)
        return shown

    def see_no(self, text: str) -> str:
        """Wait until that is not on the screen; all that is there."""
        end = time.monotonic() + LIMIT
        while text in (shown := self.shown()):
            assert time.monotonic() < end, f"{text!r} is still shown:\n{shown}"
            time.sleep(0.02)
        return shown

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self._server, *arguments], env=COMMANDS, capture_output=True, text=True, check=True
        )
        return done.stdout


@contextlib.contextmanager
def pane(place: Path) -> Iterator[Pane]:
    """One whose server is killed at the end, with all that was started there."""
    tmux = shutil.which("tmux")
    if tmux is None:
        pytest.fail("tmux is missing; `.ci/setup python3 tests` installs it")
    server = [tmux, "-S", str(place / "tmux"), "-f", "/dev/null"]
    shell = "env PS1='ready> ' bash --norc --noprofile -i"
    start = ["new-session", "-d", "-x", "100", "-y", "30", shell]
    environment = {**COMMANDS, "HISTFILE": "/dev/null"}
    subprocess.run([*server, *start], cwd=place, env=environment, check=True)
    there = Pane(server)
    try:
        there.see("ready>")
        yield there
    finally:
        subprocess.run([*server, "kill-server"], env=COMMANDS, check=False)
