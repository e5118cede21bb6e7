"""tep-parallel map: a worker of the user's on each item."""

from __future__ import annotations

import argparse
import os
import sys
import warnings

from tep_parallel._command import engine
from tep_parallel._command import options as common
from tep_parallel._command.given import WrongUsageError
from tep_parallel._command.report import Printer, as_line, failure
from tep_parallel._engine.options import Options
from tep_parallel._typing import TYPE_CHECKING, Any
from tep_parallel._worker import ParallelWorker, Process, process_of, warn_of_misspelling

if TYPE_CHECKING:
    from tep_parallel._command.items import Lines, Source
    from tep_parallel._outcome import Outcome


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what may be typed."""
    parser.add_argument(
        "words",
        nargs="*",
        metavar="MODULE:NAME ITEM",
        help="a module, which may be in this directory, and a name in it; and the items (none:"
        " the lines of standard input)",
    )
    common.add_items(parser)
    common.add_output(parser)
    common.add_limits(parser)
    parser.add_argument(
        "--isolate", action="store_true", help="a fresh child for each item; else N are kept"
    )
    parser.add_argument(
        "--max-items-per-child",
        type=common.count,
        metavar="N",
        help="a child makes room for another after N items",
    )
    parser.add_argument(
        "--codec",
        choices=("json",),
        help="json: the worker may return what JSON has, and not only text",
    )
    engine.add_argument(parser.add_argument_group("other machines"))
    common.add_journal(parser)


def run(options: argparse.Namespace, printer: Printer) -> bool:
    """Run the command. Whether no item failed.

    Raises:
        WrongUsageError: What was typed cannot be done.
        RefusedError: The system refused what it takes.
        OSError: Standard output cannot be written to.
    """
    if not options.words:
        msg = "map: MODULE:NAME is missing (tep-parallel map --help tells more)"
        raise WrongUsageError(msg)
    target, *items = options.words
    given = common.given_of(options, items)
    printer.keep_apart()
    worker = _checked(target, printer)
    with engine.place(options) as where:
        try:
            arguments = _arguments(options, printer, where)
        except (TypeError, ValueError) as error:
            raise WrongUsageError(common.in_its_words(error)) from error
        return _run(worker, target, given, arguments, options, printer)


def _run(
    worker: ParallelWorker | Process,
    target: str,
    given: list[str] | Lines,
    arguments: Options,
    options: argparse.Namespace,
    printer: Printer,
) -> bool:
    # Last: what is wrong usage leaves no journal behind.
    journal = common.opened_journal(options, _identity(options, target))
    try:
        source = common.source_of(options, given, journal)
        if journal is not None and journal.broken and options.verbose:
            printer.complain(f"--journal: {journal.broken} lines are not whole, and not believed")
        if options.resume and not options.dry_run:
            printer.end_last_line(b"\0" if options.zero else b"\n")
        if options.dry_run:
            return _show(source, options, printer)
        return _fan_out(worker, source, arguments, options, printer, journal)
    finally:
        if journal is not None:
            journal.close()


def _fan_out(
    worker: ParallelWorker | Process,
    source: Source,
    arguments: Options,
    options: argparse.Namespace,
    printer: Printer,
    journal: Any,
) -> bool:
    from tep_parallel._command.fanout import FanOut
    from tep_parallel._command.rows import Rows

    end = b"\0" if options.zero else b"\n"
    shown = _json_shown if options.codec == "json" else _shown
    progress = common.progress_of(options, source, printer)
    rows = Rows(
        printer,
        lambda outcome: shown(outcome) + end,
        as_json=options.json,
        end=end,
        journal=journal,
        progress=progress,
    )
    if progress is not None:
        progress.start()
    try:
        return FanOut(source, rows, ordered=not options.unordered).run(worker, arguments)
    finally:
        if progress is not None:
            progress.stop()


def _shown(outcome: Outcome[Any]) -> bytes:
    return os.fsencode(outcome.result)  # type: ignore[arg-type]


def _json_shown(outcome: Outcome[Any]) -> bytes:
    return as_line(outcome.result).encode()


def _show(source: Source, options: argparse.Namespace, printer: Printer) -> bool:
    """Print the items that would be run."""
    from tep_parallel._engine.source import patient

    end = b"\0" if options.zero else b"\n"
    for number, item in enumerate(patient(source)):
        index = source.index_of(number)
        row = as_line({"index": index, "item": item}).encode() if options.json else None
        printer.write((os.fsencode(item) if row is None else row) + end)
        source.printed += 1
    if source.error is not None:
        raise source.error
    return True


def _arguments(options: argparse.Namespace, printer: Printer, where: dict[str, Any]) -> Options:
    """The same for the library.

    Args:
        where: See place of engine.py.

    Raises:
        TypeError, ValueError: An option is wrong.
    """
    if options.isolate and (options.max_items_per_child or 1) > 1:
        msg = "--max-items-per-child: with --isolate every child has one item"
        raise ValueError(msg)
    codec: Any = None
    if options.codec == "json":
        import json  # few calls need it

        codec = json
    arguments = {**common.arguments_of(options, printer), **where}
    isolation = options.isolate and options.in_processes != 0
    most = options.max_items_per_child if options.in_processes != 0 else None
    return Options(codec, **arguments, isolation=isolation, max_items_per_child=most)


def _identity(options: argparse.Namespace, target: str) -> list[str]:
    """What makes its output what it is: a journal is of that."""
    told = (("--json", options.json), ("-z", options.zero))
    codec = [] if options.codec is None else ["--codec", options.codec]
    return ["map", *(name for name, is_given in told if is_given), *codec, target]


def _checked(target: str, printer: Printer) -> ParallelWorker | Process:
    """The worker; what it may be warned of is a line on standard error."""
    worker = _worker(target)
    try:
        process_of(worker)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            warn_of_misspelling(worker)
    except TypeError as error:
        raise WrongUsageError(str(error)) from error
    for warning in warned:
        printer.complain(f"{target}: {warning.message}")
    return worker


def _worker(target: str) -> ParallelWorker | Process:
    """The worker that MODULE:NAME names; an instance if that is a class of workers."""
    # The current directory is searched for modules from here on. Whatever this package loads
    # later is loaded before that.
    import json  # noqa: F401
    from importlib import import_module

    from tep_parallel._command import fanout, rows  # noqa: F401
    from tep_parallel._engine import child, drive, fed, forked, prepare, serial  # noqa: F401

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
    return found  # type: ignore[return-value]  # _checked refuses what is no worker
