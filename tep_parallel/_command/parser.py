"""The command tep-parallel: parse what was typed, and run it."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable
from typing import NoReturn

from tep_parallel._command import digest as digest_command
from tep_parallel._command import engine
from tep_parallel._command.given import (
    RefusedError,
    WrongUsageError,
    all_of_standard_input,
    asking_the_system,
    split,
)
from tep_parallel._command.report import Printer, failure
from tep_parallel._engine.counting import processor_count
from tep_parallel._parallel import Parallel
from tep_parallel._version import __version__
from tep_parallel._worker import ParallelWorker, Process

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
        if options.in_processes is None and not engine.is_elsewhere(options):
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
        usage="%(prog)s [-h] [-0] [--json] [--in-processes N] [--dask URL] MODULE:NAME [ITEM ...]",
        help="run a worker on each item, and print its results",
        description="Run a ParallelWorker class, or a function, on each item, and print its"
        " results, a line each, in input order. What the worker itself prints goes to standard"
        " error.",
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
            help="how many children at once; 0: none, all in this process (default: as many as"
            " there are usable CPUs)",
        )
        engine.add_argument(command)
    if not arguments or arguments[0] not in commands.choices:
        return parser.parse_args(arguments)
    # Options may stand behind items, but not behind the first `--`. argparse cannot do both.
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options = commands.choices[arguments[0]].parse_intermixed_args(arguments[1:end])
    options.words += arguments[end + 1 :]
    return options


def _usable() -> int:
    try:
        return processor_count()
    except ValueError as error:  # the number in the environment is wrong
        raise WrongUsageError(str(error)) from error


def _count(text: str) -> int:
    try:
        count = int(text)
    except ValueError:
        count = -1
    if count < 0:
        msg = f"expected 0 or more, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return count


def _map(options: argparse.Namespace, printer: Printer) -> bool:
    if not options.words:
        msg = "map: MODULE:NAME is missing (tep-parallel map --help tells more)"
        raise WrongUsageError(msg)
    target, *items = options.words
    if items and options.nul:
        msg = "map: -0 is for items from standard input"
        raise WrongUsageError(msg)
    printer.keep_apart()
    worker = _worker(target)
    items = items or split(all_of_standard_input("items"), nul=options.nul)
    with engine.place(options) as where:
        try:
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                fan_out = Parallel(worker, isolation=True, **where)
        except TypeError as error:
            raise WrongUsageError(str(error)) from error
        for warning in warned:
            printer.complain(f"{target}: {warning.message}")
        with asking_the_system():
            outcomes = fan_out.outcomes(items)
    return printer.outcomes(outcomes, as_json=options.json)


def _worker(target: str) -> ParallelWorker | Process:
    """The worker that MODULE:NAME names; an instance if that is a class of workers."""
    # The current directory is searched for modules from here on. Whatever this package loads
    # later is loaded before that.
    import json  # noqa: F401
    from importlib import import_module

    from tep_parallel._engine import forked, prepare, serial  # noqa: F401

    module_name, _, name = target.partition(":")
    if not module_name or not name:
        msg = f"map: expected MODULE:NAME, got {target!r}"
        raise WrongUsageError(msg)
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
        raise WrongUsageError(failure(doing, error)) from error
    return found  # type: ignore[return-value]  # Parallel refuses what is no worker
