"""The command tep-parallel: parse what was typed, and run it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NoReturn

from tep_parallel._command import digest as digest_command
from tep_parallel._command import map as map_command
from tep_parallel._command import run as run_command
from tep_parallel._command.given import RefusedError, WrongUsageError
from tep_parallel._command.options import count
from tep_parallel._command.report import Printer
from tep_parallel._engine.counting import processor_count
from tep_parallel._version import __version__

_ALL_WELL, _ITEM_FAILED, _WRONG_USAGE = 0, 1, 2


def run(arguments: list[str]) -> int:
    """Run the command.

    Args:
        arguments: What follows the command's name.

    Returns:
        The exit status. 0: all is well; 1: an item or the output failed; 2: wrong usage.
    """
    printer = Printer()
    try:
        options = _parsed(arguments)
        if printer.out is None:  # the shell's >&-
            printer.complain("standard output is closed")
            return _ITEM_FAILED
        command: Callable[[argparse.Namespace, Printer], bool] = options.run
        if options.in_processes is None:
            options.in_processes = _usable()
        well = command(options, printer)
        printer.flush()
    except WrongUsageError as error:
        printer.complain(str(error))
        return _WRONG_USAGE
    except RefusedError as error:
        printer.complain(str(error))
        return _ITEM_FAILED
    except OSError as error:
        printer.abandon()
        if not isinstance(error, BrokenPipeError):  # else the reader has had enough
            printer.complain(f"standard output: {error.strerror}")
        return _ITEM_FAILED
    finally:
        printer.close()
    return _ALL_WELL if well else _ITEM_FAILED


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        msg = f"{message} ({self.prog} --help tells more)"
        raise WrongUsageError(msg)


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
        help="print the digest of each file, or check a list of them",
        description="Print PATH and HMAC-SHA256 of each file, or its SHA-256 as sha256sum does,"
        " a line a file, in input order. A PATH of - is standard input. A path with a newline"
        " or a backslash is escaped as sha256sum does.",
        epilog="example: tep-parallel digest --key-file secret.key /etc/hosts /etc/passwd",
    )
    digest.set_defaults(run=digest_command.run)
    digest_command.add_arguments(digest)

    map_ = commands.add_parser(
        "map",
        allow_abbrev=False,
        usage="%(prog)s [OPTION ...] MODULE:NAME [ITEM ...]",
        help="run a worker on each item, and print its results",
        description="Run a ParallelWorker class, or a function, on each item, and print its"
        " results, a line each, in input order. What the worker itself prints goes to standard"
        " error.",
        epilog="example: ls | tep-parallel map os.path:abspath",
    )
    map_.set_defaults(run=map_command.run)
    map_command.add_arguments(map_)

    digest.add_argument(
        "-0", dest="nul", action="store_true", help="NUL ends an item that is read, no newline"
    )
    digest.add_argument("--json", action="store_true", help="print every outcome, as JSON")
    digest.add_argument(
        "--in-processes",
        type=count,
        metavar="N",
        help="how many children at once; 0: none, all in this process (default: as many as"
        " there are usable CPUs)",
    )
    run_ = _add_run(commands)
    if not arguments or arguments[0] not in commands.choices:
        return parser.parse_args(arguments)
    if arguments[0] == "run":
        return run_.parse_args(arguments[1:])
    # Options may stand behind items, but not behind the first `--`. argparse cannot do both.
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options = commands.choices[arguments[0]].parse_intermixed_args(arguments[1:end])
    options.words += arguments[end + 1 :]
    return options


def _add_run(commands: Any) -> argparse.ArgumentParser:
    run_: argparse.ArgumentParser = commands.add_parser(
        "run",
        allow_abbrev=False,
        usage="%(prog)s [OPTION ...] COMMAND [ARG ...]",
        help="run a command on each item, and print what it prints",
        description="Run a command on each item that is read, and print what it prints, whole and"
        " in the order of the items. Everything behind COMMAND belongs to it. No shell is"
        " started: a command with pipes is for sh -c.",
        epilog="example: ls | tep-parallel run gzip -k -- {}",
    )
    run_.set_defaults(run=run_command.run)
    run_command.add_arguments(run_)
    return run_


def _usable() -> int:
    try:
        return processor_count()
    except ValueError as error:  # the number in the environment is wrong
        raise WrongUsageError(str(error)) from error
