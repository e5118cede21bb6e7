"""What C knows of a call whose children have ended: their results, and how they ended."""

from __future__ import annotations

from tep_parallel._engine.native import ffi, lib
from tep_parallel._outcome import this_host
from tep_parallel._typing import Any

_buffer = ffi.buffer
_drop = lib.sphttp_call_drop
_result_of = lib.sphttp_call_result


class Results:
    """The results of one call, as C has them.

    Args:
        handle: The call's.
    """

    def __init__(self, handle: Any) -> None:
        self.handle = handle
        self.found = ffi.new("sphttp_result *")

    @property
    def overstayed(self) -> tuple[int, int]:
        """The first child that was killed at its end: its pid, and what it was doing, of enum
        sphttp_leaving. The pid is 0 if there was none."""
        stage = ffi.new("int *")
        return lib.sphttp_call_overstayed(self.handle, stage), stage[0]

    @property
    def unready(self) -> tuple[int, int]:
        """The first child that ended in its setup: its pid, and its wait status. The pid is 0
        if there was none."""
        status = ffi.new("int *")
        return lib.sphttp_call_unready(self.handle, status), status[0]

    def fill(self, texts: list[Any]) -> int:
        """Put the text of each item that returned one in its place. Returns how many other
        items there are whose result was not discarded; below 0: call it again, for there is more.
        In a fed call: of each item that `fresh` will tell of, and of all at once."""
        left: int = lib.py_call_texts(self.handle, id(texts))
        return left

    def result(self, index: int) -> Any:
        """What became of item `index`: an sphttp_result, which the next call overwrites."""
        _result_of(self.handle, index, self.found)
        return self.found

    def host(self, index: int) -> str:  # noqa: ARG002
        """The machine on which item `index` was processed."""
        return this_host()

    def _copy(self, index: int, result: Any) -> None:
        if not result.payload and result.size:
            lib.sphttp_call_copy(self.handle, index, result)

    def gives_back(self) -> bool:
        """Nobody asks for results any more: give memory back. Whether to call this again soon."""
        return bool(lib.sphttp_call_empty(self.handle, 0))

    def forget(self) -> None:
        """After that: let go of what is left of it."""
        lib.sphttp_call_forget(self.handle)

    def text(self, index: int, result: Any) -> str:
        """The payload of `result` as the child's str. It can be fetched once.

        Raises:
            UnicodeDecodeError: No child of the library has written that.
        """
        self._copy(index, result)
        text = str(_buffer(result.payload, result.size), "utf-8", "surrogatepass")
        _drop(self.handle, index)
        return text

    def payload(self, index: int, result: Any) -> bytes:
        """The payload of `result`. It can be fetched once."""
        self._copy(index, result)
        payload = bytes(_buffer(result.payload, result.size))
        _drop(self.handle, index)
        return payload
