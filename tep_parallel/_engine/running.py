"""The calls of a Parallel that run now, for abort."""

from __future__ import annotations

from weakref import ref

from tep_parallel._typing import Protocol


class Abortable(Protocol):
    """A call that abort can end."""

    def abort(self) -> None: ...


class Running:
    """The calls of a Parallel that run now.

    No entry keeps its call. There is no lock: a signal handler may call abort at any time.
    """

    def __init__(self) -> None:
        self._entries: dict[int, ref[Abortable]] = {}

    def enter(self, call: Abortable) -> None:
        """Let abort end `call`."""
        key = id(call)
        self._entries[key] = ref(call, lambda _: self._entries.pop(key, None))

    def leave(self, call: Abortable) -> None:
        """Nothing of `call` runs any more. A second call does nothing."""
        self._entries.pop(id(call), None)

    def calls(self) -> list[Abortable]:
        """Those that run now."""
        calls = [entry() for entry in list(self._entries.values())]
        return [call for call in calls if call is not None]

    def abort(self) -> None:
        """End the calls that run now."""
        for call in self.calls():
            call.abort()
