"""The digests of what a command line names: of files, and of standard input."""

from __future__ import annotations

import os
import sys

from tep_parallel._command.given import STANDARD_INPUT, asking_the_system, standard_input
from tep_parallel._command.report import failure
from tep_parallel._digest import digest_files, with_exceptions
from tep_parallel._engine.options import BY_SIZE, Options
from tep_parallel._file_digest import FileDigest, job_of
from tep_parallel._outcome import Outcome
from tep_parallel._typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tep_parallel._file_digest import Algorithm
    from tep_parallel._parallel import Parallel

_DASH = os.fsencode(STANDARD_INPUT)


class Files:
    """How files are digested.

    Args:
        key: Of HMAC.
        algorithm: See FileDigest.
        count: How many children; None: as digest_files has it.
        where: The arguments of Parallel for files of other machines; empty: they are here.
    """

    def __init__(
        self, key: bytes, algorithm: Algorithm, count: int | None, where: dict[str, Any]
    ) -> None:
        self._key = key
        self._algorithm = algorithm
        self._count = count
        self._where = where

    def digests(self, names: list[bytes]) -> list[str | BaseException]:
        """The digest of each file, or its exception.

        Raises:
            RefusedError: The system refused what the call needs.
        """
        plain = _DASH not in names and b"\0" not in b"".join(names)
        files = names if plain else [name for name in names if _is_file(name)]
        with asking_the_system():
            found = self._digests(files)
        if plain:
            return found
        others = iter(found)
        return [next(others) if _is_file(name) else self._other(name) for name in names]

    def _digests(self, files: list[bytes]) -> list[str | BaseException]:
        if self._where:
            return [one.error or str(one.result) for one in self._fan_out().outcomes(files)]
        progress = _progress()
        if self._count is None and progress:  # a small set needs no bar
            from tep_parallel._engine.small import digested_here

            worker = FileDigest(self._key, algorithm=self._algorithm)
            job = job_of(worker, files, None)
            small = digested_here(job, files, Options(), "finish") if files else None
            if small is not None:
                return with_exceptions(*small.results(every=True))
        return digest_files(
            files,
            self._key,
            algorithm=self._algorithm,
            in_processes=BY_SIZE if self._count is None else self._count,
            progress=progress,
            return_exceptions=True,
        )

    def _other(self, name: bytes) -> str | BaseException:
        if name != _DASH:
            return ValueError("no file's name has a NUL in it")
        outcome = self._of_standard_input()
        return outcome.error or str(outcome.result)

    def outcomes(self, names: list[bytes], each: Callable[[Outcome[str]], None]) -> None:
        """Tell of the Outcome of each file as it ends, and then of standard input.

        Args:
            names: Those of the files.
            each: Is told. The item is the name as text.

        Raises:
            OSError: `each` raised it.
            RefusedError: The system refused what the call needs.
        """
        numbers = [number for number, name in enumerate(names) if _is_file(name)]
        unwritten: list[OSError] = []

        def tell(outcome: Outcome[str]) -> None:
            try:
                each(_placed(outcome, numbers[outcome.index], names))
            except OSError as error:
                unwritten.append(error)
                raise

        try:
            with asking_the_system():
                self._fan_out(on_finish=tell).outcomes([names[number] for number in numbers])
        except BaseException:
            if unwritten:
                raise unwritten[0] from None
            raise
        for number, name in enumerate(names):
            if not _is_file(name):
                each(_placed(self._other_outcome(name), number, names))

    def _fan_out(self, **hooks: Any) -> Parallel[str, str]:
        from tep_parallel._engine.arguments import InBytes
        from tep_parallel._parallel import Parallel

        worker = FileDigest(self._key, algorithm=self._algorithm)
        if self._where:  # there it is files that are counted
            return Parallel(worker, progress=_progress(), **hooks, **self._where)
        count = True if self._count is None else self._count
        return Parallel(worker, in_processes=count, progress=InBytes(_progress()), **hooks)

    def _other_outcome(self, name: bytes) -> Outcome[str]:
        if name == _DASH:
            return self._of_standard_input()
        error = self._other(name)
        assert isinstance(error, BaseException)
        return Outcome(0, name, error=error)

    def _of_standard_input(self) -> Outcome[str]:
        """The Outcome of standard input, which only this process can read."""
        from tep_parallel._parallel import Parallel

        return Parallel(self._digest_input, in_processes=0).outcomes([STANDARD_INPUT])[0]

    def _digest_input(self, name: str) -> str:
        import hashlib
        import hmac

        plain = self._algorithm == "sha256"
        state: Any = hashlib.sha256() if plain else hmac.new(self._key, digestmod="sha256")
        try:
            for piece in standard_input():
                state.update(piece)
        except OSError as error:
            raise OSError(error.errno, f"standard input: {error.strerror}", name) from error
        return str(state.hexdigest())


def text_of(name: bytes) -> str:
    """A name as JSON has it, in whatever encoding the terminal is.

    Any name can be read back: `text.encode("utf-8", "surrogateescape")`.
    """
    return name.decode("utf-8", "surrogateescape")


def complaint(name: bytes, error: BaseException) -> str:
    """The line that says that the digest of a file failed, and why."""
    text = os.fsdecode(name)
    if isinstance(error, OSError) and error.filename == name:
        error.filename = text
    return failure(text, error)


def _is_file(name: bytes) -> bool:
    return name != _DASH and b"\0" not in name


def _placed(outcome: Outcome[str], number: int, names: list[bytes]) -> Outcome[str]:
    fields: dict[str, Any] = {name: getattr(outcome, name) for name in Outcome.__slots__}
    return Outcome(**{**fields, "index": number, "item": text_of(names[number])})


def _progress() -> bool:
    """Whether to show a bar: standard error is a terminal, and tqdm is installed."""
    if sys.stderr is None or not sys.stderr.isatty():
        return False
    from importlib.util import find_spec

    return find_spec("tqdm") is not None
