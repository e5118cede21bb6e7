"""A call that is driven by a loop which must not wait for it."""

from __future__ import annotations

import gc
import os
import selectors
import signal
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kept import Parallel
from support import alive, children, children_of, forked, until

from tep_parallel import DeadWorkerError, ParallelWorker
from tep_parallel._engine.fed import Fed
from tep_parallel._engine.flow import Eager
from tep_parallel._engine.forked import opened, steps_of
from tep_parallel._engine.gathering import Gathering
from tep_parallel._engine.lease import how_of
from tep_parallel._engine.plan import Plan
from tep_parallel._engine.stepper import Stepper
from tep_parallel._engine.waits import END, Until, Wait

LONGEST = 0.5  # seconds for one step, which may fork; far less than what is waited for here


class Driven:
    """A call of `face`, and a loop for it."""

    def __init__(self, face: Any, items: list[Any], on_error: str = "stop") -> None:
        options, running = face._options, face._running
        block = face._block
        self.out: list[Any] = []
        if block is None:
            plan = Plan(face.worker, items, options, on_error, running, known=items)
            self.call = opened(plan)
            self.flow: Any = Eager(self.call, plan)
            steps = steps_of(self.call, self.flow)
        else:
            self.call = block.lease(face.worker, face._options.deadline)
            self.call.wait_elsewhere()
            how = how_of(options, on_error, eager=True, discard=False, whole=False)
            nest = self.call.begin(how, items)
            plan = Plan(
                face.worker, nest.items, options, on_error, running, False, None,
                nest.numbers, items, nest.texts,
            )  # fmt: skip
            self.flow = Gathering(self.call, plan, items, whole=False)
            steps = steps_of(self.call, self.flow)
        self.stepper = Stepper(self.call, steps)

    def results(self) -> Any:
        values, failures = self.flow.result.results()
        for _, _, error in failures:
            raise error
        return values


def streamed(face: Any, source: Iterator[Any]) -> Driven:
    driven = object.__new__(Driven)
    if face._block is None:
        ahead = face._options.items_ahead()
        plan = Plan(
            face.worker, [None] * ahead, face._options, "stop", face._running, numbers=[-1] * ahead
        )
        driven.call = opened(plan)
        steps = steps_of(driven.call, Fed(driven.call, plan, source, ordered=True))
    else:
        driven.call = face._block.lease(face.worker, face._options.deadline)
        driven.call.wait_elsewhere()
        steps = face._block.streamed(driven.call, source, "stop", None, ordered=True)
    driven.out = []
    driven.stepper = Stepper(driven.call, steps)
    return driven


def timed(act: Any, *given: Any) -> Any:
    begun = time.monotonic()
    try:
        return act(*given)
    finally:
        assert time.monotonic() - begun < LONGEST, "a step has waited"


def drive(*calls: Driven) -> None:
    """The loop: wait for what they wait for, all at once."""
    due = dict.fromkeys(calls, Until(-1, 0))
    while due:
        with selectors.DefaultSelector() as selector:
            for call, until_ in due.items():
                if until_.descriptor >= 0:
                    selector.register(until_.descriptor, selectors.EVENT_READ, call)
            left = [until_.seconds for until_ in due.values() if until_.seconds is not None]
            ready = {key.data for key, _ in selector.select(min(left, default=30))}
        assert ready or left, "nothing was heard"
        for call in list(due):
            if call in ready or due[call].seconds is not None:
                wait = timed(call.stepper.step)
                call.out += call.call.out
                call.call.out.clear()
                due[call] = wait or Until(-1, 0)
                if call.stepper.over:
                    del due[call]


def pause(item: str) -> str:
    time.sleep(float(item))
    return item


@forked
def test_calls_are_driven_at_once_and_no_step_waits(shape: dict[str, Any]) -> None:
    face = Parallel(pause, **shape)
    calls = [Driven(face, ["0.3", "0", "0.3"]) for _ in range(3)]
    calls.append(streamed(face, iter(["0", "0.6", "0"])))
    drive(*calls)
    assert [call.results() for call in calls[:3]] == [["0.3", "0", "0.3"]] * 3
    assert calls[3].out == ["0", "0.6", "0"]
    assert children() == []


@forked
def test_a_failure_is_there_at_the_end(shape: dict[str, Any]) -> None:
    def die(_: str) -> str:
        os._exit(3)

    face = Parallel(die, **shape)
    call = Driven(face, ["a", "b"])
    drive(call)
    with pytest.raises(DeadWorkerError):
        call.results()
    assert children() == []


class _StopError(Exception):
    pass


def deaf(item: str) -> str:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    Path(item, str(os.getpid())).touch()
    time.sleep(60)
    return item


