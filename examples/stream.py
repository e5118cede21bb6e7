"""Log lines from standard input through a pool; each comes out as JSON as soon as it is ready.

It follows a log, too: `tail -f access.log | python stream.py`. Ctrl-C ends it.
"""
# make example RUN="stream.py" < access.log

import contextlib
import json
import os
import re
import select
import sys
from collections.abc import Iterator

from tep_parallel import Parallel

FIELDS = re.compile(
    r'(?P<host>\S+) \S+ \S+ \[(?P<time>[^]]+)\] "(?P<request>[^"]*)" (?P<status>\d+) (?P<size>\S+)'
)
NOTHING_YET = ""


def parse(line: str) -> str:
    found = FIELDS.match(line)
    if found is None and line != NOTHING_YET:
        message = "not in the common log format"
        raise ValueError(message)
    return json.dumps(found.groupdict()) if found else ""


def lines() -> Iterator[str]:
    """The lines. While there is none to read, NOTHING_YET: what waits for long would hold up
    results that are ready."""
    rest = b""
    while True:
        if not select.select([0], [], [], 0.05)[0]:  # seconds
            yield NOTHING_YET
            continue
        read = os.read(0, 1 << 16)
        *whole, rest = (rest + read).split(b"\n") if read else (rest, b"")
        yield from (line.decode(errors="replace") for line in whole)
        if not read:
            return


def main() -> None:
    for outcome in Parallel(parse, in_processes=True, timeout=5).as_completed(lines()):
        if not outcome.ok:
            print(f"{outcome.item!r}: {outcome.error}", file=sys.stderr, flush=True)
        elif outcome.result:
            print(outcome.result, flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
