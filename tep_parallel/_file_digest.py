"""FileDigest: a worker that digests files, in C where it can."""

from __future__ import annotations

from tep_parallel._sock import bytes_of, file_digest
from tep_parallel._typing import TYPE_CHECKING, Any, Literal, public
from tep_parallel._worker import ParallelWorker, setup_and_teardown_of

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from tep_parallel._engine.digest_job import Job
    from tep_parallel._protocols import Codec
    from tep_parallel._sock import StrOrBytesPath
    from tep_parallel._worker import Process

Algorithm = Literal["hmac-sha256", "sha256"]
ALGORITHMS: tuple[Algorithm, ...] = ("hmac-sha256", "sha256")


@public
class FileDigest(ParallelWorker):
    """A worker that returns the digest of a file, as 64 lower-case hexadecimal digits.

    Children digest the files in C, without Python, if there is no codec and this is not a
    subclass; otherwise they call `process`. In C, a child of a pool reads several files at
    once if the processor is faster that way. With a `timeout` it reads one file at a time.
    TEP_PARALLEL_SHA256 in the environment names the code that computes SHA-256; `alone`
    reads one file at a time. In a block of Parallel each call has children of its own.

    Args:
        key: The key of HMAC: str, encoded as UTF-8, or a bytes-like object. It may be empty.
        algorithm: "hmac-sha256", or "sha256", which has no key.

    Raises:
        TypeError: The key is neither str nor bytes-like.
        ValueError: There is no such algorithm, or "sha256" was given a key.

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
            OSError: The file cannot be read, or is not a regular file.
        """
        return file_digest(self._key, item)


def job_of(
    worker: ParallelWorker | Process, items: list[Any], codec: Codec[Any] | None
) -> Job | None:
    """What C has to do for `worker`; None: its children need Python.

    Raises:
        ValueError: TEP_PARALLEL_SHA256 names a SHA-256 routine that this processor does not have.
    """
    if type(worker) is not FileDigest or codec is not None:
        return None
    own = getattr(worker.process, "__func__", None) is FileDigest.process
    if not own or setup_and_teardown_of(worker) != (None, None):
        return None
    from tep_parallel._engine.digest_job import Job, joined, wanted_kernel

    paths = joined(items)
    if paths is None:
        return None  # process says of each item what is wrong with it
    return Job(paths, worker._key, wanted_kernel())
