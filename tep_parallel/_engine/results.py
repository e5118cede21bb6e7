"""What C has of a call whose children have ended: results, and what is to be said of children."""

from __future__ import annotations

from typing import Any

from tep_parallel._engine.native import ffi, lib

_buffer = ffi.buffer
_drop = lib.sphttp_call_drop
_result_of = lib.sphttp_call_result


class Results:
    """Those of one call.

    Args:
        handle: The call's.
    """

    def __init__(self, handle: Any) -> None:
        self.handle = handle
        self._result = ffi.new("sphttp_result *")

    @property
    def overstayed(self) -> tuple[int, int]:
        """The first child that was killed while it left: its pid, 0 where there was none, and
        what it was doing, of sphttp_leaving."""
        stage = ffi.new("int *")
        return lib.sphttp_call_overstayed(self.handle, stage), stage[0]

    @property
    def unready(self) -> tuple[int, int]:
        """The first child that ended in its setup: its pid, 0 where there was none, and its
        wait status."""
        status = ffi.new("int *")
        return lib.sphttp_call_unready(self.handle, status), status[0]

    def fill(self, texts: list[Any]) -> int:
        """Put the text of each item that returned one in its place; how many items there are
        that returned something else or nothing, and were not discarded."""
        left = -1
        while left < 0:  # Python has run the handlers on the way here
            left = lib.py_call_texts(self.handle, id(texts))
        return left

    def result(self, index: int) -> Any:
        """What became of item `index`: an sphttp_result, good until the next is asked for."""
        _result_of(self.handle, index, self._result)
        return self._result

    def text(self, index: int, result: Any) -> str:
        """The payload of `result` as the child's str; it can be asked for once.

        Raises:
            UnicodeDecodeError: It is not what a child of ours has written.
        """
        text = str(_buffer(result.payload, result.size), "utf-8", "surrogatepass")
        _drop(self.handle, index)
        return text

    def payload(self, index: int, result: Any) -> bytes:
        """The payload of `result`; it can be asked for once."""
        payload = bytes(_buffer(result.payload, result.size))
        _drop(self.handle, index)
        return payload
