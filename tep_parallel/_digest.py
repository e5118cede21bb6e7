"""The worker behind `tep-parallel digest`."""

from __future__ import annotations

import errno
import mmap
import os
import stat

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
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode) and status.st_size > 0:
                # Mapped, so that memory holds what is being read and no more of it.
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                    content.madvise(mmap.MADV_SEQUENTIAL)
                    return Sock.sphttp_hmac_sha256_hex(self._key, content)
            if stat.S_ISREG(status.st_mode) or stat.S_ISFIFO(status.st_mode):
                # What /proc holds says that its size is 0.
                return Sock.sphttp_hmac_sha256_hex(self._key, file.read())
        raise OSError(errno.EINVAL, "neither a regular file nor a pipe", item)
