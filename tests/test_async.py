"""AsyncParallel: calls that a task awaits."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from loops import Run, parallel, run_in, sleep_deaf, until
from support import (
    FORKED,
    KEPT,
    LIMIT,
    both,
    children,
    children_of,
    name_of,
    run_case,
    run_case_with_stderr,
    started,
)

from tep_parallel import (
    AbortedError,
    AsyncParallel,
    Break,
    DeadlineError,
    DeadWorkerError,
    ItemTimeoutError,
    ParallelWorker,
    processor_count,
)

Shape = dict[str, Any]
SHAPES = {**FORKED, **KEPT}
every = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
pytestmark = pytest.mark.filterwarnings("ignore:.*thread:RuntimeWarning")  # pytest's own


def double(item: Any) -> str:
    return str(int(item) * 2)


def whoami(_: object) -> str:
    return str(os.getpid())


def sleep(seconds: Any) -> str:
    time.sleep(float(seconds))
    return str(seconds)


@every
def test_results_come_in_the_order_of_the_items(run: Run, shape: Shape) -> None:
    async def main() -> None:
        async with parallel(double, **shape) as p:
            for _ in range(3):
                assert await p.map_processes(range(9)) == [str(n * 2) for n in range(9)]
            assert await p.each_process(["1", "2"]) == 0
            outcomes = await p.outcomes(["1", "x", "3"])
            assert [outcome.result for outcome in outcomes] == ["2", None, "6"]
            assert isinstance(outcomes[1].error, ValueError)
            assert await p.map_processes([]) == []

    run(main())


@every
def test_a_failure_is_raised_and_a_break_gives_its_value(run: Run, shape: Shape) -> None:
    def work(item: int) -> str:
        if item == 1:
            raise KeyError("gone")
        if item == 2:
            raise Break("broken")
        if item == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return "well"

    async def main() -> None:
        async with parallel(work, **shape) as p:
            with pytest.raises(KeyError, match="gone") as raised:
                await p.map_processes([1])
            assert "item 0 (1)" in raised.value.__notes__[0]
            assert await p.map_processes([2]) == "broken"
            with pytest.raises(DeadWorkerError):
                await p.map_processes([3])
            assert await p.map_processes([0]) == ["well"]

    run(main())


@every
def test_the_loop_goes_on_while_a_call_runs(run: Run, shape: Shape) -> None:
    async def main() -> None:
        async with parallel(sleep, **shape) as p:
            call = asyncio.create_task(p.map_processes([0.3, 0.3]))
            ticks = 0
            while not call.done():
                await asyncio.sleep(0.005)
                ticks += 1
            assert await call == ["0.3", "0.3"]
            assert ticks > 5

    run(main())


@every
def test_many_calls_at_once_are_right(run: Run, shape: Shape) -> None:
    async def main() -> None:
        async with parallel(double, **shape) as p:
            calls = [p.map_processes([n, n + 1]) for n in range(30)]
            found = await asyncio.gather(*calls)
            assert found == [[str(2 * n), str(2 * n + 2)] for n in range(30)]

    run(main())


def test_no_call_has_a_thread(run: Run) -> None:
    async def main() -> None:
        p = AsyncParallel(sleep)
        before = threading.active_count()
        calls = [asyncio.create_task(p.map_processes([0.2])) for _ in range(3)]
        await asyncio.sleep(0.1)
        assert threading.active_count() == before
        await asyncio.gather(*calls)

    run(main())


@every
def test_limits_hold(run: Run, shape: Shape) -> None:
    async def main() -> None:
        async with parallel(sleep, timeout=0.3, **shape) as p:
            outcomes = await p.outcomes([0, 60])
            assert outcomes[0].result == "0"
            assert isinstance(outcomes[1].error, ItemTimeoutError)
        async with parallel(sleep, deadline=0.3, **shape) as p:
            with pytest.raises(DeadlineError) as late:
                await p.map_processes([0, 60])
            assert [outcome.result for outcome in late.value.outcomes] == ["0"]
            assert children() == []
            assert await p.map_processes([0]) == ["0"]

    run(main())


@every
def test_hooks_are_called_in_the_thread_of_the_loop(run: Run, shape: Shape) -> None:
    heard: list[object] = []

    def start(index: int, item: object) -> None:
        heard.append((index, item, threading.get_ident()))

    async def main() -> None:
        options = {"on_start": start, "on_finish": lambda one: heard.append(one.result), **shape}
        async with parallel(double, **options) as p:
            assert await p.map_processes([1, 2]) == ["2", "4"]

    run(main())
    me = threading.get_ident()
    assert sorted(map(str, heard)) == sorted(map(str, [(0, 1, me), (1, 2, me), "2", "4"]))


@every
def test_a_hook_that_raises_ends_the_call(run: Run, shape: Shape) -> None:
    def fail(_: object) -> None:
        raise KeyError("hook")

    async def main() -> None:
        async with parallel(sleep, on_finish=fail, **shape) as p:
            with pytest.raises(KeyError, match="hook"):
                await p.map_processes([0, 60])
            assert children() == []

    run(main())


class Gap:
    """The longest that the loop's thread has computed from one turn of the loop to the next."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._over = False

    async def watch(self) -> None:
        last = time.thread_time()
        while not self._over:
            await asyncio.sleep(0)
            now = time.thread_time()
            self.seconds = max(self.seconds, now - last)
            last = now

    async def of(self, call: Any) -> Any:
        """The longest while `call` runs."""
        watch = asyncio.create_task(self.watch())
        await asyncio.sleep(0.01)
        self.seconds = 0.0
        try:
            return await call
        finally:
            self._over = True
            await watch


