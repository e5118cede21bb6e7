"""The command tep-parallel digest --check: verify a list of digests."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from tep_parallel._command import sums
from tep_parallel._command.given import (
    STANDARD_INPUT,
    WrongUsageError,
    content,
    split,
    standard_input,
)
from tep_parallel._command.report import Printer, failure

Digests = list[str | BaseException]


def check(
    options: argparse.Namespace, digests_of: Callable[[list[str]], Digests], printer: Printer
) -> bool:
    """Verify a list. Returns whether all is well. Prints and decides as sha256sum --check does.

    Args:
        options: What was typed; `check` is the name of the list.
        digests_of: Returns the digest of each path, or its exception.
        printer: Prints the verdicts.

    Raises:
        WrongUsageError: An option does not go with --check.
        OSError: Standard output cannot be written to.
    """
    others = (options.words, options.files_from, options.recursive, options.json, options.nul)
    if any(others):
        msg = "digest: --check takes the paths from its list, and prints no JSON"
        raise WrongUsageError(msg)
    name = options.check
    from_standard_input = name == STANDARD_INPUT
    try:
        listed = b"".join(standard_input()) if from_standard_input else content(name)
    except OSError as error:
        told = f"standard input: {error.strerror}" if from_standard_input else failure(name, error)
        printer.complain(told)
        return False
    entries = sums.parsed(split(listed), options.algorithm)
    if from_standard_input:
        name = "standard input"
        # Standard input has been read, so that a line cannot name it.
        entries = [None if entry and entry[0] == STANDARD_INPUT else entry for entry in entries]
    expected = [entry for entry in entries if entry is not None]
    if not expected:
        printer.complain(f"{name}: no properly formatted checksum lines found")
        return False
    paths = [path for path, _ in expected]
    unreadable = wrong = matched = 0
    digests = digests_of(paths)
    for (path, digest), found in zip(expected, digests, strict=True):
        if options.ignore_missing and isinstance(found, FileNotFoundError):
            continue
        if not isinstance(found, str):
            unreadable += 1
            printer.complain(failure(path, found))
            verdict = "FAILED open or read"
        else:
            wrong += found != digest
            matched += found == digest
            verdict = "OK" if found == digest else "FAILED"
        if verdict != "OK" or not options.quiet:
            printer.put([sums.verdict(path, verdict)])
    _warn(printer, len(entries) - len(expected), "line is", "lines are", "improperly formatted")
    _warn(printer, unreadable, "listed file", "listed files", "could not be read")
    _warn(printer, wrong, "computed checksum", "computed checksums", "did NOT match")
    if options.ignore_missing and matched == 0:
        printer.complain(f"{name}: no file was verified")
    return unreadable == wrong == 0 and matched > 0


def _warn(printer: Printer, count: int, one: str, more: str, what: str) -> None:
    if count > 0:
        printer.complain(f"WARNING: {count} {one if count == 1 else more} {what}")
