"""The command tep-parallel digest: print the digests of files, or check a list of them."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from typing import TYPE_CHECKING, Any

from tep_parallel._command import engine, sums
from tep_parallel._command.check import Digests, check
from tep_parallel._command.given import (
    STANDARD_INPUT,
    WrongUsageError,
    all_of_standard_input,
    asking_the_system,
    content_for,
    split,
    standard_input,
)
from tep_parallel._command.report import Printer, failure
from tep_parallel._digest import digest_files
from tep_parallel._engine.options import InBytes
from tep_parallel._file_digest import ALGORITHMS, FileDigest
from tep_parallel._outcome import Outcome
from tep_parallel._parallel import Parallel

if TYPE_CHECKING:
    from tep_parallel._engine.arguments import Progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `digest` that other commands do not have."""
    parser.add_argument("words", nargs="*", metavar="PATH")
    parser.add_argument(
        "--algorithm",
        choices=ALGORITHMS,
        default=ALGORITHMS[0],
        help="hmac-sha256: PATH HEX a line (default); sha256: as sha256sum prints it",
    )
    parser.add_argument(
        "--key-file", metavar="F", help="the key: every byte of this file (default: an empty key)"
    )
    parser.add_argument(
        "--files-from", metavar="F", help="the paths: the lines of this file; -: standard input"
    )
    parser.add_argument(
        "--recursive",
        action="store_true",
        help="of a directory, every regular file below it; symbolic links are not followed",
    )
    parser.add_argument(
        "--check", metavar="F", help="verify the digests that are listed in this file"
    )
    parser.add_argument("--quiet", action="store_true", help="--check: print no OK")
    parser.add_argument(
        "--ignore-missing", action="store_true", help="--check: pass over files that are not there"
    )


def run(options: argparse.Namespace, printer: Printer) -> bool:
    """Run the command. Returns whether all went well.

    Raises:
        WrongUsageError: What was typed cannot be done.
        OSError: Standard output cannot be written to.
    """
    from tep_parallel._engine.digest_job import wanted_kernel

    try:
        wanted_kernel()
    except ValueError as error:
        raise WrongUsageError(str(error)) from error
    key = b""
    if options.key_file is not None:
        if options.algorithm == "sha256":
            msg = "digest: --key-file is for --algorithm hmac-sha256"
            raise WrongUsageError(msg)
        key = content_for("--key-file", options.key_file)
    if options.check is not None:
        return check(options, lambda paths: _digests(paths, key, options), printer)
    if options.quiet or options.ignore_missing:
        msg = "digest: --quiet and --ignore-missing are for --check"
        raise WrongUsageError(msg)
    paths, well = _paths(options, printer)
    if options.json:
        outcomes = _outcomes(paths, key, options)
        return printer.outcomes(outcomes, as_json=True) and well
    digests = _digests(paths, key, options)
    return _print(paths, digests, options.algorithm, printer) and well


def _paths(options: argparse.Namespace, printer: Printer) -> tuple[list[str], bool]:
    """The paths to digest, and whether all directories could be read."""
    paths: list[str] = options.words
    if (options.files_from is None) == (not paths):
        msg = "digest: name the paths, or --files-from, and not both"
        raise WrongUsageError(msg)
    if options.files_from == STANDARD_INPUT:
        paths = split(all_of_standard_input("--files-from"), nul=options.nul)
    elif options.files_from is not None:
        paths = split(content_for("--files-from", options.files_from), nul=options.nul)
    elif options.nul:
        msg = "digest: -0 is for --files-from"
        raise WrongUsageError(msg)
    if options.files_from is not None:
        # In that file, "-" is the name of a file.
        paths = [f"./{path}" if path == STANDARD_INPUT else path for path in paths]
    if not options.recursive:
        return paths, True
    from tep_parallel._command.tree import files_below

    unlisted: list[str] = []

    def failed(path: str, error: OSError) -> None:
        unlisted.append(path)
        printer.complain(failure(path, error))

    files: list[str] = []
    for path in paths:
        if path != STANDARD_INPUT and os.path.isdir(path):
            files += files_below(path, failed)
        else:
            files.append(path)
    return files, not unlisted


def _digests(paths: list[str], key: bytes, options: argparse.Namespace) -> Digests:
    """The digest of each path, or its exception."""
    if engine.is_elsewhere(options):
        return [one.error or str(one.result) for one in _outcomes(paths, key, options)]
    others = [place for place, path in enumerate(paths) if not _names_a_file(path)]
    with asking_the_system():
        digests: Digests = digest_files(
            list(filter(_names_a_file, paths)) if others else paths,
            key,
            algorithm=options.algorithm,
            in_processes=options.in_processes,
            progress=_progress(),
            return_exceptions=True,
        )
    for place in others:
        if paths[place] == STANDARD_INPUT:
            outcome = _of_standard_input(key, options.algorithm)
            digests.insert(place, outcome.error or str(outcome.result))
        else:
            digests.insert(place, ValueError("no file's name has a NUL in it"))
    return digests


def _names_a_file(path: str) -> bool:
    return path != STANDARD_INPUT and "\0" not in path


def _progress() -> Progress | bool | None:
    """True, for a bar, if standard error is a terminal and tqdm is installed."""
    watched = sys.stderr is not None and sys.stderr.isatty()
    return True if watched and importlib.util.find_spec("tqdm") is not None else None


def _of_standard_input(key: bytes, algorithm: str) -> Outcome[str]:
    """The Outcome of standard input, which only this process can read."""

    def digest(name: str) -> str:
        import hashlib
        import hmac

        state: Any = (
            hashlib.sha256() if algorithm == "sha256" else hmac.new(key, digestmod="sha256")
        )
        try:
            for piece in standard_input():
                state.update(piece)
        except OSError as error:
            raise OSError(error.errno, f"standard input: {error.strerror}", name) from error
        return str(state.hexdigest())

    return Parallel(digest, in_processes=0).outcomes([STANDARD_INPUT])[0]


def _outcomes(paths: list[str], key: bytes, options: argparse.Namespace) -> list[Outcome[str]]:
    """The Outcome of each path."""
    worker = FileDigest(key, algorithm=options.algorithm)
    # On other machines it is files that are counted.
    progress = _progress() if engine.is_elsewhere(options) else InBytes(_progress())
    with engine.place(options) as where, asking_the_system():
        fan_out = Parallel(worker, progress=progress, **where)
        found = iter(fan_out.outcomes([path for path in paths if path != STANDARD_INPUT]))
    outcomes = []
    for place, path in enumerate(paths):
        here = path == STANDARD_INPUT
        outcome = _of_standard_input(key, options.algorithm) if here else next(found)
        fields: dict[str, Any] = {name: getattr(outcome, name) for name in Outcome.__slots__}
        outcomes.append(Outcome(**{**fields, "index": place}))
    return outcomes


def _print(paths: list[str], digests: Digests, algorithm: str, printer: Printer) -> bool:
    lines: list[str] = []
    well = True
    for path, digest in zip(paths, digests, strict=True):
        if isinstance(digest, str):
            lines.append(sums.line(path, digest, algorithm))
        else:
            well = False
            printer.put(lines)
            lines.clear()
            printer.complain(failure(path, digest))
    printer.put(lines)
    return well
