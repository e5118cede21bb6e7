"""The command tep-parallel: `digest` prints the HMAC-SHA256 of each file."""

from __future__ import annotations

import argparse
import mmap
import os
import signal
import stat
import sys
from pathlib import Path

from tep_parallel._outcome import Outcome
from tep_parallel._parallel import Parallel
from tep_parallel._sock import Sock
from tep_parallel._version import __version__
from tep_parallel._worker import ParallelWorker

_ALL_WELL, _ITEM_FAILED, _WRONG_USAGE = 0, 1, 2


class Digest(ParallelWorker):
    """HMAC-SHA256 of a file, in 64 hexadecimal digits.

    Args:
        key: The key; it may be empty.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def process(self, item: str) -> str:
        """Digest the file at the path `item`.

        Raises:
            OSError: It cannot be read, or is neither a regular file nor a pipe.
        """
        with open(item, "rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode) and status.st_size > 0:
                # Mapped, so that memory holds what is being read and no more of it.
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                    content.madvise(mmap.MADV_SEQUENTIAL)
                    return Sock.sphttp_hmac_sha256_hex(self._key, content)
            if stat.S_ISREG(status.st_mode) or stat.S_ISFIFO(status.st_mode):
                # What /proc holds says that its size is 0.
                return Sock.sphttp_hmac_sha256_hex(self._key, file.read())
        msg = "neither a regular file nor a pipe"
        raise OSError(msg)


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: Those after the command's name; None: those of this process.

    Returns:
        The exit status: 0 all well, 1 an item failed, 2 wrong usage.
    """
    try:
        options = _parser().parse_args(arguments)
        status = _digest(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        # Die of it, so that a shell's loop over this command ends too.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
        return _ITEM_FAILED
    except BrokenPipeError:
        # The reader has had enough. What is buffered must not be tried again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _ITEM_FAILED
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tep-parallel", description="Fan work out to child processes."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    digest = commands.add_parser(
        "digest",
        help="print the HMAC-SHA256 of each file",
        description="Print PATH and HMAC-SHA256 of each file, a line a file, in input order.",
        epilog="example: tep-parallel digest --key-file secret.key /etc/hosts /etc/passwd",
    )
    digest.add_argument("paths", nargs="+", metavar="PATH")
    digest.add_argument(
        "--key-file", metavar="F", help="the key: every byte of this file (default: an empty key)"
    )
    digest.add_argument(
        "--in-processes",
        type=_count,
        metavar="N",
        help="how many children at once; 0: none, all in this process (default: the usable CPUs)",
    )
    return parser


def _count(text: str) -> int:
    try:
        count = int(text)
    except ValueError:
        count = -1
    if count < 0:
        msg = f"expected 0 or more, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return count


def _digest(options: argparse.Namespace) -> int:
    key = b""
    if options.key_file is not None:
        try:
            key = Path(options.key_file).read_bytes()
        except OSError as error:
            _complain(options.key_file, error)
            return _WRONG_USAGE
    alive = options.in_processes
    if alive is None:
        alive = len(os.sched_getaffinity(0))
    try:
        outcomes = Parallel(Digest(key), in_processes=alive, isolation=True).outcomes(options.paths)
    except OSError as error:
        print(f"tep-parallel: {error.strerror or error}", file=sys.stderr)
        return _ITEM_FAILED
    for outcome in outcomes:
        _print(outcome)
    return _ALL_WELL if all(outcome.ok for outcome in outcomes) else _ITEM_FAILED


def _print(outcome: Outcome[str]) -> None:
    path = str(outcome.item)
    if outcome.error is not None:
        _complain(path, outcome.error)
        return
    # Bytes: a path may be in no encoding at all.
    sys.stdout.buffer.write(os.fsencode(f"{path} {outcome.result}\n"))


def _complain(path: str, error: BaseException) -> None:
    """One line on standard error: the path, and why."""
    reason = (error.strerror if isinstance(error, OSError) else None) or error
    sys.stdout.flush()
    sys.stderr.buffer.write(os.fsencode(f"tep-parallel: {path}: {reason}\n"))
    sys.stderr.flush()
