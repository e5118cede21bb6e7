"""A small set of files: the calling thread digests it, in C. Children would cost more."""

from __future__ import annotations

import errno
import os
import sys

from tep_parallel._engine.digest_job import Job
from tep_parallel._engine.ended import Ended
from tep_parallel._engine.native import fail, ffi, file_error, lib
from tep_parallel._engine.options import Options
from tep_parallel._outcome import Outcome, this_host
from tep_parallel._typing import Any

_MOST = 16 << 20  # bytes, where each file counts for some more; benchmarks/small_digests.py
_MOST_IN_LOOP = 1 << 20  # the same in the thread of an event loop, which others wait for
_DIGITS = 64


def digested_here(
    job: Job | None, paths: list[Any], options: Options, on_error: str
) -> Ended | None:
    """Digest the files in this thread, without the GIL; None: they are for children to digest.

    Args:
        job: What is to be done; None: C cannot do it.
        paths: The paths as the caller has given them, at least one.
        options: The caller's. Nothing can be killed here, so a limit needs children.
        on_error: See run. What has been begun is so small that nothing is gained by killing it.

    Raises:
        OSError: No memory.
        RuntimeError: This is not the main interpreter.
    """
    limited = options.timeout is not None or options.deadline is not None
    if job is None or limited or options.watched:
        return None
    stop = on_error != "finish"
    most = _MOST_IN_LOOP if in_event_loop() else _MOST
    key = ffi.NULL if job.key is None else job.key
    names = ffi.from_buffer("char[]", job.paths)  # read there until the end
    error = ffi.new("int *")
    given = names, len(job.paths), len(paths), key, len(job.key or b""), job.kernel, most, stop
    # One step for the interpreter: see Call.
    opened = map(lib.py_small_open, *([each] for each in given), [error])
    (handle,) = map(ffi.gc, opened, [lib.sphttp_small_free])
    if error[0] == lib.SPHTTP_NOT_SMALL:
        return None
    if error[0] != 0:
        fail(error[0], f"preparing to digest {len(paths)} files")
    with handle:  # a handler may raise: then the files are closed here
        code = -errno.EINTR
        while code == -errno.EINTR:  # Python has run its signal handlers on the way here
            code = lib.py_small_run(handle)
        if code == lib.SPHTTP_NOT_SMALL:
            return None
        digits = ffi.unpack(lib.sphttp_small_hex(handle), len(paths) * _DIGITS)
        codes: list[int] = ffi.unpack(lib.sphttp_small_codes(handle), len(paths))
    return _ended(paths, codes, digits)


def _ended(paths: list[Any], codes: list[int], digits: bytes) -> Ended:
    values: list[str | None] = [None] * len(paths)
    failed: dict[int, Outcome[Any]] = {}
    for index, code in enumerate(codes):
        if code == 0:
            values[index] = digits[index * _DIGITS : (index + 1) * _DIGITS].decode("ascii")
        elif code != lib.SPHTTP_UNTRIED:  # such a one has another failure before it
            error = file_error(code, paths[index])
            failed[index] = Outcome(
                index, paths[index], error=error, host=this_host(), pid=os.getpid(), attempts=1
            )
    return Ended(paths, failed, {}, values=values)


def in_event_loop() -> bool:
    """Whether this thread runs an event loop: asyncio's, one that stands in for it, or gevent's."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("select"):
        return True
    events = sys.modules.get("asyncio.events")
    return events is not None and events._get_running_loop() is not None
