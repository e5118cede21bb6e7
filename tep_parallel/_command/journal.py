"""The journal of `map` and `run`: which items have ended, a line of JSON each.

It can be read after the command was killed at any moment. A line is written after the output of
its item, so that no result is lost; and what is no whole line is not believed.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import stat

from tep_parallel._command.given import RefusedError, WrongUsageError
from tep_parallel._command.report import error_of
from tep_parallel._outcome import Outcome
from tep_parallel._typing import Any, NoReturn

_FORMAT = 1
_FIELDS = ("seconds", "cpu_seconds", "max_rss", "exit_code", "signal", "attempts")


class Journal:
    """A file that says which items have ended.

    One command at a time has it. The lock is of this process, and no child inherits it: a child
    may live a moment longer than a command that is killed.

    Args:
        path: The file; it is made if it is not there.
        command: What makes the output of an item what it is: the command and those of its
            options. A journal is of one such command.
        goes_on: Whether it may have been begun.
        writes: Whether it is to be written; otherwise it is left as it is, or not made.

    Attributes:
        failed: The items that have not ended well, by index.
        broken: How many lines in it are not whole.

    Raises:
        WrongUsageError: It is no journal, that of something else, or somebody else's just now;
            or it has been begun, and must not have been.
        RefusedError: It cannot be written.
    """

    def __init__(
        self, path: str, command: list[str], *, goes_on: bool, writes: bool = True
    ) -> None:
        self.failed: dict[int, str] = {}
        self.broken = 0
        self._path = path
        self._well: dict[int, int] = {}  # of those that have ended well: index, and hash of text
        self._lines: list[bytes] = []  # yet to be written
        text = json.dumps(command)
        head = {"journal": _FORMAT, "command": command, "sha256": _sha256(text)}
        self._head = f"{json.dumps(head)}\n".encode()
        self._writes = writes
        self._descriptor = self._opened()
        if self._descriptor < 0:
            return
        try:
            self._begin(goes_on=goes_on)
        except BaseException:
            self.close()
            raise

    def is_done(self, index: int, item: str) -> bool:
        """Whether an item has ended well.

        Raises:
            WrongUsageError: It is not the item that had this index.
        """
        if index in self._well:
            done = True
            same = self._well[index] == hash(item)
        else:
            done = False
            same = self.failed.get(index, item) == item
        if not same:
            self._refuse(f"item {index} was another one when it was written: {item!r} is new")
        return done

    def note(self, index: int, outcome: Outcome[Any], error: BaseException | None) -> None:
        """An item has ended; `flush` writes that.

        Args:
            index: The item's place in the input.
            outcome: What became of it.
            error: Why it failed; None: it ended well.
        """
        line: dict[str, Any] = {"index": index, "item": outcome.item}
        line["status"] = "ok" if error is None else "failed"
        line.update((name, getattr(outcome, name)) for name in _FIELDS)
        line["error"] = error and error_of(error)
        self._lines.append(json.dumps(line).encode())

    def flush(self) -> None:
        """Write what was noted. The output of those items has been written before.

        It is not forced to the disk. A line is safe from the end of the command, however that
        comes. The output is no safer from the end of the machine, so that would be of no use.

        Raises:
            RefusedError: It cannot be written.
        """
        if self._lines:
            self._lines.append(b"")
            content = b"\n".join(self._lines)
            self._lines.clear()
            self._write(content)

    def close(self) -> None:
        """Let others have it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def _opened(self) -> int:
        """Its descriptor; -1: there is none, and none is to be made."""
        try:
            how = os.O_RDWR | os.O_APPEND | os.O_CREAT if self._writes else os.O_RDONLY
            return os.open(self._path, how | os.O_CLOEXEC | os.O_NONBLOCK, 0o666)
        except FileNotFoundError as error:
            if self._writes:
                self._refuse(str(error.strerror))
        except OSError as error:
            self._refuse(str(error.strerror))
        return -1

    def _begin(self, *, goes_on: bool) -> None:
        descriptor = self._descriptor
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            self._refuse("this is no regular file")
        if self._writes:
            self._lock()
        with open(descriptor, "rb", closefd=False) as file:
            head = file.readline()
            begun = bool(file.peek(1))
            if begun and not goes_on:
                self._refuse("it has been begun (--resume goes on with it)")
            if head != self._head:
                self._replace(head, begun=begun)
            for line in file:
                if not line.endswith(b"\n"):
                    self._write(b"\n")
                self._believe(line)

    def _lock(self) -> None:
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            taken = error.errno in (errno.EAGAIN, errno.EACCES)
            self._refuse("another command has it" if taken else str(error.strerror))

    def _replace(self, head: bytes, *, begun: bool) -> None:
        """Begin it, if nothing is lost by that: where it is empty, or no item is in it. It may
        have half a first line, if the command was killed while it wrote that."""
        command = _command_of(head)
        if begun or (command is None and not self._head.startswith(head)):
            if command is None:
                self._refuse("this is no journal")
            self._refuse(f"it is that of another command: {command}")
        if self._writes:
            os.ftruncate(self._descriptor, 0)
            self._write(self._head)

    def _believe(self, line: bytes) -> None:
        """Take note of a line of an earlier command, if it is whole."""
        try:
            found = json.loads(line) if line.endswith(b"\n") else {}
        except (ValueError, RecursionError):
            found = {}
        found = found if isinstance(found, dict) else {}
        index, item = found.get("index"), found.get("item")
        if type(index) is not int or not isinstance(item, str):
            self.broken += 1
            return
        if found.get("status") == "ok":
            self._well[index] = hash(item)
            self.failed.pop(index, None)
        elif index not in self._well:
            self.failed[index] = item

    def _write(self, content: bytes) -> None:
        if not self._writes:
            return
        try:
            while content:
                content = content[os.write(self._descriptor, content) :]
        except OSError as error:
            msg = f"--journal: {self._path}: {error.strerror}"
            raise RefusedError(msg) from error

    def _refuse(self, why: str) -> NoReturn:
        msg = f"--journal: {self._path}: {why}"
        raise WrongUsageError(msg)


def _command_of(head: bytes) -> str | None:
    """What a first line says; None: it is not that of a journal."""
    try:
        found = json.loads(head)
        return " ".join(map(str, found["command"])) if "journal" in found else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
