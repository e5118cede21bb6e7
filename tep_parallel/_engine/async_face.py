"""How an AsyncParallel runs its calls, and the block in which it keeps children.

This module is imported only if the program calls AsyncParallel.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Collection, Iterable

from tep_parallel._engine.async_block import AsyncBlock
from tep_parallel._engine.awaited import Awaited
from tep_parallel._engine.ended import Ended, value_of
from tep_parallel._engine.fed import Fed
from tep_parallel._engine.flow import Eager
from tep_parallel._engine.forked import opened, steps_of
from tep_parallel._engine.gate import InLoop
from tep_parallel._engine.plan import Plan
from tep_parallel._engine.running import Running
from tep_parallel._engine.small import digested_here
from tep_parallel._engine.source import list_of, source_of
from tep_parallel._engine.told import warn_of_overstayed
from tep_parallel._engine.waits import MOST_NS
from tep_parallel._typing import TYPE_CHECKING, Any
from tep_parallel._worker import process_of

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from tep_parallel._engine.arguments import AsyncItems
    from tep_parallel._engine.call import Call
    from tep_parallel._engine.digest_job import Job
    from tep_parallel._engine.far import Far
    from tep_parallel._engine.gathering import Gathering
    from tep_parallel._engine.options import Options
    from tep_parallel._worker import ParallelWorker, Process


class AsyncFace:
    """What an AsyncParallel is, apart from what users are told. See there also for the block."""

    if TYPE_CHECKING:  # get_type_hints must not meet what is imported for type checkers
        worker: ParallelWorker | Process
        _options: Options
        _running: Running
        _here: InLoop | None
        _block: AsyncBlock | None
        _far: Far | None

    _here = None
    _block = None  # calls have children of their own
    _far = None  # they run here
    _entered = False

    async def __aenter__(self) -> Self:
        if self._entered:
            msg = "the block of this AsyncParallel has been entered already, and has not ended"
            raise RuntimeError(msg)
        here = self._in_loop()
        self._entered = True
        if self._far is not None:
            return self
        try:
            await here.share.begin()
            try:
                self._block = AsyncBlock(here, self.worker, self._options)
            finally:
                here.share.end(forked=True)
        except BaseException:
            self._entered = False
            raise
        return self

    async def __aexit__(
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
            # A cancel, as Ctrl-C, is answered at once.
            await block.close(well=error is None or isinstance(error, Exception), error=error)

    def _in_loop(self) -> InLoop:
        """What it has in the loop that runs.

        Raises:
            RuntimeError: No loop runs in this thread, or it has been used in another, which is
                not closed.
        """
        loop = asyncio.get_running_loop()
        here = self._here
        if here is None or here.is_past:
            assert self._options.max_calls is not None
            here = self._here = InLoop(loop, self._options.max_calls)
        elif here.loop is not loop:
            msg = "this AsyncParallel is used in another event loop, which is not closed: make one "
            msg += "for each loop"
            raise RuntimeError(msg)
        return here

    def _own_block(self) -> AsyncBlock | None:
        """The block, if calls of this process run in it."""
        block = self._block
        return block if block is not None and block.serves else None

    async def _run(
        self,
        items: Iterable[Any] | AsyncIterable[Any],
        on_error: str,
        *,
        discard: bool = False,
        whole: bool = False,
        job: Callable[[list[Any]], Job | None],
        worker: ParallelWorker | Process | None = None,
        options: Options | None = None,
    ) -> tuple[InLoop, Ended]:
        """Process the items, and return what has ended.

        Args:
            job: What C does in the children in place of Python; None: nothing.
            worker: Another than the caller's.
            options: Others than the caller's.
        """
        here = self._in_loop()
        worker = self.worker if worker is None else worker
        process_of(worker)
        options = self._options if options is None else options
        far = self._far
        listed = None if isinstance(items, AsyncIterable) else list_of(items)
        one = Awaited(here, self._running, options.deadline, self._own_block())
        try:
            if listed is None:
                listed = await one.listed(items)  # type: ignore[arg-type]
            if not listed:
                return here, Ended(listed, {}, {})
            in_c = job(listed) if far is None else None
            if in_c is not None:
                one.block = None
            left = await one.admit(len(listed))
            if far is not None:
                given = worker, listed, on_error, Running(), left
                far_call, far_flow = far.eager(*given, discard=discard, whole=whole)
                return here, await _driven(one, far_call, far_flow)
            block = one.block or self._own_block()
            if in_c is None and block is not None:
                run = block.run(one, left, worker, listed, on_error, discard, whole)
                return here, await run
            plan = Plan(worker, listed, options, on_error, Running(), discard, in_c, known=listed)
            call = opened(plan, left)
            ended = await _driven(one, call, Eager(call, plan))
            warn_of_overstayed(call, options.timeout)
            return here, ended
        finally:
            one.leave()

    async def _digested(
        self, worker: ParallelWorker, paths: list[Any], on_error: str, job: Job | None
    ) -> tuple[InLoop, Ended]:
        """Digest the files, in this thread or in children.

        Args:
            job: What C does.
        """
        here = self._in_loop()
        if self._far is not None:
            return await self._run(paths, on_error, job=lambda _: None, worker=worker)
        if self._options.in_processes is None and paths:
            await here.share.begin()
            try:
                ended = digested_here(job, paths, self._options, on_error)
            finally:
                here.share.end(forked=False)
            if ended is not None:
                return here, ended
        options = self._options.for_digests()
        return await self._run(paths, on_error, job=lambda _: job, worker=worker, options=options)

    async def _value(self, here: InLoop, ended: Ended) -> Any:
        """What the call returns; or raise its first failure. See values_of."""
        return value_of(ended.break_values, *await here.in_slices(ended.gathered()))

    def _stream(
        self, items: AsyncItems, on_error: str, *, ordered: bool
    ) -> AsyncGenerator[Any, None]:
        process_of(self.worker)
        here = self._in_loop()
        source = None if isinstance(items, AsyncIterable) else source_of(items)
        one = Awaited(here, self._running, self._options.deadline, self._own_block())
        return self._streamed(one, items, source, on_error, ordered=ordered)

    async def _streamed(
        self, one: Awaited, items: Any, source: Any, on_error: str, *, ordered: bool
    ) -> AsyncGenerator[Any, None]:
        known = items if isinstance(items, Collection) else None
        try:
            left = await one.admit(0)
            if source is None:
                source = one.source_of(items)
            del items
            block = one.block or self._own_block()
            if self._far is not None:
                given = self.worker, source, on_error, Running(), left, known
                call, flow = self._far.lazy(*given, ordered=ordered)
                out = call.out
                one.begin(call, steps_of(call, flow))
            elif block is not None:
                out = block.begin_stream(
                    one, left, self.worker, source, on_error, known, ordered=ordered
                )
            else:
                ahead = self._options.items_ahead()
                plan = Plan(
                    self.worker,
                    [None] * ahead,
                    self._options,
                    on_error,
                    Running(),
                    numbers=[-1] * ahead,
                    known=known,
                )
                call = opened(plan, left)
                out = call.out
                one.begin(call, steps_of(call, Fed(call, plan, source, ordered=ordered)))
            end = time.monotonic_ns() + MOST_NS
            while await one.advance():
                one.hold()
                while out:
                    yield out.popleft()
                    if time.monotonic_ns() > end:  # others go on, although more is there
                        await asyncio.sleep(0)
                        end = time.monotonic_ns() + MOST_NS
        finally:
            await one.close()


async def _driven(one: Awaited, call: Call, flow: Eager | Gathering) -> Ended:
    """Drive an eager call to its end; what has ended."""
    one.begin(call, steps_of(call, flow))
    while await one.advance():
        pass
    return flow.result
