"""tep-parallel map: a worker of the user's on each item."""

from __future__ import annotations

import argparse
import sys
import warnings

from tep_parallel._command.given import (
    WrongUsageError,
    all_of_standard_input,
    asking_the_system,
    split,
)
from tep_parallel._command.options import count
from tep_parallel._command.report import Printer, failure
from tep_parallel._parallel import Parallel
from tep_parallel._worker import ParallelWorker, Process


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what may be typed."""
    parser.add_argument(
        "words",
        nargs="*",
        metavar="MODULE:NAME ITEM",
        help="a module, which may be in this directory, and a name in it; and the items (none:"
        " the lines of standard input)",
    )
    parser.add_argument(
        "-0", dest="nul", action="store_true", help="NUL ends an item that is read, no newline"
    )
    parser.add_argument("--json", action="store_true", help="print every outcome, as JSON")
    parser.add_argument(
        "-j",
        "--in-processes",
        type=count,
        metavar="N",
        help="how many children at once; 0: none, all in this process (default: as many as"
        " there are usable CPUs)",
    )


def run(options: argparse.Namespace, printer: Printer) -> bool:
    """Run the command. Whether no item failed."""
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
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            fan_out = Parallel(worker, in_processes=options.in_processes, isolation=True)
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
