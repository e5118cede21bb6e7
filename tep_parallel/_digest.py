"""Digest fan-outs: the files are read and digested in C, by children that never run Python."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, overload

from tep_parallel._errors import shown
from tep_parallel._parallel import Parallel
from tep_parallel._sock import bytes_of, file_digest, native
from tep_parallel._worker import ParallelWorker, hooks_of

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from tep_parallel._options import Options, Progress
    from tep_parallel._sock import StrOrBytesPath
    from tep_parallel._worker import Process

ALGORITHMS = ("hmac-sha256", "sha256")
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

    def __init__(self, key: str | Buffer = b"", *, algorithm: str = "hmac-sha256") -> None:
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


@overload
def digest_files(
    paths: Iterable[StrOrBytesPath],
    key: str | Buffer = b"",
    *,
    algorithm: str = "hmac-sha256",
    in_processes: int | bool | None = True,
    timeout: float | None = None,
    deadline: float | None = None,
    retries: int = 0,
    on_error: str = "stop",
    progress: Progress | bool | None = None,
    return_exceptions: Literal[False] = False,
) -> list[str]: ...


@overload
def digest_files(
    paths: Iterable[StrOrBytesPath],
    key: str | Buffer = b"",
    *,
    algorithm: str = "hmac-sha256",
    in_processes: int | bool | None = True,
    timeout: float | None = None,
    deadline: float | None = None,
    retries: int = 0,
    on_error: str = "stop",
    progress: Progress | bool | None = None,
    return_exceptions: bool,
) -> list[str | BaseException]: ...


def digest_files(
    paths: Iterable[StrOrBytesPath],
    key: str | Buffer = b"",
    *,
    algorithm: str = "hmac-sha256",
    in_processes: int | bool | None = True,
    timeout: float | None = None,
    deadline: float | None = None,
    retries: int = 0,
    on_error: str = "stop",
    progress: Progress | bool | None = None,
    return_exceptions: bool = False,
) -> list[str] | list[str | BaseException]:
    """Return the digest of each file, in the order of the paths.

    Args:
        paths: Of regular files; str, bytes or os.PathLike.
        key: As of FileDigest.
        algorithm: Likewise.
        in_processes: How many children there are; True: processor_count().
        timeout: Seconds that a file may take; each child then takes one after another. None:
            for ever.
        deadline: Seconds that the whole call may take. None: for ever.
        retries: How often a file whose child died is tried again. (With in_processes=0 these
            three are not enforced.)
        on_error: As of Parallel; with return_exceptions every file is tried.
        progress: True: a bar of tqdm's on standard error; or an object whose `update(n)` is
            called when n more bytes have been read.
        return_exceptions: Whether, in place of the digest of a file that failed, its
            exception stands in the list, as with asyncio.gather.

    Raises:
        TypeError, ValueError: An argument of the wrong kind, or out of range; a path with a
            NUL in it. Nothing was forked.
        OSError: A file cannot be read, or is no regular file: the first by the order of the
            paths; its `filename` is the path.
        ParallelError: As of Parallel.map_processes.

    Source: sha256sum(1), and hashlib.file_digest, which take one file after another.
    """
    listed = _checked(paths)
    fan_out = Parallel(
        FileDigest(key, algorithm=algorithm),
        in_processes=in_processes,
        timeout=timeout,
        deadline=deadline,
        retries=retries,
        on_error=on_error,
        progress=progress,
    )
    if not return_exceptions:
        return fan_out.map_processes(listed)
    ended = fan_out._run(listed, "finish")
    if ended is None:
        return []
    found, failures = ended.results(every=True)
    for index, _, error in failures:
        found[index] = error
    return found


def _checked(paths: Iterable[StrOrBytesPath]) -> list[StrOrBytesPath]:
    if isinstance(paths, str | bytes | os.PathLike) or not hasattr(type(paths), "__iter__"):
        msg = f"paths: expected an iterable of paths, got one {type(paths).__name__}"
        raise TypeError(msg)
    listed = list(paths)
    if _joined(listed) is not None:
        return listed
    for index, path in enumerate(listed):
        where = f"paths: number {index} ({shown(path)})"
        try:
            name = os.fsencode(path)
        except TypeError as error:
            msg = f"{where}: {error}"
            raise TypeError(msg) from error
        except UnicodeEncodeError as error:
            msg = f"{where} is in no encoding of file names"
            raise ValueError(msg) from error
        if b"\0" in name:
            msg = f"{where} has a NUL in it"
            raise ValueError(msg)
    raise AssertionError  # not reached: together they fail only where one does


def _joined(paths: list[Any]) -> bytes | None:
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
    if not in_bytes(worker, options):
        return None
    assert isinstance(worker, FileDigest)
    paths = _joined(items)
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


def in_bytes(worker: ParallelWorker | Process, options: Options) -> bool:
    """Whether the progress of a call is counted in bytes, not items."""
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
