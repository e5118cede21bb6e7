"""FileDigest: a worker that digests files, in C where it can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

from tep_parallel._sock import bytes_of, file_digest
from tep_parallel._worker import ParallelWorker, setup_and_teardown_of

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from tep_parallel._engine.codec import Codec
    from tep_parallel._engine.digest_job import Job
    from tep_parallel._sock import StrOrBytesPath
    from tep_parallel._worker import Process

Algorithm = Literal["hmac-sha256", "sha256"]
ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)


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


def job_of(
    worker: ParallelWorker | Process, items: list[Any], codec: Codec[Any] | None
) -> Job | None:
    """What C has to do for `worker`; None: its children need Python.

    Raises:
        ValueError: TEP_PARALLEL_SHA256 names a kernel that this processor does not have.
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
