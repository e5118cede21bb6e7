"""One call of the C core, from its fork to its last result."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

from tep_parallel._engine.native import fail, ffi, lib
from tep_parallel._engine.results import Results

if TYPE_CHECKING:
    from tep_parallel._engine.digest_job import Job

# cffi makes a function when somebody first asks for it: here, so that no child has to.
commit: Callable[[Any, int, int, bytes, int], int] = lib.sphttp_child_commit
commit_text: Callable[[Any, int, int], int] = lib.py_child_commit_text
work: Callable[[Any, int, int, int, int, bool, int], int] = lib.py_child_work
raised_idle: Callable[[int], None] = lib.py_child_raised
setup_done: Callable[[Any], None] = lib.sphttp_child_begin
fail_call: Callable[[Any, int, bytes, int], NoReturn] = lib.sphttp_child_fail
slot: Callable[[Any], int] = lib.sphttp_child_slot
leave: Callable[[int], NoReturn] = lib.sphttp_exit

NEWS: int = lib.SPHTTP_NEWS
CHILD: int = lib.SPHTTP_CHILD
_STARTED = lib.SPHTTP_STARTED
_ELSEWHERE = lib.SPHTTP_ELSEWHERE
_FAILURES = (lib.SPHTTP_FAILED, _ELSEWHERE)
_UNDER_WAY = (_STARTED, lib.SPHTTP_SIGNALS)


class Call(Results):
    """A call of the C core: a nursery, which is the process that forks and awaits the children,
    and the children. Leaving the block ends all of them that still run.

    Args:
        count: How many items there are, at least 1.
        alive: How many children may be alive at once, at least 1.
        how: Flags of enum sphttp_how.
        root: The directory in which the scratch directory is made, an absolute path.

    Raises:
        OSError: No memory, no descriptors, or a path that is too long.
        RuntimeError: This is not the main interpreter.
    """

    def __init__(self, count: int, *, alive: int, how: int, root: str) -> None:
        box = ffi.new("sphttp_call **")
        code = lib.py_call_open(count, alive, how, os.fsencode(root), box)
        if code != 0:
            fail(code, f"preparing a call of {count} items below {root!r}")
        # The handle alone closes a call whose block was never left properly: a signal handler
        # may raise in __exit__. A second owner, with __del__, could come after it in a cycle.
        super().__init__(ffi.gc(box[0], lib.py_call_free))
        self.event = ffi.new("sphttp_event *")  # the last one, for a child to look at
        self._root = root
        self._begun = False
        self._wait_read: Callable[[int], None] | None = None

    def __enter__(self) -> Call:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        if lib.sphttp_call_in_child(self.handle):
            leave(1)  # what a child raised must not reach the caller's program
        self.close()

    def close(self) -> None:
        """End whatever still runs. A second call does nothing."""
        lib.py_call_close(self.handle)

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
            OSError: No memory, or libcrypto failed.
        """
        self._paths = ffi.from_buffer("char[]", job.paths)  # read there until the end
        key = ffi.NULL if job.key is None else job.key
        code = lib.sphttp_call_digest(
            self.handle, self._paths, len(job.paths), key, len(job.key or b""), job.kernel
        )
        if code != 0:
            fail(code, "preparing to digest files")

    @property
    def bytes_read(self) -> int:
        """How many bytes of files have been read so far. Needs SPHTTP_TELL."""
        return int(lib.sphttp_call_bytes(self.handle))

    @property
    def hands(self) -> int:
        """How many items the children may process at one time, all together."""
        return int(lib.sphttp_call_hands(self.handle))

    def allow(self, mark: int) -> None:
        """Let the items below `mark` start. If this is never called, all may."""
        lib.sphttp_call_allow(self.handle, mark)

    def run(self) -> int:
        """Fork, and return when there is something to do, which is one of sphttp_event_kind.

        SPHTTP_ENDED: every child has ended. CHILD: this process is a child; `event` has the
        index of its item, and it must end in `commit` or `leave`, whatever happens. NEWS, only
        with SPHTTP_TELL: items have ended; see fresh, and call run again.

        Raises:
            OSError: The system refused processes, memory, or the scratch directory.
            RuntimeError: This is not the main interpreter.
        """
        kind: int = _STARTED
        if not self._begun:
            self._begin()
            if self._wait_read is not None:
                kind = self.start()
        while kind in _UNDER_WAY:  # Python has run the handlers on the way here
            # In the thread of gevent's loop, C does not wait. It returned _STARTED since there is
            # more to collect.
            if self._wait_read is not None and kind == _STARTED:
                self._wait(self._wait_read)
            kind = lib.py_call_run(self.handle, self.event)
        if kind in _FAILURES:
            self._fail_by(kind)
        return kind

    def start(self) -> int:
        """Fork, and do no more; call run then. Returns CHILD or SPHTTP_STARTED, raises as run."""
        if not self._begun:
            self._begin()
        kind: int = lib.py_call_start(self.handle, self.event)
        if kind in _FAILURES:
            self._fail_by(kind)
        return kind

    def _begin(self) -> None:
        self._begun = True
        self._wait_read = _gevents_waiter()
        if self._wait_read is None:
            self._watch_signals()

    def _fail_by(self, kind: int) -> NoReturn:
        if kind == _ELSEWHERE:
            fail(lib.SPHTTP_NOT_MAIN, "forking")
        self._fail(self.event.error)

    def _fail(self, error: int) -> NoReturn:
        doing = ffi.string(lib.sphttp_call_doing(self.handle)).decode("ascii")
        if "scratch" in doing:
            doing += f" below {self._root!r} (scratch_root= can name another directory)"
        fail(-error, doing)

    def _wait(self, wait_read: Callable[[int], None]) -> None:
        descriptor = self._descriptor()
        if descriptor >= 0:
            wait_read(descriptor)

    def _descriptor(self) -> int:
        """A descriptor that is readable when there is something to do; -1: the nursery is gone."""
        descriptor: int = lib.sphttp_call_descriptor(self.handle)
        if descriptor < -1:
            fail(descriptor, "preparing to wait")
        return descriptor

    @property
    def has_news(self) -> bool:
        """Whether run would return at once."""
        from select import POLLIN, poll

        descriptor = self._descriptor()
        if descriptor < 0:
            return True  # the nursery is gone: run knows what to do
        poller = poll()
        poller.register(descriptor, POLLIN)
        return bool(poller.poll(0))

    def fresh(self) -> Iterator[int]:
        """The items that have ended since the last call of this, in the order of their ends."""
        while (index := lib.sphttp_call_next(self.handle)) >= 0:
            yield index

    @property
    def stopping(self) -> bool:
        """Whether no more items will start."""
        return bool(lib.sphttp_call_stopping(self.handle))

    @property
    def overdue(self) -> bool:
        """Whether the call was ended at its deadline."""
        return bool(lib.sphttp_call_overdue(self.handle))


def _gevents_waiter() -> Callable[[int], None] | None:
    """How to wait for a descriptor with gevent; None if gevent has not patched the host."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None or not monkey.is_module_patched("select"):
        return None  # the caller expects to block
    from tep_parallel._engine.gevent import Waiter

    return Waiter()
