"""A worker whose calls are done in C: files are digested by children that never run Python."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Literal, get_args

from tep_parallel._sock import bytes_of, file_digest, native
from tep_parallel._worker import ParallelWorker, hooks_of

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from tep_parallel._engine.options import Options
    from tep_parallel._sock import StrOrBytesPath
    from tep_parallel._worker import Process

Algorithm = Literal["hmac-sha256", "sha256"]
ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)
_KERNEL = "TEP_PARALLEL_SHA256"


class FileDigest(ParallelWorker):
    """The digest of a file, as 64 lower-case hexadecimal digits.

    Of this class itself, with children and no codec, files are digested in C; of a subclass,
    by its `process`. A pool's children then have several in hand at once where the processor
    is faster so, and no `timeout` is given, which would count the time that files take from
    each other. The environment's TEP_PARALLEL_SHA256 names the kernel to use: with `openssl`
    it is one file at a time.

    Args:
        key: Of HMAC; str is taken as UTF-8, anything bytes-like as it is; it may be empty.
        algorithm: "hmac-sha256", or "sha256", which takes no key.

    Raises:
        TypeError: The key is neither str nor bytes-like.
        ValueError: There is no such algorithm, or a key with "sha256".

    Source: FIPS 180-4, RFC 2104.
    """

    def __init__(self, key: str | Buffer = b"", *, algorithm: Algorithm = "hmac-sha256") -> None:
        if algorithm not in ALGORITHMS:
            expected = ", ".join(map(repr, ALGORITHMS))
            msg = f"algorithm: expected one of {expected}, got {algorithm!r}"
            raise ValueError(msg)
        self._key: bytes | None = bytes_of("key", key)
        if algorithm == "sha256":
            if self._key:
                msg = "key: sha256 takes none; hmac-sha256 does"
                raise ValueError(msg)
            self._key = None

    def process(self, item: StrOrBytesPath) -> str:
        """Digest the file at the path `item`.

        Raises:
            OSError: It cannot be read, or is no regular file.
        """
        return file_digest(self._key, item)


def joined(paths: list[Any]) -> bytes | None:
    """The names as the system knows them, each with a NUL behind it; None: one has no such."""
    try:
        text: str | None = "\0".join(paths)  # so quick that it may be done twice
    except TypeError:
        text = None  # there are others than str
    try:
        if text is not None:
            joined = text.encode(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())
        else:
            joined = b"\0".join(map(os.fsencode, paths))
    except (TypeError, UnicodeEncodeError):
        return None
    if joined.count(b"\0") != max(len(paths) - 1, 0):
        return None
    return joined + b"\0" if paths else b""


class Job:
    """What C needs to digest the items of a call."""

    def __init__(self, paths: bytes, key: bytes | None, kernel: bytes) -> None:
        self.paths = paths
        self.key = key
        self.kernel = kernel


def job_of(worker: ParallelWorker | Process, items: list[Any], options: Options) -> Job | None:
    """How the call is done in C; None: it is not.

    Raises:
        ValueError: TEP_PARALLEL_SHA256 names a kernel that this processor does not have.
    """
    if not _in_c(worker, options):
        return None
    assert isinstance(worker, FileDigest)
    paths = joined(items)
    if paths is None:
        return None  # process says of each what is wrong with it
    return Job(paths, worker._key, wanted_kernel())


def wanted_kernel() -> bytes:
    """The name of the kernel that the environment asks for; empty: of none.

    Raises:
        ValueError: This processor has no such.
    """
    wanted = os.environ.get(_KERNEL, "")
    name = os.fsencode(wanted)
    if native().lib.sphttp_sha256_kernel(name) == native().ffi.NULL:
        msg = f"{_KERNEL}: this processor has no kernel {wanted!r}; openssl is everywhere"
        raise ValueError(msg)
    return name


def _in_c(worker: ParallelWorker | Process, options: Options) -> bool:
    """Whether the call's children need no Python: neither the worker's nor a codec's."""
    if type(worker) is not FileDigest or options.codec is not None:
        return False
    own = getattr(worker.process, "__func__", None) is FileDigest.process
    return own and hooks_of(worker) == (None, None)


def size_of(path: StrOrBytesPath) -> int:
    """The size of the file, bytes; 0 where that cannot be had."""
    try:
        return os.stat(path).st_size
    except (OSError, ValueError):
        return 0