@pytest.mark.parametrize("shape", FORKED.values(), ids=FORKED)
def test_large_results_are_collected_in_slices(run: Run, shape: Shape) -> None:
    """All at once takes a tenth of a second of CPU, one by one a sixth of that."""

    async def main() -> None:
        async with parallel(lambda item: item * (16 << 20), **shape) as p:
            gap = Gap()
            assert (
                list(map(len, await gap.of(p.map_processes(["a", "\xe9"] * 3)))) == [16 << 20] * 6
            )
            assert gap.seconds < 0.06

    run(main())


@pytest.mark.parametrize("size", [(2 << 20) - 1, (2 << 20) + 1, (4 << 20) + 5])
@pytest.mark.parametrize("text", ["a", "\xe9", "\u20ac", "\U0001f600", "\ud800", "ab\xe9\0\u20ac"])
def test_texts_that_are_decoded_in_pieces_are_whole(text: str, size: int) -> None:
    expected = "a" * (size % 7) + text * (size // len(text.encode("utf-8", "surrogatepass")))

    async def main() -> None:
        for shape in FORKED.values():
            p = AsyncParallel(lambda _: expected, **shape)
            assert await p.map_processes([1, 2]) == [expected, expected]

    run_in("asyncio", main())


def test_many_calls_fork_in_turns_of_their_own(run: Run) -> None:
    async def main() -> None:
        p = AsyncParallel(double, max_calls=30)
        calls = asyncio.gather(*(p.map_processes([n]) for n in range(30)))
        seen, most = set(children()), 0
        while not calls.done():
            await asyncio.sleep(0)
            now = set(children())
            most = max(most, len(now - seen))
            seen |= now
        assert await calls == [[str(2 * n)] for n in range(30)]
        assert most == 1

    run(main())


# --- Cancels ---------------------------------------------------------------------


async def begun(p: Any, count: int = 2) -> asyncio.Task[Any]:
    """A call of children that are deaf, under way."""
    call = asyncio.create_task(p.map_processes([60] * count))
    await until(lambda: len(busy_children()) == count)
    return call


@every
def test_a_cancel_kills_and_reaps_before_it_goes_on(run: Run, shape: Shape) -> None:
    async def main() -> None:
        async with parallel(sleep_deaf, **shape) as p:
            call = await begun(p)
            cancelled = time.monotonic()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert children() == []
            assert busy_children() == []
            assert time.monotonic() - cancelled < 2  # 150 ms, where nothing else runs
            assert await p.map_processes([0]) == ["slept"]

    run(main())


def busy_children() -> list[int]:
    """Children, of nests too, that sleep deaf. One that is just born is deaf too, but awake."""
    found = []
    for pid in below_host():
        status = Path(f"/proc/{pid}/status")
        try:
            lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
            waits = status.with_name("wchan").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        sleeps = "sleep" in waits or waits in ("", "0")  # the kernel may not say
        if sleeps and int(lines["SigBlk"], 16) & 1 and "tep-child" in lines["Name"]:
            found.append(pid)
    return found


def below_host() -> list[int]:
    found = list(children(servers=True))
    for pid in found:
        found += children_of(pid)
    return found


@both
def test_a_timeout_kills(run: Run, kept: bool) -> None:
    async def main() -> None:
        async with parallel(sleep_deaf, kept=kept) as p:
            begun = time.monotonic()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(p.map_processes([60, 60]), 0.2)
            assert busy_children() == children() == []
            assert time.monotonic() - begun < 3

    run(main())


@both
def test_a_second_cancel_does_not_skip_the_end(run: Run, kept: bool) -> None:
    """The nursery is stopped, so that the end takes long."""

    async def main() -> None:
        async with parallel(sleep_deaf, kept=kept) as p:
            call = await begun(p)
            nursery = parent_of(busy_children()[0])
            os.kill(nursery, signal.SIGSTOP)
            for _ in range(10):
                call.cancel()
                await asyncio.sleep(0.02)
                assert not call.done()
            os.kill(nursery, signal.SIGCONT)
            with pytest.raises(asyncio.CancelledError):
                await call
            assert busy_children() == children() == []

    run(main())


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_nursery_that_is_stopped_is_killed_after_a_cancel(run: Run) -> None:
    async def main() -> None:
        p = AsyncParallel(sleep_deaf)
        call = await begun(p)
        os.kill(children()[0], signal.SIGSTOP)
        call.cancel()
        ticks = 0
        while not call.done():
            await asyncio.sleep(0.01)
            ticks += 1
        assert call.cancelled()
        assert children() == []
        assert ticks > 100  # of 300: the loop went on

    run(main())


@both
def test_anyio_cancels_again_and_again_and_the_loop_does_not_spin(run: Run, kept: bool) -> None:
    anyio = pytest.importorskip("anyio")

    async def main() -> None:
        async with parallel(sleep_deaf, kept=kept) as p:
            await p.map_processes([0])

            async def stop_nursery() -> None:
                await until(lambda: len(busy_children()) == 2)
                nursery = parent_of(busy_children()[0])
                os.kill(nursery, signal.SIGSTOP)
                scope.cancel()
                before = time.thread_time()
                await asyncio.sleep(0.5)
                spent.append(time.thread_time() - before)
                os.kill(nursery, signal.SIGCONT)

            spent: list[float] = []
            other = asyncio.create_task(stop_nursery())
            with anyio.CancelScope() as scope:
                await p.map_processes([60, 60])
            assert scope.cancelled_caught
            assert busy_children() == children() == []
            await other
            assert spent[0] < 0.1

    run(main())


def test_what_runs_at_the_end_of_asyncio_run_is_killed(run: Run) -> None:
    left: list[object] = []

    async def main() -> None:
        p = AsyncParallel(sleep_deaf)
        left.append(await begun(p))
        stream = p.as_completed([0, 60])
        left.append(stream)
        assert (await anext(stream)).result == "slept"

    run(main())
    assert children() == []


@pytest.mark.parametrize("how", ["dropped", "kept in a cycle", "at the exit"])
def test_a_task_that_is_dropped_leaves_nothing(how: str) -> None:
    run_case_with_stderr("async_dropped", how)


@pytest.mark.parametrize("how", ["map", "stream", "block", "waits"])
def test_ctrl_c_under_asyncio_run_is_answered_at_once(kind: str, how: str, tmp_path: Path) -> None:
    with started("async_ctrl_c", tmp_path, kind, how) as case:
        end = time.monotonic() + LIMIT
        while len(list(tmp_path.iterdir())) < 2:
            assert time.monotonic() < end
            time.sleep(0.01)
        pressed = time.monotonic()
        case.send_signal(signal.SIGINT)
        case.communicate(timeout=LIMIT / 2)
        assert time.monotonic() - pressed < 3  # half a second, where nothing else runs
        assert case.returncode == -signal.SIGINT


def test_handlers_of_the_loop_hear_what_is_sent_to_the_host_only(kind: str) -> None:
    run_case("async_signals", kind)


# --- How many at once ------------------------------------------------------------


@both
def test_calls_beyond_the_limit_wait_in_the_order_in_which_they_came(run: Run, kept: bool) -> None:
    order: list[int] = []

    async def main() -> None:
        async with parallel(sleep, kept=kept, max_calls=1) as p:

            async def call(number: int) -> None:
                await p.map_processes([0.05])
                order.append(number)

            tasks = [asyncio.create_task(call(number)) for number in range(8)]
            await asyncio.sleep(0)
            await asyncio.gather(*tasks)

    run(main())
    assert order == list(range(8))


def test_no_more_calls_are_alive_than_the_limit_says(run: Run) -> None:
    most = 0

    async def main() -> None:
        nonlocal most
        p = AsyncParallel(sleep)
        tasks = [asyncio.create_task(p.map_processes([0.05])) for _ in range(20)]
        while not all(task.done() for task in tasks):
            most = max(most, len(children()))
            await asyncio.sleep(0.001)

    run(main())
    assert 2 <= most <= 2 * processor_count()


@both
def test_a_call_that_waits_can_be_cancelled_and_has_its_deadline(run: Run, kept: bool) -> None:
    async def main() -> None:
        async with parallel(sleep_deaf, kept=kept, max_calls=1) as p:
            first = await begun(p)
            second = asyncio.create_task(p.map_processes([0]))
            third = asyncio.create_task(p.map_processes([0]))
            await asyncio.sleep(0.05)
            second.cancel()
            with pytest.raises(asyncio.CancelledError):
                await second
            first.cancel()
            assert await third == ["slept"]
        async with parallel(sleep_deaf, kept=kept, max_calls=1, deadline=0.5) as p:
            first = asyncio.create_task(p.map_processes([60]))
            await asyncio.sleep(0.2)
            begun_at = time.monotonic()
            with pytest.raises(DeadlineError, match="1 of 1 items had not ended"):
                await p.map_processes([60])
            assert time.monotonic() - begun_at < 5
            with pytest.raises(DeadlineError):
                await first

    run(main())


@both
def test_a_task_does_not_wait_for_itself(run: Run, kept: bool) -> None:
    async def main() -> None:
        async with parallel(double, kept=kept, max_calls=1) as p:
            found = [
                (result, await p.map_processes([result]))
                async for result in p.imap_processes([1, 2])
            ]
            assert found == [("2", ["4"]), ("4", ["8"])]

    run(main())


# --- abort -----------------------------------------------------------------------


@both
@pytest.mark.parametrize("where", ["loop", "thread"])
def test_abort_ends_calls_those_too_that_wait(run: Run, kept: bool, where: str) -> None:
    async def main() -> None:
        async with parallel(sleep_deaf, kept=kept, max_calls=1) as p:
            stream = p.as_completed([60])
            calls = [
                await begun(p),
                asyncio.create_task(p.map_processes([60])),
                asyncio.ensure_future(anext(stream)),
            ]
            await asyncio.sleep(0.1)
            if where == "loop":
                p.abort()
            else:
                thread = threading.Thread(target=p.abort)
                thread.start()
                thread.join()
            for call in calls:
                with pytest.raises(AbortedError):
                    await call
            assert busy_children() == children() == []
            assert await p.map_processes([0]) == ["slept"]

    run(main())


# --- What is refused -------------------------------------------------------------


def test_workers_that_are_coroutines_are_refused() -> None:
    async def work(item: object) -> str:
        return ""

    async def many(item: object) -> Any:
        yield ""

    class Callable:
        async def __call__(self, item: object) -> str:
            return ""

    class Worker(ParallelWorker):
        async def process(self, item: object) -> str:
            return ""

    import functools

    for worker in (work, many, Callable(), Worker(), functools.partial(work), Callable().__call__):
        with pytest.raises(TypeError, match="async def"):
            AsyncParallel(worker)


def test_no_children_and_no_loop_are_refused() -> None:
    with pytest.raises(ValueError, match="in_processes: 0"):
        AsyncParallel(double, in_processes=0)
    with pytest.raises(RuntimeError, match="no running event loop"):
        AsyncParallel(double).imap_processes([1])
    with pytest.raises(TypeError, match="unexpected keyword"):
        AsyncParallel(double, nothing=1)  # type: ignore[call-overload]


def test_a_second_loop_is_refused_while_the_first_is_open() -> None:
    p = AsyncParallel(double)
    first = asyncio.new_event_loop()
    try:
        assert first.run_until_complete(p.map_processes([1])) == ["2"]
        second = asyncio.new_event_loop()
        try:
            with pytest.raises(RuntimeError, match="another event loop"):
                second.run_until_complete(p.map_processes([1]))
        finally:
            second.close()
    finally:
        first.close()
    assert asyncio.run(p.map_processes([2])) == ["4"]


def test_importing_the_package_does_not_import_asyncio() -> None:
    code = "import sys, tep_parallel\nprint('asyncio' in sys.modules)\n"
    code += "tep_parallel.AsyncParallel\nprint('asyncio' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=LIMIT
    )
    assert done.stdout == "False\nTrue\n"


