"""The command tep-parallel digest --check: verify lists of digests."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

from tep_parallel._command import sums
from tep_parallel._command.files import complaint
from tep_parallel._command.given import STANDARD_INPUT, content, pieces, standard_input
from tep_parallel._command.report import Printer, failure

Digests = list[str | BaseException]
_FAILED, _UNREAD = b"FAILED", b"FAILED open or read"


class Check:
    """Verify lists. Prints and decides as sha256sum --check does.

    Args:
        options: What was typed.
        digests_of: Returns the digest of each path, or its exception.
        printer: Prints the verdicts.
    """

    def __init__(
        self,
        options: argparse.Namespace,
        digests_of: Callable[[list[bytes]], Digests],
        printer: Printer,
    ) -> None:
        self._options = options
        self._digests_of = digests_of
        self._printer = printer
        self._keyed = options.algorithm != "sha256"
        # They take each other's place, as with sha256sum: the last one counts.
        self._silent = options.told == "status"
        self._quiet = options.told in ("status", "quiet")

    def all(self, names: list[str]) -> bool:
        """Verify the lists of these names. Returns whether all is well.

        Raises:
            OSError: Standard output cannot be written to.
        """
        verdicts = [self._one(name) for name in names]
        return all(verdicts)

    def _one(self, name: str) -> bool:
        from_standard_input = name == STANDARD_INPUT
        try:
            listed = b"".join(standard_input()) if from_standard_input else content(name)
        except OSError as error:
            told = f"standard input: {error.strerror}" if from_standard_input else ""
            self._printer.complain(told or failure(name, error))
            return False
        options = self._options
        rows = pieces(listed, nul=options.zero)
        entries = list(sums.parsed(rows, options.algorithm, nul=options.zero))
        if from_standard_input:
            name = "standard input"
            # Standard input has been read, so that a line cannot name it.
            entries = [(at, None if _is_dash(entry) else entry) for at, entry in entries]
        if not any(entry for _, entry in entries):
            self._warn_of_each(name, entries)
            self._printer.complain(f"{name}: no properly formatted checksum lines found")
            self._hint(name, rows)
            return False
        return self._verified(name, entries, rows)

    def _verified(
        self, name: str, entries: list[tuple[int, sums.Entry | None]], rows: list[bytes]
    ) -> bool:
        digests = iter(self._digests_of([entry[0] for _, entry in entries if entry is not None]))
        unreadable = wrong = matched = improper = 0
        for at, entry in entries:
            if entry is None:
                improper += 1
                self._warn_of_each(name, [(at, None)])
                continue
            path, digest = entry
            found = next(digests)
            if self._options.ignore_missing and isinstance(found, FileNotFoundError):
                continue
            if not isinstance(found, str):
                unreadable += 1
                self._printer.complain(complaint(path, found))
                self._say(path, _UNREAD)
            elif found == digest:
                matched += 1
                self._say(path, b"OK")
            else:
                wrong += 1
                self._say(path, _FAILED)
        if not self._silent:
            self._sum_up(improper, unreadable, wrong)
            if self._options.ignore_missing and matched == 0:
                self._printer.complain(f"{name}: no file was verified")
            if matched == 0:
                self._hint(name, rows)
        strict = self._options.strict and improper > 0
        return unreadable == wrong == 0 and matched > 0 and not strict

    def _say(self, path: bytes, verdict: bytes) -> None:
        if not self._silent and (verdict != b"OK" or not self._quiet):
            self._printer.add(sums.verdict(path, verdict, nul=self._options.zero))

    def _warn_of_each(self, name: str, entries: list[tuple[int, sums.Entry | None]]) -> None:
        if self._options.told == "warn":
            kind = "HMAC-SHA256" if self._keyed else "SHA256"
            for at, _ in entries:
                told = f"{name}: {at}: improperly formatted {kind} checksum line"
                self._printer.complain(told)

    def _sum_up(self, improper: int, unreadable: int, wrong: int) -> None:
        for count, one, more, what in (
            (improper, "line is", "lines are", "improperly formatted"),
            (unreadable, "listed file", "listed files", "could not be read"),
            (wrong, "computed checksum", "computed checksums", "did NOT match"),
        ):
            if count > 0:
                which = one if count == 1 else more
                self._printer.complain(f"WARNING: {count} {which} {what}")
        if wrong and self._keyed and self._options.key_file is None:
            self._printer.complain("the key is empty, since there is no --key-file")

    def _hint(self, name: str, rows: list[bytes]) -> None:
        """A list of sha256sum's has other lines than one that was made with a key."""
        if self._keyed:
            entries = list(sums.parsed(rows, "sha256", nul=self._options.zero))
            if entries and all(entry is not None for _, entry in entries):
                told = f"{name}: it is a list of sha256sum's: --algorithm sha256 checks it"
                self._printer.complain(told)


def _is_dash(entry: sums.Entry | None) -> bool:
    return entry is not None and entry[0] == os.fsencode(STANDARD_INPUT)