@forked
def test_a_call_is_ended_early_and_no_step_waits(shape: dict[str, Any], tmp_path: Path) -> None:
    """A second error does not skip the end."""
    face = Parallel(deaf, **shape)
    call = Driven(face, [str(tmp_path)])
    wait = timed(call.stepper.step)
    end = time.monotonic() + 10
    while not list(tmp_path.iterdir()):
        assert time.monotonic() < end
        time.sleep(0.01)
        wait = timed(call.stepper.step)
        assert wait is not None
    (pid,) = (int(path.name) for path in tmp_path.iterdir())
    wait = timed(call.stepper.throw, _StopError("first"))
    assert wait is not None
    timed(call.stepper.throw, _StopError("second"))
    with pytest.raises(_StopError, match="first"):
        drive(call)
    assert call.stepper.over
    assert not alive(pid)
    assert children() == []


@forked
def test_what_ends_well_is_not_cut_off_by_an_error_in_the_last_moment(
    shape: dict[str, Any],
) -> None:
    face = Parallel(str, **shape)
    call = Driven(face, ["a"])
    wait = call.stepper.step()
    while call.stepper._word is not None and not call.flow.aborted and not call.stepper.over:
        if getattr(call.call, "_given_up", None) is not None:
            break
        wait = call.stepper.step()
    if not call.stepper.over:
        with pytest.raises(_StopError):
            call.stepper.throw(_StopError())
            drive(call)
    assert wait is None or isinstance(wait, Until)
    assert children() == []


@forked
def test_a_call_that_was_not_begun_ends_too(shape: dict[str, Any]) -> None:
    call = Driven(Parallel(str, **shape), ["a"])
    call.stepper.end()
    drive(call)
    assert call.stepper.over
    assert children() == []


class Slow(ParallelWorker):
    def process(self, item: str) -> str:
        if item == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        return item

    def teardown(self) -> None:
        time.sleep(1)


@pytest.mark.parametrize("options", [{}, {"in_processes": 2}], ids=["fresh", "pool"])
def test_nobody_waits_for_kept_children_that_leave(options: dict[str, Any]) -> None:
    """One of them died: no other call has the others, which are a second in their teardown."""
    face = Parallel(Slow(), kept=True, **options)
    call = Driven(face, ["a", "die", "b"], "finish")
    drive(call)
    with pytest.raises(DeadWorkerError):
        call.results()
    again = Driven(face, ["a"])
    drive(again)
    assert again.results() == ["a"]


def test_nobody_waits_for_a_server_that_was_stopped() -> None:
    face = Parallel(str, kept=True)
    (server,) = children(servers=True)
    first = Driven(face, ["a"])
    os.kill(server, signal.SIGSTOP)
    calls = [first, Driven(face, ["b"]), Driven(face, ["c"])]
    try:
        for _ in range(20):
            for call in calls:
                timed(call.stepper.step)
            time.sleep(0.01)
        assert not all(call.stepper.over for call in calls)
    finally:
        os.kill(server, signal.SIGCONT)
    drive(*calls)
    assert [call.results() for call in calls] == [["a"], ["b"], ["c"]]


def test_a_lost_nursery_is_replaced(tmp_path: Path) -> None:
    def work(item: str) -> str:
        (tmp_path / item).touch()
        while not (tmp_path / "go").exists():
            time.sleep(0.01)
        return item

    call = Driven(Parallel(work, in_processes=1), ["a", "b"], "finish")
    call.stepper.step()
    until(lambda: (tmp_path / "a").exists())
    (nursery,) = children()
    working = children_of(nursery)
    os.kill(nursery, signal.SIGKILL)
    until(lambda: not any(map(alive, working)))  # else "a" might yet be done
    (tmp_path / "go").touch()
    drive(call)
    values, failures = call.flow.result.results()
    assert values == [None, "b"]
    assert isinstance(failures[0][2], DeadWorkerError)


class _Answers:
    """A call that answers at once."""

    def wait_elsewhere(self) -> None:
        pass

    def ask(self, _: Wait) -> int:
        return 0


@pytest.mark.parametrize("ends", [[], [END]], ids=["at once", "later"])
def test_an_error_that_ends_a_call_keeps_no_stepper(ends: list[Wait]) -> None:
    def steps() -> Iterator[Wait | None]:
        try:
            yield None
        finally:
            for end in ends:  # noqa: UP028  # a list cannot be sent anything
                yield end

    call: Any = _Answers()
    gc.disable()
    try:
        stepper = Stepper(call, steps())  # type: ignore[arg-type]
        assert stepper.step() is None
        assert stepper.end() is None
        assert stepper.over
        kept = weakref.ref(stepper)
        del stepper
        assert kept() is None
    finally:
        gc.enable()
