"""The command tep-parallel digest: print the digests of files, or check lists of them."""

from __future__ import annotations

import argparse
import os

from tep_parallel._command import engine, sums
from tep_parallel._command.files import Files, complaint
from tep_parallel._command.given import (
    STANDARD_INPUT,
    WrongUsageError,
    all_of_standard_input,
    content_for,
    pieces,
)
from tep_parallel._command.number import count
from tep_parallel._command.report import Printer, as_line, failure, fields_of
from tep_parallel._file_digest import ALGORITHMS
from tep_parallel._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tep_parallel._outcome import Outcome

_LINES = 1000  # that are made and written at a time: memory that is used again is in a cache
# The options of --check alone, by their names in what was parsed.
_OF_CHECK = {"told": "--quiet, --status and --warn", "strict": "--strict"}
_OF_CHECK["ignore_missing"] = "--ignore-missing"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what may be typed."""
    parser.set_defaults(by_size=True)
    parser.add_argument("words", nargs="*", metavar="PATH", help="a file; -: standard input")
    what = parser.add_argument_group("what is digested")
    what.add_argument(
        "--algorithm",
        choices=ALGORITHMS,
        default=ALGORITHMS[0],
        help="hmac-sha256: PATH HEX a line (default); sha256: as sha256sum prints it",
    )
    what.add_argument(
        "--key-file", metavar="F", help="the key: every byte of this file (default: an empty key)"
    )
    what.add_argument(
        "--files-from", metavar="F", help="the paths: the lines of this file; -: standard input"
    )
    what.add_argument(
        "-0",
        "--null",
        dest="nul",
        action="store_true",
        help="NUL ends a path in that file, no newline",
    )
    what.add_argument(
        "-r",
        "--recursive",
        action="store_true",
        help="of a directory, every regular file below it; symbolic links are not followed",
    )
    what.add_argument(
        "-j",
        "--in-processes",
        type=count,
        metavar="N",
        help="how many children at once; 0: none, all in this process (default: as many as"
        " there are usable CPUs; none for a set that is small)",
    )
    engine.add_argument(what)
    printed = parser.add_argument_group("what is printed")
    printed.add_argument("-u", "--unordered", action="store_true", help="each line as a file ends")
    printed.add_argument(
        "-z",
        "--zero",
        action="store_true",
        help="NUL ends a line, no newline, and no name is escaped; --check: in the lists, too",
    )
    printed.add_argument(
        "--json",
        action="store_true",
        help="print every outcome, as JSON; in a name \\udc80 to \\udcff is a byte, not UTF-8",
    )
    _add_check(parser.add_argument_group("lists"))


def _add_check(lists: argparse._ArgumentGroup) -> None:
    lists.add_argument(
        "-c",
        "--check",
        action="store_true",
        help="the PATHs are lists: verify the digests in them (none: standard input)",
    )
    for name, told in (
        ("quiet", "print no OK"),
        ("status", "print nothing: the exit status says all"),
        ("warn", "say which lines are improperly formatted"),
    ):
        flags = ("-w", "--warn") if name == "warn" else (f"--{name}",)
        lists.add_argument(
            *flags, dest="told", action="store_const", const=name, help=f"--check: {told}"
        )
    lists.add_argument(
        "--strict", action="store_true", help="--check: fail if a line is improperly formatted"
    )
    lists.add_argument(
        "--ignore-missing", action="store_true", help="--check: pass over files that are not there"
    )


def run(options: argparse.Namespace, printer: Printer) -> bool:
    """Run the command. Returns whether all went well.

    Raises:
        WrongUsageError: What was typed cannot be done.
        RefusedError: The system refused what the call needs.
        OSError: Standard output cannot be written to.
    """
    from tep_parallel._engine.digest_job import wanted_kernel

    try:
        wanted_kernel()
    except ValueError as error:
        raise WrongUsageError(str(error)) from error
    key = b""
    if options.key_file is not None:
        if options.algorithm == "sha256":
            msg = "digest: --key-file is for --algorithm hmac-sha256"
            raise WrongUsageError(msg)
        key = content_for("--key-file", options.key_file)
    for name, told in _OF_CHECK.items():
        if getattr(options, name) and not options.check:
            msg = f"digest: {told} {'are' if ' ' in told else 'is'} for --check"
            raise WrongUsageError(msg)
    with engine.place(options) as where:
        return _digest(options, Files(key, options.algorithm, options.in_processes, where), printer)


def _digest(options: argparse.Namespace, files: Files, printer: Printer) -> bool:
    if options.check:
        return _check(options, files, printer)
    names, well = _names(options, printer)
    if options.json or options.unordered:
        return _print_each(names, files, options, printer) and well
    return _print(names, files, options, printer) and well


def _check(options: argparse.Namespace, files: Files, printer: Printer) -> bool:
    others = (options.files_from, options.recursive, options.json, options.nul, options.unordered)
    if any(others):
        msg = "digest: --check takes the paths from its lists, and prints no JSON"
        raise WrongUsageError(msg)
    from tep_parallel._command.check import Check

    return Check(options, files.digests, printer).all(options.words or [STANDARD_INPUT])


def _names(options: argparse.Namespace, printer: Printer) -> tuple[list[bytes], bool]:
    """The files to digest, and whether all directories could be read."""
    words: list[str] = options.words
    if (options.files_from is None) == (not words):
        msg = "digest: name the paths, or --files-from, and not both"
        raise WrongUsageError(msg)
    if options.files_from is None:
        if options.nul:
            msg = "digest: -0 is for --files-from"
            raise WrongUsageError(msg)
        names = list(map(os.fsencode, words))
    else:
        from_input = options.files_from == STANDARD_INPUT
        content = (
            all_of_standard_input("--files-from")
            if from_input
            else content_for("--files-from", options.files_from)
        )
        names = pieces(content, nul=options.nul)
        if b"-" in names:  # in that file, it is the name of a file
            names = [b"./-" if name == b"-" else name for name in names]
    if not options.recursive:
        return names, True
    from tep_parallel._command.tree import files_below

    unlisted: list[bytes] = []

    def failed(path: bytes, error: OSError) -> None:
        unlisted.append(path)
        printer.complain(failure(os.fsdecode(path), error))

    files: list[bytes] = []
    for name in names:
        if name != b"-" and b"\0" not in name and os.path.isdir(name):
            files += files_below(name, failed)
        else:
            files.append(name)
    return files, not unlisted


def _print(names: list[bytes], files: Files, options: argparse.Namespace, printer: Printer) -> bool:
    digests = files.digests(names)
    begun = 0

    def put(last: int) -> None:
        for first in range(begun, last, _LINES):
            some = slice(first, min(first + _LINES, last))
            found: list[str] = digests[some]  # type: ignore[assignment]  # no exceptions
            printer.add(sums.lines(names[some], found, options.algorithm, nul=options.zero))

    failed = [at for at, digest in enumerate(digests) if not isinstance(digest, str)]
    for at in failed:
        put(at)
        begun = at + 1
        error = digests[at]
        assert isinstance(error, BaseException)
        printer.complain(complaint(names[at], error))
    put(len(names))
    return not failed


def _print_each(
    names: list[bytes], files: Files, options: argparse.Namespace, printer: Printer
) -> bool:
    """Print the outcome of each file, as JSON, or its line."""
    outcomes: list[Outcome[str]] = []
    well = True
    end = b"\0" if options.zero else b"\n"

    def put(outcome: Outcome[str]) -> None:
        nonlocal well
        name, error = names[outcome.index], outcome.error
        if options.json:
            printer.add(as_line(fields_of(outcome)).encode("ascii") + end)
        elif error is None:
            digest = str(outcome.result)
            printer.add(sums.lines([name], [digest], options.algorithm, nul=options.zero))
        if error is not None:
            well = False
            printer.complain(complaint(name, error))
        elif options.unordered:
            printer.flush()

    files.outcomes(names, put if options.unordered else outcomes.append)
    for outcome in sorted(outcomes, key=lambda one: one.index):
        put(outcome)
    return well
