"""Whatever stands where text is written to, a call works, and all that was printed arrives once.

    odd_streams.py alone | threads | hooks

Standard output is a pipe. Each kind takes the place of sys.stdout, then that of a handler's.
"""

import io
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from tep_parallel import Parallel

real = os.dup(1)


def text(stream: Any = None) -> io.TextIOWrapper:
    return io.TextIOWrapper(stream or open(os.dup(real), "wb"), encoding="utf-8")


class Own(io.TextIOWrapper):
    """A subclass whose constructor is its own."""

    def __init__(self) -> None:
        super().__init__(open(os.dup(real), "wb"), encoding="utf-8")


class Liar:
    """A proxy that says it is what it stands for."""

    def __init__(self, target: Any) -> None:
        object.__setattr__(self, "_target", target)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(object.__getattribute__(self, "_target"))

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "_target"), name)


class Buffering:
    """No stream at all: it keeps what is written until it is flushed."""

    def __init__(self) -> None:
        self._parts: list[str] = []

    def write(self, part: str) -> int:
        self._parts.append(part)
        return len(part)

    def flush(self) -> None:
        parts, self._parts = self._parts, []
        os.write(real, "".join(parts).encode())


class Tee:
    """One that writes to several, and has no attribute `closed`."""

    def __init__(self, *targets: Any) -> None:
        self._targets = targets

    def write(self, part: str) -> int:
        return max(target.write(part) for target in self._targets)

    def flush(self) -> None:
        for target in self._targets:
            target.flush()


class Deaf:
    """It cannot even be flushed."""

    def write(self, part: str) -> int:
        return os.write(real, part.encode())


class Unbound:
    """A proxy of nothing, just now."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(f"no {name} outside of a request")


def closed() -> Any:
    stream = text()
    stream.close()
    return stream


def detached() -> Any:
    stream = text()
    stream.detach().close()
    return stream


WRITABLE: list[Callable[[], Any]] = [
    text,
    Own,
    Buffering,
    Deaf,
    lambda: Liar(text()),
    lambda: Liar(Own()),
    lambda: Tee(text(), io.StringIO()),
    lambda: text(open(os.dup(real), "wb", 0)),
    lambda: text(io.BufferedRandom(io.FileIO("/dev/null", "r+"))),
    io.StringIO,
]
USELESS: list[Callable[[], Any]] = [
    lambda: None,
    closed,
    detached,
    lambda: io.TextIOWrapper.__new__(io.TextIOWrapper),
    lambda: Liar(None),
    lambda: text(io.BytesIO()),
    lambda: open("/dev/null"),
    Unbound,
    object,
]

host = sys.argv[1]
if host == "threads":
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
options: dict[str, Any] = {"on_finish": lambda outcome: None} if host == "hooks" else {}
log = logging.getLogger("case")
log.setLevel(logging.INFO)


def printing(item: str) -> str:
    print(f"<child {item}>")
    return item


def quiet(item: str) -> str:
    return item


def logging_(item: str) -> str:
    log.info("<log %s>", item)
    return item


for number, make in enumerate(WRITABLE):
    for shape in ({}, {"in_processes": 2}):
        sys.stdout = make()
        print(f"<host {number}>")
        assert Parallel(printing, **shape, **options).map_processes(["a", "b"]) == ["a", "b"]
        sys.stdout.flush() if hasattr(sys.stdout, "flush") else None
        sys.stdout = sys.__stdout__
        handler = logging.StreamHandler(make())
        log.addHandler(handler)
        assert Parallel(logging_, **shape, **options).map_processes(["a", "b"]) == ["a", "b"]
        log.removeHandler(handler)
logging.raiseExceptions = False
for number, make in enumerate(USELESS):
    sys.stdout = sys.stderr = make()
    log.addHandler(handler := logging.StreamHandler(io.StringIO()))
    handler.stream = make()
    found = Parallel(quiet, **options).map_processes(["a"])
    found += Parallel(quiet, in_processes=1, **options).map_processes(["a"])
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    log.removeHandler(handler)
    assert found == ["a", "a"], number
