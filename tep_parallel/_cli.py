"""The command tep-parallel: what may be typed, and what is done then."""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from tep_parallel._counting import processor_count
from tep_parallel._outcome import Outcome
from tep_parallel._parallel import Parallel
from tep_parallel._report import Printer, digest_line, failure, result_line
from tep_parallel._version import __version__
from tep_parallel._worker import ParallelWorker, Process

_ALL_WELL, _ITEM_FAILED, _WRONG_USAGE = 0, 1, 2


class _WrongUsageError(Exception):
    """What was typed cannot be done; the message says why."""


def run(arguments: list[str]) -> int:
    """Run the command.

    Args:
        arguments: Those after the command's name.

    Returns:
        The exit status: 0 all well, 1 an item or the output failed, 2 wrong usage.
    """
    printer = Printer()
    try:
        options = _parsed(arguments)
        if printer.out is None:  # the shell's >&-
            printer.complain("standard output is closed")
            return _ITEM_FAILED
        command: Callable[[argparse.Namespace, Printer], int] = options.run
        status = command(options, printer)
        printer.flush()
    except _WrongUsageError as error:
        printer.complain(str(error))
        return _WRONG_USAGE
    except OSError as error:
        printer.abandon()
        if not isinstance(error, BrokenPipeError):  # else the reader has had enough
            printer.complain(f"standard output: {error.strerror}")
        return _ITEM_FAILED
    return status


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        msg = f"{message} ({self.prog} --help tells more)"
        raise _WrongUsageError(msg)


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = _Parser(
        prog="tep-parallel",
        description="Fan work out to child processes, one for each item.",
        epilog="exit status: 0 all well, 1 an item failed, 2 wrong usage",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    digest = commands.add_parser(
        "digest",
        allow_abbrev=False,  # --key is not --key-file
        help="print the HMAC-SHA256 of each file",
        description="Print PATH and HMAC-SHA256 of each file, a line a file, in input order."
        " A path with a newline or a backslash is escaped as sha256sum does.",
        epilog="example: tep-parallel digest --key-file secret.key /etc/hosts /etc/passwd",
    )
    digest.set_defaults(run=_digest)
    digest.add_argument("words", nargs="*", metavar="PATH")
    digest.add_argument(
        "--key-file", metavar="F", help="the key: every byte of this file (default: an empty key)"
    )
    digest.add_argument(
        "--files-from", metavar="F", help="the paths: the lines of this file; -: standard input"
    )

    map_ = commands.add_parser(
        "map",
        allow_abbrev=False,
        usage="%(prog)s [-h] [-0] [--json] [--in-processes N] MODULE:NAME [ITEM ...]",
        help="run a worker on each item, and print its results",
        description="Run a ParallelWorker class, or a function, on each item, and print its"
        " results, a line each, in input order.",
        epilog="example: ls | tep-parallel map os.path:abspath",
    )
    map_.set_defaults(run=_map)
    map_.add_argument(
        "words",
        nargs="*",
        metavar="MODULE:NAME ITEM",
        help="a module, which may be in this directory, and a name in it; and the items (none:"
        " the lines of standard input)",
    )

    for command in (digest, map_):
        command.add_argument(
            "-0", dest="nul", action="store_true", help="NUL ends an item that is read, no newline"
        )
        command.add_argument("--json", action="store_true", help="print every outcome, as JSON")
        command.add_argument(
            "--in-processes",
            type=_count,
            metavar="N",
            default=processor_count(),
            help="how many children at once; 0: none, all in this process (default: %(default)s,"
            " the usable CPUs)",
        )
    if not arguments or arguments[0] not in commands.choices:
        return parser.parse_args(arguments)
    # Options may follow the items, and none the first `--`: argparse alone knows not how.
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options = commands.choices[arguments[0]].parse_intermixed_args(arguments[1:end])
    options.words += arguments[end + 1 :]
    return options


def _count(text: str) -> int:
    try:
        count = int(text)
    except ValueError:
        count = -1
    if count < 0:
        msg = f"expected 0 or more, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return count


def _digest(options: argparse.Namespace, printer: Printer) -> int:
    from tep_parallel._digest import Digest

    items = options.words
    if (options.files_from is None) == (not items):
        msg = "digest: name the paths, or --files-from, and not both"
        raise _WrongUsageError(msg)
    if options.files_from == "-":
        items = _split(_standard_input("--files-from"), nul=options.nul)
    elif options.files_from is not None:
        items = _split(_content(options.files_from, "--files-from"), nul=options.nul)
    elif options.nul:
        msg = "digest: -0 is for --files-from"
        raise _WrongUsageError(msg)
    key = b"" if options.key_file is None else _content(options.key_file, "--key-file")
    return _fan_out(Digest(key), items, options, printer, digest_line)


def _map(options: argparse.Namespace, printer: Printer) -> int:
    if not options.words:
        msg = "map: MODULE:NAME is missing (tep-parallel map --help tells more)"
        raise _WrongUsageError(msg)
    target, *items = options.words
    if items and options.nul:
        msg = "map: -0 is for items from standard input"
        raise _WrongUsageError(msg)
    worker = _worker(target)
    items = items or _split(_standard_input("items"), nul=options.nul)
    return _fan_out(worker, items, options, printer, result_line)


def _fan_out(
    worker: ParallelWorker | Process,
    items: list[str],
    options: argparse.Namespace,
    printer: Printer,
    line: Callable[[Outcome[str]], str],
) -> int:
    try:
        fan_out = Parallel(worker, in_processes=options.in_processes, isolation=True)
    except TypeError as error:
        raise _WrongUsageError(str(error)) from error
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # see __main__
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        outcomes = fan_out.outcomes(items)
    except OSError as error:
        printer.complain(str(error))
        return _ITEM_FAILED
    well = printer.outcomes(outcomes, line, as_json=options.json)
    return _ALL_WELL if well else _ITEM_FAILED


def _worker(target: str) -> ParallelWorker | Process:
    """What MODULE:NAME stands for; of a class of workers, an instance."""
    # What is loaded later must not be found in the current directory: all of it here.
    import json  # noqa: F401
    from importlib import import_module

    from tep_parallel import _forked, _serial  # noqa: F401

    module_name, _, name = target.partition(":")
    if not module_name or not name:
        msg = f"map: expected MODULE:NAME, got {target!r}"
        raise _WrongUsageError(msg)
    sys.path.insert(0, "")  # the current directory
    doing = f"importing {module_name}"
    try:
        found = import_module(module_name)
        doing = f"looking for {name} in {module_name}"
        for part in name.split("."):
            found = getattr(found, part)
        doing = f"making a {name}"
        if isinstance(found, type) and issubclass(found, ParallelWorker):
            return found()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a module may raise anything, and SystemExit is usual
        raise _WrongUsageError(failure(doing, error)) from error
    return found  # type: ignore[return-value]  # Parallel refuses what is no worker


def _content(path: str, what: str) -> bytes:
    """Every byte of a file."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        msg = f"{what}: {failure(path, error)}"
        raise _WrongUsageError(msg) from error


def _standard_input(what: str) -> bytes:
    """Every byte of it, also where it never blocks."""
    if sys.stdin is None:  # the shell's <&-
        msg = f"{what}: standard input is closed"
        raise _WrongUsageError(msg)
    chunks: list[bytes] = []
    try:
        while True:
            try:
                chunk = os.read(sys.stdin.fileno(), 1 << 16)
            except BlockingIOError:
                select.select([sys.stdin.fileno()], [], [])
                continue
            if not chunk:
                return b"".join(chunks)
            chunks.append(chunk)
    except OSError as error:
        msg = f"{what}: standard input: {error.strerror}"
        raise _WrongUsageError(msg) from error


def _split(content: bytes, *, nul: bool) -> list[str]:
    """The items: what newlines, or NULs, end; the last one's may be missing."""
    separator = b"\0" if nul else b"\n"
    items = content.split(separator)
    if not items[-1]:
        items.pop()
    return [os.fsdecode(item) for item in items]
