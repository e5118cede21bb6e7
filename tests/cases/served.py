"""Kept children by hand, through the functions of C: a server, and nests that it forks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from tep_parallel._engine.native import ffi, lib

POOL = lib.SPHTTP_POOL | lib.SPHTTP_FED | lib.SPHTTP_KEPT | lib.SPHTTP_LINGER
CELLS = 64


class Server:
    """A mould, whose server is forked here; `work` is what its children do."""

    def __init__(
        self, work: Callable[[str], str], alive: int = 2, keep: Iterable[int] = ()
    ) -> None:
        error = ffi.new("int *")
        how = POOL | lib.SPHTTP_SERVER
        handle = lib.py_call_open(CELLS, alive, how, b"/tmp", error)
        assert error[0] == 0, os.strerror(-error[0])
        self.handle = ffi.gc(handle, lib.py_call_free)
        keep = list(keep)
        assert lib.sphttp_server_keep(self.handle, keep, len(keep)) == 0
        event = ffi.new("sphttp_event *")
        kind = lib.py_call_start(self.handle, event)
        if kind == lib.SPHTTP_CHILD:
            _serve(self.handle, work)
        assert kind == lib.SPHTTP_STARTED, (kind, os.strerror(event.error))

    def close(self) -> None:
        lib.py_call_close(self.handle)


def _serve(handle: Any, work: Callable[[str], str]) -> NoReturn:
    try:
        box: list[Any] = [None]
        cell = lib.py_child_first(handle)
        while cell >= 0:
            assert lib.py_child_item(handle, cell, id(box)) == 0
            text = work(box[0]).encode()
            status = lib.SPHTTP_RETURNED
            cell = lib.sphttp_child_commit(handle, cell, status, text, len(text))
        os._exit(0)
    except BaseException as error:  # no child may go on in the caller's program
        os.write(2, f"{error!r}\n".encode())
        os._exit(1)


class Nest:
    """A nest of that server."""

    def __init__(self, server: Server) -> None:
        error = ffi.new("int *")
        handle = lib.py_nest_open(server.handle, error)
        assert error[0] == 0, os.strerror(-error[0])
        self.handle = ffi.gc(handle, lib.py_call_free)
        self.event = ffi.new("sphttp_event *")
        self.kind = lib.py_call_start(self.handle, self.event)

    @property
    def ready(self) -> int:
        return int(lib.sphttp_nest_ready(self.handle))

    @property
    def pid(self) -> int:
        while self.ready == 0:
            pass
        return int(lib.sphttp_nest_pid(self.handle))

    def feed(self, items: list[str], how: int = 0) -> list[int]:
        assert lib.sphttp_nest_begin(self.handle, how, 0) == 0
        cells = [lib.py_call_feed(self.handle, id(item)) for item in items]
        assert min(cells) >= 0
        lib.sphttp_call_end_feed(self.handle)
        return cells

    def run(self) -> None:
        """To the end of the round."""
        kind = lib.SPHTTP_NEWS
        while kind in (lib.SPHTTP_NEWS, lib.SPHTTP_SIGNALS):
            kind = lib.py_call_run(self.handle, self.event)
        assert kind == lib.SPHTTP_ENDED, (kind, os.strerror(self.event.error))

    def results(self, cells: list[int]) -> list[str]:
        found: list[str] = []
        result = ffi.new("sphttp_result *")
        for cell in cells:
            lib.sphttp_call_result(self.handle, cell, result)
            assert result.fate == lib.SPHTTP_RETURNED, result.fate
            found.append(ffi.unpack(result.payload, result.size).decode())
        return found

    def map(self, items: list[str], how: int = lib.SPHTTP_PATIENT) -> list[str]:
        """One round; the nest can serve another."""
        cells = self.feed(items, how)
        self.run()
        found = self.results(cells)
        assert self.renew() > 0
        return found

    def renew(self) -> int:
        return int(lib.sphttp_nest_renew(self.handle))

    def leave(self) -> None:
        lib.sphttp_nest_leave(self.handle)
        self.run()
        self.close()

    def close(self) -> None:
        lib.py_call_close(self.handle)
