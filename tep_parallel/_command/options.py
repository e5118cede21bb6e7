"""The options that `map` and `run` have in common, and what the library is told of them."""

from __future__ import annotations

import argparse
import os
import re

from tep_parallel._command.given import STANDARD_INPUT, WrongUsageError
from tep_parallel._command.items import Lines, Source, lines_of
from tep_parallel._command.number import count as count
from tep_parallel._command.number import processes
from tep_parallel._command.report import Printer, shortened
from tep_parallel._errors import message_of
from tep_parallel._typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tep_parallel._command.journal import Journal
    from tep_parallel._command.progress import Progress

# What the library says of its arguments, in the words of the command.
_WORDS = {"in_processes": "-j", "scratch_root=": "TMPDIR", "isolation": "--isolate"}
_ESCAPES = {"0": 0, "a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13, "\\": 92}


def add_items(parser: argparse.ArgumentParser) -> None:
    """The options that say where items come from, and what ends one."""
    items = parser.add_argument_group("items")
    items.add_argument("-a", "--arg-file", metavar="FILE", help="read the items from FILE")
    ends = items.add_mutually_exclusive_group()
    ends.add_argument(
        "-0",
        "--null",
        dest="nul",
        action="store_true",
        help="NUL ends an item that is read, no newline",
    )
    ends.add_argument(
        "-d",
        "--delimiter",
        type=_separator,
        metavar="CHAR",
        help=r"CHAR ends an item that is read: one byte, or \n, \t, \0, \x1f, \037",
    )


def add_output(parser: argparse.ArgumentParser) -> None:
    """The options that say what is printed."""
    output = parser.add_argument_group("output")
    output.add_argument(
        "-k", "--keep-order", action="store_true", help="in the order of the items: the default"
    )
    output.add_argument("-u", "--unordered", action="store_true", help="as the items end")
    output.add_argument(
        "-z", "--zero", action="store_true", help="NUL ends what is printed, no newline"
    )
    output.add_argument("--json", action="store_true", help="print every outcome, as JSON")
    output.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        help="show on standard error how far it has come (default: if that is a terminal, and"
        " standard output is none)",
    )
    output.add_argument(
        "-t", "--verbose", action="store_true", help="say on standard error which items begin"
    )
    output.add_argument(
        "--dry-run", action="store_true", help="print the items that would be run, and run none"
    )


def add_limits(parser: argparse.ArgumentParser) -> None:
    """The options that say how items are run, and how long."""
    limits = parser.add_argument_group("children")
    limits.add_argument(
        "-j",
        "-P",
        "--jobs",
        "--in-processes",
        dest="in_processes",
        type=processes,
        metavar="N",
        help="how many children at once; 0: none, all in this process (default: as many as"
        " there are usable CPUs)",
    )
    limits.add_argument(
        "--timeout", type=_seconds, metavar="S", help="kill an item after S seconds"
    )
    limits.add_argument(
        "--deadline", type=_seconds, metavar="S", help="kill everything after S seconds"
    )
    limits.add_argument(
        "--retries",
        type=count,
        default=0,
        metavar="N",
        help="try an item whose child died N times more",
    )
    limits.add_argument(
        "--on-error",
        choices=("stop", "finish", "kill"),
        default="finish",
        help="when an item fails: begin no more, run all the same (the default), or kill what runs",
    )


