"""A job queue on SQLite, and a job that fans out. hand_over.py gives it work."""
# make example RUN="-m huey.bin.huey_consumer jobs.queue"     (the worker; Ctrl-C ends it)

import os
from pathlib import Path

from huey import SqliteHuey

from tep_parallel import Parallel, Sock

queue = SqliteHuey(filename=os.environ.get("JOBS", Path(__file__).with_name("jobs.sqlite")))


def digest(path: str) -> str:
    return Sock.sphttp_hmac_sha256_hex(b"", Path(path).read_bytes())


@queue.task()
def write_digests(paths: list[str], report: str) -> None:
    digests = Parallel(digest).map_processes(paths)
    lines = [f"{path} {line}\n" for path, line in zip(paths, digests, strict=True)]
    Path(report).write_text("".join(lines))
