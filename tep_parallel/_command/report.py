"""What the command prints: results on standard output, failures on standard error."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from typing import IO, Any

from tep_parallel._errors import ParallelError, message_of
from tep_parallel._outcome import Outcome

# What would end a line or move a terminal's cursor, as Python writes it in a string.
_CONTROLS = {code: repr(chr(code))[1:-1] for code in (*range(32), *range(127, 160))}


class Printer:
    """Both streams as they are now: what a worker's module makes of sys.stdout is its own."""

    def __init__(self) -> None:
        _fill_standard_descriptors()
        self.out = None if sys.stdout is None else os.fdopen(os.dup(sys.stdout.fileno()), "wb")
        self._err = None if sys.stderr is None else os.dup(sys.stderr.fileno())
        self._apart = False

    def keep_apart(self) -> None:
        """From now on standard output is the command's alone: what a worker, its module or a
        process of theirs prints goes to standard error.

        Raises:
            OSError: What had been printed cannot be written.
        """
        self.flush()
        os.dup2(2, 1)
        self._apart = True

    def outcomes(self, outcomes: Iterable[Outcome[str]], *, as_json: bool) -> bool:
        """Print each outcome, a failed one as a line on standard error; whether all are well.

        Args:
            outcomes: In the order of their lines; their items are str.
            as_json: Whether standard output gets every outcome, as JSON, in place of that.

        Raises:
            OSError: Standard output cannot be written to.
        """
        self.flush()
        well = True
        for outcome in outcomes:
            error = outcome.error
            try:
                if as_json:
                    self.put([_json(outcome)])
                elif error is None:
                    self.put([str(outcome.result)])
            except UnicodeEncodeError as unprintable:
                error = unprintable
            if error is not None:
                well = False
                self.complain(failure(str(outcome.item), error))
        return well

    def complain(self, text: str) -> None:
        """Print one line on standard error, after what standard output was given."""
        self.flush()
        line = f"tep-parallel: {text.translate(_CONTROLS)}\n"
        try:
            encoded = os.fsencode(line)
        except UnicodeEncodeError:
            encoded = line.encode("utf-8", "backslashreplace")
        # Where nobody can read it there is nowhere to say so either: the exit status tells. No
        # buffer: what stays in one would be tried again at exit, and change that status.
        if self._err is not None:
            with contextlib.suppress(OSError):
                os.write(self._err, encoded)

    def flush(self) -> None:
        """Write what standard output was given, here and by a worker's module.

        Raises:
            OSError: That cannot be done.
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
                # As below: what nobody can read is no failure, nor may it be one at exit.
                _to_nowhere(stream)
                stream.flush()

    def abandon(self) -> None:
        """What is buffered for standard output, here or by a worker's module, must not be tried
        again at exit."""
        for stream in (self.out, sys.__stdout__):
            if stream is not None and not stream.closed:
                _to_nowhere(stream)

    def close(self) -> None:
        """Give both back; what cannot be written any more has been said."""
        if self.out is not None:
            with contextlib.suppress(OSError):
                self.out.close()
        if self._err is not None:
            os.close(self._err)
            self._err = None

    def put(self, lines: Iterable[str]) -> None:
        """Write them to standard output.

        Raises:
            OSError: That cannot be done.
            UnicodeEncodeError: One has no form that a file could have.
        """
        assert self.out is not None
        # Bytes: a path may be in no encoding at all.
        self.out.write(os.fsencode("".join([f"{line}\n" for line in lines])))


def _fill_standard_descriptors() -> None:
    """Let 0, 1 and 2 be nobody's file where the shell has closed them: what is opened next
    would get such a number, and all that this process starts would read it or print to it."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)  # noqa: FBT003
    os.close(descriptor)


def _to_nowhere(stream: IO[Any]) -> None:
    """Let what is written to it be lost."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


def failure(item: str, error: BaseException) -> str:
    """The item, and what is wrong with it."""
    if isinstance(error, ParallelError):
        reason = message_of(error)
    elif isinstance(error, OSError) and error.filename == item and error.strerror:
        reason = error.strerror
    else:
        reason = ": ".join(filter(None, (type(error).__name__, message_of(error))))
    return f"{item or repr(item)}: {reason}"


def _json(outcome: Outcome[str]) -> str:
    import json

    names = dict.fromkeys(("index", "item", "result", "error", *Outcome.__slots__))
    fields = {name: getattr(outcome, name) for name in names}
    error = outcome.error
    if error is not None:
        fields["error"] = {"type": type(error).__name__, "message": message_of(error)}
    return json.dumps(fields)
