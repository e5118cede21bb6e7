"""digest_files: one call for the digests of many files."""

from __future__ import annotations

import os
from collections.abc import Iterable

from tep_parallel._engine.arguments import InBytes
from tep_parallel._engine.counting import processor_count
from tep_parallel._engine.ended import values_of
from tep_parallel._engine.options import BY_SIZE, Options
from tep_parallel._engine.running import Running
from tep_parallel._errors import Failure, shown
from tep_parallel._file_digest import FileDigest, job_of
from tep_parallel._typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    SupportsFloat,
    SupportsIndex,
    overload,
    public,
)

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from typing_extensions import Buffer, Unpack

    from tep_parallel._engine.arguments import DigestArguments, OnError
    from tep_parallel._engine.ended import Ended
    from tep_parallel._file_digest import Algorithm
    from tep_parallel._protocols import Progress
    from tep_parallel._sock import StrOrBytesPath


@overload
def digest_files(
    paths: Iterable[StrOrBytesPath],
    key: str | Buffer = b"",
    *,
    algorithm: Algorithm = "hmac-sha256",
    return_exceptions: Literal[False] = False,
    **options: Unpack[DigestArguments],
) -> list[str]: ...


@overload
def digest_files(
    paths: Iterable[StrOrBytesPath],
    key: str | Buffer = b"",
    *,
    algorithm: Algorithm = "hmac-sha256",
    return_exceptions: bool,
    **options: Unpack[DigestArguments],
) -> list[str | BaseException]: ...


@public
def digest_files(
    paths: Iterable[StrOrBytesPath],
    key: str | Buffer = b"",
    *,
    algorithm: Algorithm = "hmac-sha256",
    in_processes: int | SupportsIndex | None = BY_SIZE,
    timeout: float | SupportsFloat | None = None,
    deadline: float | SupportsFloat | None = None,
    retries: int | SupportsIndex = 0,
    on_error: OnError = "stop",
    progress: Progress | bool | None = None,
    executor: Executor | None = None,
    chunk_size: int | SupportsIndex | None = None,
    return_exceptions: bool = False,
) -> list[str] | list[str | BaseException]:
    """Return the digest of each file, in the order of the paths.

    Args:
        paths: Of regular files; str, bytes or os.PathLike.
        key: See FileDigest.
        algorithm: See FileDigest.
        in_processes: How many children there are. True: processor_count(). By default there are
            as many, or none: the calling thread digests a small set of files, without the GIL.
            Small is what has at most 16 MiB (1 MiB in the thread of an event loop), without
            timeout, deadline and progress. docs/digests.md has the rule.
        timeout: Seconds that one file may take. With it, each child reads one file at a time.
        deadline: Seconds that the whole call may take.
        retries: How often a file whose child died is tried again. See Parallel for all three.
        on_error: See Parallel. With return_exceptions every file is tried.
        progress: See Parallel, but it counts the bytes that have been read.
        executor, chunk_size: See Parallel; in_processes is None then by default.
        return_exceptions: Whether the list has the exception of a file that failed in place
            of its digest, as asyncio.gather does. Otherwise the first failure is raised.

    Raises:
        TypeError, ValueError: An argument is of the wrong kind or out of range, or a path has
            a NUL in it. Nothing was forked.
        OSError: A file cannot be read, or is not a regular file. `filename` is its path.
        ParallelError: See Parallel.map_processes.

    Source: sha256sum(1) and hashlib.file_digest, which read one file after another.
    """
    listed = checked(paths)
    worker = FileDigest(key, algorithm=algorithm)
    options = Options(
        in_processes=in_processes,
        timeout=timeout,
        deadline=deadline,
        retries=retries,
        on_error=on_error,
        progress=InBytes(progress),
        executor=executor,
        chunk_size=chunk_size,
    )
    if not listed:
        return []
    ended = _digested(worker, listed, options, "finish" if return_exceptions else on_error)
    if not return_exceptions:
        return values_of(ended)  # type: ignore[no-any-return]
    return with_exceptions(*ended.results(every=True))


def with_exceptions(found: list[Any], failures: list[Failure]) -> list[str | BaseException]:
    """The digests, with the exception of each file that failed in its place."""
    for index, _, error in failures:
        found[index] = error
    return found


def _digested(
    worker: FileDigest, listed: list[StrOrBytesPath], options: Options, on_error: OnError
) -> Ended:
    """Digest the files, in this thread or in children."""
    # Loaded here, since importing this package must stay cheap.
    from tep_parallel._engine.small import digested_here

    if options.executor is not None:
        from tep_parallel._cluster.run import Far
        from tep_parallel._engine.run import run_far

        far = Far(options, job_of)
        return run_far(far, worker, listed, options, Running(), on_error)
    job = job_of(worker, listed, None) if options.in_processes != 0 else None
    if options.by_size:
        ended = digested_here(job, listed, options, on_error)
        if ended is not None:
            return ended
        options.in_processes = processor_count()
    from tep_parallel._engine.run import run

    return run(worker, listed, options, Running(), on_error, job=job)


def checked(paths: Iterable[StrOrBytesPath]) -> list[StrOrBytesPath]:
    """The paths, each of which can be that of a file.

    Raises:
        TypeError, ValueError: See digest_files.
    """
    if isinstance(paths, str | bytes | os.PathLike) or not hasattr(type(paths), "__iter__"):
        msg = f"paths: expected an iterable of paths, got one {type(paths).__name__}"
        raise TypeError(msg)
    from tep_parallel._engine.digest_job import joined

    listed = list(paths)
    if joined(listed) is not None:
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
    raise AssertionError  # not reached: joined refuses the list only if it has such a path
