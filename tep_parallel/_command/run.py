"""tep-parallel run: a command on each item."""

from __future__ import annotations

import argparse
import os

from tep_parallel._command import options as common
from tep_parallel._command.batches import Batches, Jobs
from tep_parallel._command.fanout import FanOut
from tep_parallel._command.given import RefusedError, WrongUsageError
from tep_parallel._command.items import Source
from tep_parallel._command.outputs import Outputs
from tep_parallel._command.report import Printer, as_line
from tep_parallel._command.template import Template, quoted
from tep_parallel._engine.commands import Command, Commands, no_worker
from tep_parallel._engine.options import Options
from tep_parallel._engine.source import patient
from tep_parallel._typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tep_parallel._command.journal import Journal
    from tep_parallel._engine.running import Running

_MOST = 512  # commands at once, where as many as possible were asked for


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what may be typed."""
    parser.add_argument(
        "words",
        nargs=argparse.REMAINDER,
        metavar="COMMAND [ARG ...]",
        help="the program and its arguments: {} stands for the item, {#} for its number, from 1;"
        " without {} the item is the last argument",
    )
    common.add_items(parser)
    how = parser.add_argument_group("commands")
    how.add_argument(
        "-n",
        "--max-args",
        type=_at_least_one,
        metavar="N",
        help="N items to each command, or as many as fit",
    )
    how.add_argument(
        "-X", "--fill", action="store_true", help="as many items to each command as fit"
    )
    common.add_output(parser)
    how.add_argument("--tag", action="store_true", help="begin each line with the item and a tab")
    how.add_argument(
        "--no-group",
        action="store_true",
        help="what a command prints is not kept until it ends, but printed as it comes",
    )
    common.add_limits(parser)
    common.add_journal(parser)
    for action in parser._actions:  # there is no other way to find them
        if action.dest in _HELP:
            action.help = _HELP[action.dest]


_HELP = {
    "in_processes": "how many commands at once; 0: as many as there may be, up to"
    f" {_MOST} (default: as many as there are usable CPUs)",
    "timeout": "kill a command after S seconds",
    "retries": "run a command that failed N times more, unless it was killed at its timeout",
    "on_error": "when a command fails: begin no more, run all the same (the default), or kill"
    " what runs",
    "verbose": "print each command on standard error before it begins",
    "dry_run": "print the commands that would be run, quoted for a shell, and run none",
    "zero": "NUL ends what --json and --dry-run print, no newline",
}


def run(options: argparse.Namespace, printer: Printer) -> bool:
    """Run the command. Whether none failed.

    Raises:
        WrongUsageError: What was typed cannot be done.
        RefusedError: The system refused what it takes.
        OSError: Standard output cannot be written to.
    """
    words = options.words[1:] if options.words[:1] == ["--"] else options.words
    _check(options, words)
    template = Template(words)
    arguments = _arguments(options, printer)
    given = common.given_of(options, [])
    # Last: what is wrong usage leaves no journal behind.
    journal = common.opened_journal(options, _identity(options, words))
    try:
        source = _source(given, options, template, journal)
        if options.dry_run:
            return _show(source, template, options, printer)
        if options.resume and (options.json or options.tag):
            printer.end_last_line(b"\0" if options.zero else b"\n")
        return _fan_out(source, template, arguments, options, printer, journal)
    finally:
        if journal is not None:
            journal.close()


def _check(options: argparse.Namespace, words: list[str]) -> None:
    if not words:
        msg = "run: COMMAND is missing (tep-parallel run --help tells more)"
        raise WrongUsageError(msg)
    apart = (
        ("--tag", options.tag),
        ("--json", options.json),
        ("--keep-order", options.keep_order),
    )
    for name, is_given in apart:
        if is_given and options.no_group:
            msg = f"run: {name} needs what --no-group does not keep"
            raise WrongUsageError(msg)
    if options.tag and options.json:
        msg = "run: --tag is for lines, and --json prints rows"
        raise WrongUsageError(msg)
    if options.keep_order and options.unordered:
        msg = "run: --keep-order and --unordered exclude each other"
        raise WrongUsageError(msg)
    if options.zero and not (options.json or options.dry_run):
        msg = "run: -z is for --json and --dry-run: what commands print stays as it is"
        raise WrongUsageError(msg)


def _arguments(options: argparse.Namespace, printer: Printer) -> Options:
    arguments = common.arguments_of(options, printer)
    arguments["in_processes"] = arguments["in_processes"] or _MOST
    if options.verbose:

        def begins(index: int, item: Any) -> None:  # noqa: ARG001
            assert isinstance(item, Command)
            printer.complain(quoted(item.arguments))

        arguments["on_start"] = begins
    try:
        return Options(None, **arguments, isolation=True)
    except (TypeError, ValueError) as error:
        raise WrongUsageError(common.in_its_words(error)) from error


def _source(
    given: Iterable[str],
    options: argparse.Namespace,
    template: Template,
    journal: Journal | None,
) -> Source:
    if options.retry_failed:
        return common.source_of(options, [], journal)
    most = options.max_args or (None if options.fill else 1)
    batches = Batches(given, most, template)
    return Source(batches, None if journal is None else journal.is_done)


def _identity(options: argparse.Namespace, words: list[str]) -> list[str]:
    """What makes its output what it is: a journal is of that."""
    told = (("--json", options.json), ("--tag", options.tag), ("-X", options.fill))
    several = [] if options.max_args is None else ["-n", str(options.max_args)]
    return ["run", *(name for name, is_given in told if is_given), *several, *words]


class _Runs(FanOut):
    """A call of commands that is under way."""

    def __init__(
        self, source: Source, rows: Outputs, template: Template, *, ordered: bool, grouped: bool
    ) -> None:
        super().__init__(source, rows, ordered=ordered)
        self._jobs = Jobs(source, template)
        self._outputs = rows
        self._grouped = grouped

    def _begun(self, worker: object, options: Options, running: Running) -> Commands:  # noqa: ARG002
        try:
            commands = Commands(self._jobs, options, running, grouped=self._grouped)
        except OSError as error:
            raise RefusedError(common.in_its_words(error)) from error
        self._outputs.output = commands.output if self._grouped else _none
        return commands


def _none(number: int, stream: int) -> None:
    """What is not kept cannot be had."""


def _fan_out(
    source: Source,
    template: Template,
    arguments: Options,
    options: argparse.Namespace,
    printer: Printer,
    journal: Journal | None,
) -> bool:
    progress = common.progress_of(options, source, printer)
    rows = Outputs(
        printer,
        tag=options.tag,
        as_json=options.json,
        end=b"\0" if options.zero else b"\n",
        journal=journal,
        progress=progress,
    )
    ordered = not options.unordered and not options.no_group
    runs = _Runs(source, rows, template, ordered=ordered, grouped=not options.no_group)
    if progress is not None:
        progress.start()
    try:
        return runs.run(no_worker, arguments)
    finally:
        if progress is not None:
            progress.stop()


def _show(
    source: Source, template: Template, options: argparse.Namespace, printer: Printer
) -> bool:
    """Print the commands that would be run."""
    end = b"\0" if options.zero else b"\n"
    for number, item in enumerate(patient(source)):
        index = source.index_of(number)
        words = template.filled(item, index + 1)
        if options.json:
            row = as_line({"index": index, "item": item, "command": words}).encode()
        else:
            row = os.fsencode(quoted(words))
        printer.write(row + end)
        source.printed += 1
    if source.error is not None:
        raise source.error
    return True


def _at_least_one(text: str) -> int:
    number = common.count(text)
    if number < 1:
        msg = f"expected 1 or more, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return number