# --- Digests ---------------------------------------------------------------------


@both
def test_files_are_digested(run: Run, kept: bool, tmp_path: Path) -> None:
    import hashlib

    paths = []
    for number in range(5):
        paths.append(tmp_path / str(number))
        paths[-1].write_bytes(b"x" * number * 100_000)
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]

    async def main() -> None:
        async with parallel(double, kept=kept) as p:
            assert await p.digest_files(paths, algorithm="sha256") == digests
            found = await p.digest_files(
                [*paths, tmp_path / "none"], algorithm="sha256", return_exceptions=True
            )
            assert found[:-1] == digests
            assert isinstance(found[-1], FileNotFoundError)
            with pytest.raises(FileNotFoundError):
                await p.digest_files([tmp_path / "none"])
            with pytest.raises(TypeError, match="paths"):
                await p.digest_files("one")

    run(main())


# --- When something dies ---------------------------------------------------------


@both
def test_a_killed_nursery_costs_what_was_in_hand(run: Run, kept: bool) -> None:
    def work(item: int) -> str:
        if item == 1:
            time.sleep(0.3)
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)
        return str(item)

    async def main() -> None:
        async with parallel(work, kept=kept) as p:
            outcomes = await p.outcomes(range(3))
            assert [outcome.result for outcome in outcomes] == ["0", None, "2"]
            assert isinstance(outcomes[1].error, DeadWorkerError)
            assert children() == []

    run(main())


@pytest.mark.filterwarnings("ignore:the server of a block was gone:RuntimeWarning")
def test_a_killed_server_costs_no_call(run: Run) -> None:
    """It may have been asked for another nest, or not."""

    async def main() -> None:
        async with parallel(sleep, kept=True, in_processes=2, max_calls=2) as p:
            await p.map_processes([0])
            (server,) = [pid for pid in children(servers=True) if name_of(pid) == "tep-server"]
            os.kill(server, signal.SIGKILL)
            calls = [p.map_processes([0.01, 0.02]) for _ in range(6)]
            for found in await asyncio.gather(*calls):
                assert found == ["0.01", "0.02"]

    run(main())
