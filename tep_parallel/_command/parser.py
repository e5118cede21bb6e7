"""The command tep-parallel: parse what was typed, and run it."""

from __future__ import annotations

import argparse
import gc

from tep_parallel._command.given import RefusedError, TextToShow, WrongUsageError
from tep_parallel._command.report import Printer
from tep_parallel._typing import TYPE_CHECKING, Any, NoReturn
from tep_parallel._version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

_ALL_WELL, _ITEM_FAILED, _WRONG_USAGE = 0, 1, 2
PARTS = ("digest", "map", "run")  # each is a module here


def run(arguments: list[str]) -> int:
    """Run the command.

    Args:
        arguments: What follows the command's name.

    Returns:
        The exit status. 0: all is well; 1: an item or the output failed; 2: wrong usage.
    """
    printer = Printer()
    try:
        well = _run(arguments, printer)
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


def _run(arguments: list[str], printer: Printer) -> bool:
    shown = None
    try:
        options = _parsed(arguments)
    except TextToShow as text:
        shown = str(text).splitlines()
    if printer.out is None:  # the shell's >&-
        printer.complain("standard output is closed")
        return False
    if shown is not None:
        printer.put(shown)
        return True
    if options.in_processes is None and getattr(options, "dask", None) is None:
        usable = _usable()  # it says what is wrong in the environment
        if not getattr(options, "by_size", False):
            options.in_processes = usable
    command: Callable[[argparse.Namespace, Printer], bool] = options.run
    # What has been loaded so far is not looked at again, neither now nor at the end.
    gc.freeze()
    gc.enable()
    return command(options, printer)


class _Parser(argparse.ArgumentParser):
    """The parser of the command, or of one of its parts. Texts are loaded when they are shown.

    Args:
        part: The part's name; empty: the parser of the command.
        options: Further arguments of ArgumentParser.
    """

    def __init__(self, part: str, **options: Any) -> None:
        options["prog"] = f"tep-parallel {part}".rstrip()
        # Without a usage, argparse makes one even where it shows none.
        super().__init__(usage="%(prog)s", formatter_class=_narrow, allow_abbrev=False, **options)
        self._part = part

    def error(self, message: str) -> NoReturn:
        msg = f"{message} ({self.prog} --help tells more)"
        raise WrongUsageError(msg)

    def format_help(self) -> str:
        from tep_parallel._command import texts

        self.usage = texts.USAGES[self._part]
        self.description = texts.DESCRIPTIONS[self._part]
        self.epilog = texts.epilog(self._part)
        self.formatter_class = argparse.RawDescriptionHelpFormatter
        return super().format_help()

    def print_help(self, file: object = None) -> NoReturn:  # noqa: ARG002
        raise TextToShow(self.format_help())


def _narrow(prog: str) -> argparse.HelpFormatter:
    """For each argument that is added there is one. To ask for a terminal's width loads shutil."""
    return argparse.HelpFormatter(prog, width=80)


class _Text(argparse.Action):
    """An option that prints `const`, and that is all."""

    def __call__(self, *_: object) -> NoReturn:
        raise TextToShow(self.const)


def whole() -> argparse.ArgumentParser:
    """The parser of the command, with all of its parts: for help, completion and the manual."""
    from tep_parallel._command import completion
    from tep_parallel._command.texts import SUMMARIES

    parser = _Parser("")
    parser.add_argument(
        "--version", action=_Text, nargs=0, const=__version__, help="print the version"
    )
    completion.add_argument(parser)
    parts = parser.add_subparsers(required=True, metavar="COMMAND", prog="tep-parallel")
    for name in PARTS:
        # Its class makes it, from the name.
        _fill(parts.add_parser(name, help=SUMMARIES[name], part=name), name)
    return parser


def _parsed(arguments: list[str]) -> argparse.Namespace:
    name = arguments[0] if arguments else ""
    if name not in PARTS:
        return whole().parse_args(arguments)
    # The arguments of the other parts are not made: that would take as long as a short call.
    parser = _fill(_Parser(name), name)
    if name == "run":
        return parser.parse_args(arguments[1:])  # behind COMMAND all is its own
    # Options may stand behind items, but not behind the first `--`. argparse cannot do both.
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options = parser.parse_intermixed_args(arguments[1:end])
    options.words += arguments[end + 1 :]
    return options


def _fill(parser: argparse.ArgumentParser, name: str) -> argparse.ArgumentParser:
    part = _module(name)
    part.add_arguments(parser)
    parser.set_defaults(run=part.run)
    return parser


def _module(name: str) -> ModuleType:
    if name == "digest":
        from tep_parallel._command import digest

        return digest
    if name == "map":
        from tep_parallel._command import map as map_

        return map_
    from tep_parallel._command import run as run_

    return run_


def _usable() -> int:
    from tep_parallel._engine.counting import processor_count

    try:
        return processor_count()
    except ValueError as error:  # the number in the environment is wrong
        raise WrongUsageError(str(error)) from error
