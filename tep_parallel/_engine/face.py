"""How a Parallel runs its calls, and the block in which it keeps children."""

from __future__ import annotations

from tep_parallel._engine.ended import Ended
from tep_parallel._engine.source import list_of
from tep_parallel._typing import TYPE_CHECKING, Any
from tep_parallel._worker import process_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from typing_extensions import Self

    from tep_parallel._engine.arguments import Items
    from tep_parallel._engine.block import Block
    from tep_parallel._engine.digest_job import Job
    from tep_parallel._engine.far import Far
    from tep_parallel._engine.options import Options
    from tep_parallel._engine.running import Running
    from tep_parallel._engine.stream import Stream
    from tep_parallel._worker import ParallelWorker, Process


class Face:
    """What a Parallel is, apart from what users are told. See there also for the block."""

    if TYPE_CHECKING:  # get_type_hints must not meet what is imported for type checkers
        worker: ParallelWorker | Process
        _options: Options
        _running: Running
        _block: Block | None
        _far: Far | None

    _entered = False
    _block = None  # calls have children of their own
    _far = None  # they run here

    def __enter__(self) -> Self:
        if self._entered:
            msg = "the block of this Parallel has been entered already, and has not ended"
            raise RuntimeError(msg)
        if self._options.in_processes != 0 and self._far is None:
            from tep_parallel._engine.block import Block  # importing this package must stay cheap

            self._entered = True
            try:
                self._block = Block(self.worker, self._options, self._running)
            except BaseException:
                self._entered = False
                raise
        self._entered = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        block, self._block = self._block, None
        self._entered = False
        if self._far is not None:
            self._far.leave()
        if block is not None:
            # Ctrl-C is answered at once.
            well = not isinstance(error, KeyboardInterrupt)
            block.close(well=well, failed=error is not None)

    def _stream(self, items: Items, on_error: str, *, ordered: bool) -> Stream[Any]:
        process_of(self.worker)
        if self._far is not None:
            from tep_parallel._engine.run import stream_far

            given = self._far, self.worker, items, self._options, self._running, on_error
            return stream_far(*given, ordered=ordered)
        block = self._block
        if block is not None and block.serves:
            return block.stream(self.worker, items, on_error, ordered=ordered)
        from tep_parallel._engine.run import stream  # importing this package must stay cheap

        options = self._options
        return stream(self.worker, items, options, self._running, on_error, ordered=ordered)

    def _job(self, items: list[Any]) -> Job | None:
        """What C does in the children in place of Python; None: nothing."""
        raise NotImplementedError

    def _run(
        self, items: Iterable[Any], on_error: str, *, discard: bool = False, whole: bool = False
    ) -> Ended:
        """Process the items, and return what has ended."""
        process_of(self.worker)
        listed = list_of(items)
        if not listed:
            return Ended(listed, {}, {})
        here = self._options.in_processes != 0 and self._far is None
        job = self._job(listed) if here else None
        return self._gathered(listed, on_error, discard, whole, job)

    def _gathered(
        self,
        items: list[Any],
        on_error: str,
        discard: bool,  # noqa: FBT001
        whole: bool,  # noqa: FBT001
        job: Job | None,
    ) -> Ended:
        if self._far is not None:
            from tep_parallel._engine.run import run_far

            given = self._far, self.worker, items, self._options, self._running, on_error
            return run_far(*given, discard=discard, whole=whole)
        block = self._block
        if block is not None and job is None and block.serves:
            return block.run(self.worker, items, on_error, discard=discard, whole=whole)
        from tep_parallel._engine.run import run  # importing this package must stay cheap

        options, running = self._options, self._running
        return run(self.worker, items, options, running, on_error, discard=discard, job=job)
