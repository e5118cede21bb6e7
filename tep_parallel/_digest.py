"""The worker behind `tep-parallel digest`."""

from __future__ import annotations

import errno
import mmap
import os
import stat
from typing import BinaryIO

from tep_parallel._sock import Sock
from tep_parallel._worker import ParallelWorker


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
            kind = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(kind) and not stat.S_ISFIFO(kind):
                raise OSError(errno.EINVAL, "neither a regular file nor a pipe", item)
            return Sock.sphttp_hmac_sha256_hex(self._key, _mapped(file) or file.read())


def _mapped(file: BinaryIO) -> mmap.mmap | None:
    """The file, so that memory holds what is being read and no more of it.

    None where that cannot be: pipes, what is empty or says so (/proc), and what has no pages
    of its own (/sys).
    """
    try:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):
        return None
    content.madvise(mmap.MADV_SEQUENTIAL)
    return content
