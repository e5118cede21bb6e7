"""One call of the C core, from its fork to its last result."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from types import TracebackType

from tep_parallel._engine.asking import Asking, gevents_waiter
from tep_parallel._engine.native import fail, ffi, lib
from tep_parallel._engine.waits import TURN, WORD, Wait
from tep_parallel._typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from tep_parallel._engine.digest_job import Job
    from tep_parallel._engine.running import Running

# cffi makes a function when somebody first asks for it: here, so that no child has to.
commit: Callable[[Any, int, int, bytes, int], int] = lib.sphttp_child_commit
commit_text: Callable[[Any, int, int], int] = lib.py_child_commit_text
work: Callable[[Any, int, int, int, int, int, int], int] = lib.py_child_work
item_of: Callable[[Any, int, int], int] = lib.py_child_item
raised_idle: Callable[[int], None] = lib.py_child_raised
setup_done: Callable[[Any], None] = lib.sphttp_child_begin
fail_call: Callable[[Any, int, bytes, int], NoReturn] = lib.sphttp_child_fail
slot: Callable[[Any], int] = lib.sphttp_child_slot
leave: Callable[[int], NoReturn] = lib.sphttp_exit
# In the children of a block.
first: Callable[[Any], int] = lib.py_child_first
discards: Callable[[Any], int] = lib.sphttp_child_discards
kept_leave: Callable[[Any, int], NoReturn] = lib.sphttp_child_exit

ABORTED = -1  # beside enum sphttp_event_kind
_CHILD = lib.SPHTTP_CHILD
_STARTED = lib.SPHTTP_STARTED
_ELSEWHERE = lib.SPHTTP_ELSEWHERE
_FAILED = lib.SPHTTP_FAILED
_SIGNALS = lib.SPHTTP_SIGNALS
_UNDER_WAY = (_STARTED, _SIGNALS)


class Call(Asking):
    """A call of the C core: a nursery, which is the process that forks and awaits the children,
    and the children. Leaving the block ends all of them that still run.

    Args:
        count: How many items there are, at least 1.
        alive: How many children may be alive at once, at least 1.
        how: Flags of enum sphttp_how.
        root: The directory in which the scratch directory is made, an absolute path.
        running: Where the call is entered until it is closed.

    Raises:
        OSError: No memory, no descriptors, or a path that is too long.
        RuntimeError: This is not the main interpreter.
    """

    kept = False  # whether it is one of a block

    def __init__(self, count: int, *, alive: int, how: int, root: str, running: Running) -> None:
        error = ffi.new("int *")
        given = [count], [alive], [how], [os.fsencode(root)], [error]
        # The handle alone closes a call whose block was never left properly: a signal handler
        # may raise in __exit__. A second owner, with __del__, could come after it in a cycle.
        # One step for the interpreter: a handler that raised between the two calls would leave a
        # call that nobody closes.
        (handle,) = map(ffi.gc, map(lib.py_call_open, *given), [lib.py_call_free])
        if error[0] != 0:
            fail(error[0], f"preparing a call of {count} items below {root!r}")
        super().__init__(handle)
        self.event = ffi.new("sphttp_event *")  # the last one, for a child to look at
        self.serve: Callable[[], NoReturn] = _leave  # what a child does, from its fork to its end
        self.out: deque[Any] = deque()  # what is handed out, and not fetched
        self._root = root
        self.aborted = False
        self._running = running
        running.enter(self)

    def __enter__(self) -> Call:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        self.leave_if_child()
        self.close()

    def leave_if_child(self) -> None:
        """In a child, end that: what it raised must not reach the caller's program."""
        if lib.sphttp_call_in_child(self.handle):
            leave(1)

    def close(self) -> None:
        """End whatever still runs. A second call does nothing."""
        lib.py_call_close(self.handle)
        self._running.leave(self)

    def part(self, *, fetched: bool) -> bool:  # noqa: ARG002
        """Nobody will ask for anything of it any more. Whether to wait for LEFT then.

        Args:
            fetched: Whether all that there was has been fetched.
        """
        return False

    def abort(self) -> None:
        """End whatever still runs; from any thread. Then run returns ABORTED."""
        self.aborted = True
        lib.py_call_abort(self.handle)

    def cancel(self) -> None:
        """The same, but wait for nothing: who drives it sees to its end."""
        self.aborted = True
        lib.sphttp_call_cancel(self.handle)

    @property
    def begun(self) -> bool:
        """Whether it has been forked, or that was tried."""
        return self._begun

    def _watch_signals(self) -> None:
        """Let signals wake the wait in C, until the call is closed.

        Some signals do not interrupt the wait: one that arrives in the last moment before it,
        and one that another thread receives. So the wait also watches a wake-up descriptor.
        Python runs the handlers when C has returned.
        """
        code: int = lib.py_call_watch(self.handle)
        if code != 0:
            self._fail(-code)

    def limit(self, timeout: float | None, deadline: float | None, retries: int) -> None:
        """Before the fork: set the limits. Those of time are in seconds; None: no limit.

        Raises:
            OSError: No memory.
        """
        code = lib.sphttp_call_limit(
            self.handle,
            max(1, int(timeout * 1e9)) if timeout else 0,
            max(1, int(deadline * 1e9)) if deadline else 0,
            min(retries, 0xFFFFFFFF),
        )
        if code != 0:
            fail(code, "preparing to count retries")

    def digest(self, job: Job) -> None:
        """Before the fork: let C digest the items, which are files.

        Raises:
            OSError: No memory.
        """
        self._paths = ffi.from_buffer("char[]", job.paths)  # read there until the end
        key = ffi.NULL if job.key is None else job.key
        code = lib.sphttp_call_digest(
            self.handle, self._paths, len(job.paths), key, len(job.key or b""), job.kernel
        )
        if code != 0:
            fail(code, "preparing to digest files")

    def wait(self, word: Wait) -> int:
        """Wait for what the call's steps wait for, and return the answer."""
        if word is WORD and not self._begun:
            self._begin()
        if self._wait_read is not None:
            return self._wait_in_loop(self._wait_read, word)
        if word is TURN:
            return 0  # Python has run the handlers on the way here
        if word is WORD:
            source = self.source
            if source is not None:
                lib.sphttp_call_beside(self.handle, source.awaited)
            return self.run()
        self.close()
        return 0

    def run(self) -> int:
        """Fork, and return when there is something to do, which is one of sphttp_event_kind.

        SPHTTP_ENDED: every child has ended. NEWS, only with SPHTTP_TELL: items have ended; see
        fresh, and call run again. ABORTED: see abort. A child does not return: it calls `serve`.

        Raises:
            OSError: The system refused processes, memory, or the scratch directory.
            RuntimeError: This is not the main interpreter.
        """
        kind: int = _STARTED
        while kind in _UNDER_WAY:  # Python has run the handlers on the way here
            kind = lib.py_call_run(self.handle, self.event)
        return self._seen(kind)

    def start(self) -> int:
        """Fork, and do no more; call run then. Returns SPHTTP_STARTED; otherwise as run."""
        if not self._begun:
            self._begin()
        kind: int = lib.py_call_start(self.handle, self.event)
        return self._seen(kind)

    def _seen(self, kind: int) -> int:
        if kind == _CHILD:
            self.serve()
        if kind == _ELSEWHERE:
            fail(lib.SPHTTP_NOT_MAIN, "forking")
        if kind == _FAILED:
            if not self.aborted:
                self._fail(self.event.error)
            kind = ABORTED
        return kind

    def _begin(self) -> None:
        self._begun = True
        self._wait_read = gevents_waiter()
        if self._elsewhere or self._wait_read is not None:
            lib.sphttp_call_elsewhere(self.handle, 1)
        else:
            self._watch_signals()

    def _fail(self, error: int) -> NoReturn:
        doing = ffi.string(lib.sphttp_call_doing(self.handle)).decode("ascii")
        if "scratch" in doing:
            doing += f" below {self._root!r} (scratch_root= can name another directory)"
        fail(-error, doing)


def _leave() -> NoReturn:
    """The children of a call that is done in C never come to Python."""
    leave(1)