def add_journal(parser: argparse.ArgumentParser) -> None:
    """The options of the journal."""
    journal = parser.add_argument_group("journal")
    journal.add_argument(
        "--journal", metavar="FILE", help="append a line of JSON to FILE for each item that ends"
    )
    which = journal.add_mutually_exclusive_group()
    which.add_argument(
        "--resume", action="store_true", help="run what FILE does not say has ended well"
    )
    which.add_argument(
        "--retry-failed", action="store_true", help="run what FILE says has failed; read no items"
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        msg = f"expected seconds above 0, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return seconds


def _separator(text: str) -> bytes:
    if re.fullmatch(r"\\([0abtnvfr\\]|x[0-9a-fA-F]{1,2}|[0-7]{1,3})", text):
        code = text[1:]
        number = _ESCAPES.get(code)
        if number is None:
            number = int(code[1:], 16) if code.startswith("x") else int(code, 8)
    else:
        encoded = os.fsencode(text)
        number = encoded[0] if len(encoded) == 1 else 256
    if number > 255:
        msg = f"expected one byte, or one as \\n or \\x1f, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return bytes([number])


def opened_journal(options: argparse.Namespace, command: list[str]) -> Journal | None:
    """The journal that was asked for.

    Args:
        options: What was typed.
        command: See Journal.

    Raises:
        WrongUsageError, RefusedError: See Journal.
    """
    if options.journal is None:
        return None
    from tep_parallel._command.journal import Journal  # few commands need it

    goes_on = options.resume or options.retry_failed
    return Journal(options.journal, command, goes_on=goes_on, writes=not options.dry_run)


def given_of(options: argparse.Namespace, words: list[str]) -> list[str] | Lines:
    """The items: the words that were typed, those of a file, or of standard input. None where
    the journal has them.

    Raises:
        WrongUsageError: What was typed does not fit; or they cannot be read.
    """
    for option, is_given in (
        ("-0", options.nul),
        ("-d", options.delimiter is not None),
        ("-a", options.arg_file is not None),
    ):
        if words and is_given:
            msg = f"{option} is for items from standard input or a file"
            raise WrongUsageError(msg)
    if options.journal is None and (options.resume or options.retry_failed):
        msg = f"{'--resume' if options.resume else '--retry-failed'} needs --journal"
        raise WrongUsageError(msg)
    if options.retry_failed and (words or options.arg_file is not None):
        msg = "--retry-failed takes the items from the journal"
        raise WrongUsageError(msg)
    if words or options.retry_failed:
        return words
    end = b"\0" if options.nul else options.delimiter or b"\n"
    return lines_of(options.arg_file or STANDARD_INPUT, end)


def source_of(
    options: argparse.Namespace, given: list[str] | Lines, journal: Journal | None
) -> Source:
    """These items as a source; or those that failed by the journal.

    Args:
        options: What was typed.
        given: See given_of.
        journal: See opened_journal.
    """
    if options.retry_failed:
        assert journal is not None
        failed = dict(sorted(journal.failed.items()))
        return Source(list(failed.values()), indices=failed)
    return Source(given, None if journal is None else journal.is_done)


def arguments_of(options: argparse.Namespace, printer: Printer) -> dict[str, Any]:
    """What the library is told of these options."""
    arguments = {
        "in_processes": options.in_processes,
        "timeout": options.timeout,
        "deadline": options.deadline,
        "retries": options.retries,
        "on_error": options.on_error,
    }
    if options.verbose:
        arguments["on_start"] = lambda index, item: printer.complain(f"{shortened(item)}: begins")  # noqa: ARG005
    return arguments


def progress_of(options: argparse.Namespace, source: Source, printer: Printer) -> Progress | None:
    """The line that shows how far it has come, if it is wanted: by default where standard error
    is a terminal, and the results go elsewhere."""
    assert printer.out is not None
    wanted = options.progress
    if wanted is None:
        wanted = os.isatty(2) and not os.isatty(printer.out.fileno())
    if not wanted or options.in_processes == 0:  # then what the worker does may use the timer
        return None
    from tep_parallel._command.progress import Progress  # few calls need it

    return Progress(source)


def in_its_words(error: BaseException) -> str:
    """What the library says of an argument, as the command has it."""
    text = message_of(error)
    for name, word in _WORDS.items():
        text = text.replace(name, word)
    return re.sub(r"^([a-z]+(_[a-z]+)*):", lambda m: f"--{m[1].replace('_', '-')}:", text)
