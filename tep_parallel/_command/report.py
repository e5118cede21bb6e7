"""What the command prints: results on standard output, failures on standard error."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable

from tep_parallel._typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tep_parallel._outcome import Outcome

_LONG = 200  # characters
# Characters that would end a line or move a terminal's cursor, as Python escapes them.
CONTROLS = {code: repr(chr(code))[1:-1] for code in (*range(32), *range(127, 160))}


class Printer:
    """Standard output and error as they are now. A worker's module may change sys.stdout later."""

    def __init__(self) -> None:
        _fill_standard_descriptors()
        self.out = None if sys.stdout is None else os.fdopen(os.dup(sys.stdout.fileno()), "wb")
        self._err = None if sys.stderr is None else os.dup(sys.stderr.fileno())
        self._apart = False

    def keep_apart(self) -> None:
        """Send to standard error what a worker, its module or their processes print from now
        on. Standard output is for the command alone.

        Raises:
            OSError: What was printed before cannot be written.
        """
        self.flush()
        os.dup2(2, 1)
        self._apart = True

    def outcomes(self, outcomes: Iterable[Outcome[str]], *, as_json: bool) -> bool:
        """Print each result, and each failure as a line on standard error. Returns whether
        none failed.

        Args:
            outcomes: In the order of their lines; their items are str.
            as_json: Whether to print every outcome as JSON, in place of its result.

        Raises:
            OSError: Standard output cannot be written to.
        """
        self.flush()
        well = True
        for outcome in outcomes:
            error = outcome.error
            try:
                if as_json:
                    self.put([as_line(fields_of(outcome))])
                elif error is None:
                    self.put([str(outcome.result)])
            except UnicodeEncodeError as unprintable:
                error = unprintable
            if error is not None:
                well = False
                self.complain(failure(str(outcome.item), error))
        return well

    def complain(self, text: str) -> None:
        """Print one line on standard error, after all that goes to standard output before it."""
        self.flush()
        line = f"tep-parallel: {text.translate(CONTROLS)}\n"
        try:
            encoded = os.fsencode(line)
        except UnicodeEncodeError:
            encoded = line.encode("utf-8", "backslashreplace")
        # If standard error cannot be written to, only the exit status can tell. There is no
        # buffer: at exit Python would flush it once more, fail, and change the status.
        if self._err is not None:
            with contextlib.suppress(OSError):
                _write(self._err, encoded)

    def flush(self) -> None:
        """Write what is buffered for standard output, by this object or a worker's module.

        Raises:
            OSError: It cannot be written.
        """
        if self.out is not None:
            self.out.flush()
        stream = sys.__stdout__
        if stream is not None and not stream.closed:
            try:
                stream.flush()
            except OSError:
                if not self._apart:
                    raise
                # This is standard error by now: see complain.
                _to_nowhere(stream)
                stream.flush()

    def abandon(self) -> None:
        """Drop what is buffered for standard output, so that Python does not write it at exit."""
        for stream in (self.out, sys.__stdout__):
            if stream is not None and not stream.closed:
                _to_nowhere(stream)

    def close(self) -> None:
        """Close both. If something could not be written, that has been reported already."""
        if self.out is not None:
            with contextlib.suppress(OSError):
                self.out.close()
        if self._err is not None:
            os.close(self._err)
            self._err = None

    def add(self, content: bytes) -> None:
        """Write to standard output, with what is buffered.

        Raises:
            OSError: It cannot be written.
        """
        assert self.out is not None
        self.out.write(content)

    def write(self, content: bytes) -> None:
        """Write to standard output what is not buffered, also if that is in non-blocking mode.

        Raises:
            OSError: It cannot be written.
        """
        assert self.out is not None
        self.flush()
        _write(self.out.fileno(), content)

    def write_error(self, content: bytes) -> None:
        """Write to standard error, as far as that can be written to: see complain."""
        if self._err is not None:
            with contextlib.suppress(OSError):
                _write(self._err, content)

    def end_last_line(self, end: bytes) -> None:
        """End the last line of a file that is appended to: a command that was killed may have
        left half of it there.

        Raises:
            OSError: It cannot be written.
        """
        import fcntl  # few calls need it
        import stat

        assert self.out is not None
        descriptor = self.out.fileno()
        found = os.fstat(descriptor)
        appends = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_APPEND
        if not stat.S_ISREG(found.st_mode) or not appends or found.st_size == 0:
            return
        try:
            with open(f"/proc/self/fd/{descriptor}", "rb") as file:
                last = os.pread(file.fileno(), 1, found.st_size - 1)
        except OSError:  # it may be written, and not read
            last = b""
        if last != end:
            self.write(end)

    def put(self, lines: Iterable[str]) -> None:
        """Write lines to standard output.

        Raises:
            OSError: They cannot be written.
            UnicodeEncodeError: A line has characters that have no encoding.
        """
        assert self.out is not None
        # As bytes: a path may be in no encoding.
        self.out.write(os.fsencode("".join([f"{line}\n" for line in lines])))


def _write(descriptor: int, content: bytes) -> None:
    """Write all of it, also in non-blocking mode."""
    left = memoryview(content)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:
            import select  # few calls need it

            select.select([], [descriptor], [])


def _fill_standard_descriptors() -> None:
    """Open /dev/null for those of 0, 1 and 2 that the shell has closed.

    Otherwise the next file that is opened gets such a number, and all processes that this one
    starts would read it or print to it.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)  # noqa: FBT003
    os.close(descriptor)


def _to_nowhere(stream: IO[Any]) -> None:
    """Let what is written to a stream be lost."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


def failure(item: str, error: BaseException) -> str:
    """The line that says which item failed, and why."""
    from tep_parallel._errors import ParallelError, message_of  # few calls need it

    if isinstance(error, ParallelError):
        reason = message_of(error)
    elif isinstance(error, OSError) and error.filename == item and error.strerror:
        reason = error.strerror
    else:
        reason = ": ".join(filter(None, (type(error).__name__, message_of(error))))
    return f"{item or repr(item)}: {reason}"


def fields_of(outcome: Outcome[Any]) -> dict[str, Any]:
    """An outcome, as JSON has it."""
    from tep_parallel._outcome import Outcome

    names = dict.fromkeys(("index", "item", "result", "error", *Outcome.__slots__))
    fields = {name: getattr(outcome, name) for name in names}
    if outcome.error is not None:
        fields["error"] = error_of(outcome.error)
    return fields


def error_of(error: BaseException) -> dict[str, str]:
    """An exception, as JSON has it."""
    from tep_parallel._errors import message_of

    return {"type": type(error).__name__, "message": message_of(error)}


def as_line(fields: object) -> str:
    """The same on one line, in ASCII."""
    import json  # few commands need it

    return json.dumps(fields)


def shortened(item: str) -> str:
    """An item, or the beginning of a long one, for a line that somebody reads."""
    if len(item) <= _LONG:
        return item
    return f"{item[:_LONG]}... ({len(item)} characters)"
